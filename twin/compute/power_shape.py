"""The power curve of a server of which only idle and full-load watts are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FACTS = 6
MOST_FACTS = 3
RIDGE = 1.0
POINTS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a data sheet tells of a server."""

    idle_w: float
    peak_w: float
    year: float
    cores: float
    chips: float
    amd: bool

    def numbers(self) -> tuple[float, ...]:
        """The facts as numbers of like size."""
        rating = float(np.log(self.peak_w))
        return (self.idle_w / self.peak_w, self.year, float(self.amd), float(np.log(self.cores)), self.chips, rating)


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerShapes:
    """Mean of small ridge regressions of the curve's shape on facts, one for each set of one to three facts.

    The shape is (power - idle) / (peak - idle) at 10, 20, … 90 %. Averaging over all sets of facts instead of choosing
    one keeps a score on the few published curves honest.
    """

    centre: Array
    scale: Array
    coefficients: Array
    """Shape (models, 1 + facts, 9)."""

    def curve_w(self, facts: ServerFacts) -> tuple[float, ...]:
        """Watts at 0, 10, … 100 %, rising from idle to peak. [W]"""
        row = np.concatenate([[1.0], (np.array(facts.numbers()) - self.centre) / self.scale])
        shape = np.einsum("f,mfp->p", row, self.coefficients) / len(self.coefficients)
        rising = np.maximum.accumulate(np.clip(shape, 0.0, 1.0))
        watts = facts.idle_w + rising * (facts.peak_w - facts.idle_w)
        return (facts.idle_w, *(float(w) for w in watts), facts.peak_w)


def fit_shapes(servers: Sequence[ServerFacts], curves_w: Array) -> PowerShapes:
    """Shapes learnt from servers with published curves.

    Args:
        servers: their facts.
        curves_w: watts at 0, 10, … 100 %, shape (servers, 11). [W]
    """
    facts = np.array([server.numbers() for server in servers])
    centre, scale = facts.mean(axis=0), np.maximum(facts.std(axis=0), 1e-9)
    design = np.column_stack([np.ones(len(facts)), (facts - centre) / scale])
    span = curves_w[:, -1:] - curves_w[:, :1]
    shape = (curves_w[:, 1:-1] - curves_w[:, :1]) / span
    weight = (span / curves_w[:, 1:-1]) ** 2
    subsets = [c for size in range(1, MOST_FACTS + 1) for c in combinations(range(1, FACTS + 1), size)]
    coefficients = np.zeros((len(subsets), FACTS + 1, POINTS))
    for model, subset in enumerate(subsets):
        used = [0, *subset]
        for point in range(POINTS):
            coefficients[model, used, point] = _ridge(design[:, used], shape[:, point], weight[:, point])
    return PowerShapes(centre=centre, scale=scale, coefficients=coefficients)


def _ridge(design: Array, target: Array, weight: Array) -> Array:
    """Weighted ridge regression that leaves the constant alone."""
    penalty = RIDGE * float(weight.mean()) * np.eye(design.shape[1])
    penalty[0, 0] = 0.0
    normal = design.T @ (design * weight[:, None]) + penalty
    return np.asarray(np.linalg.solve(normal, design.T @ (weight * target)), dtype=np.float64)


def left_out_errors(servers: Sequence[ServerFacts], curves_w: Array) -> Array:
    """Mean absolute percentage error of each server's nine points, predicted without it, shape (servers,). [%]"""
    errors = []
    for out in range(len(servers)):
        kept = [i for i in range(len(servers)) if i != out]
        shapes = fit_shapes([servers[i] for i in kept], curves_w[kept])
        guess = np.array(shapes.curve_w(servers[out]))[1:-1]
        errors.append(100.0 * float(np.abs(guess / curves_w[out, 1:-1] - 1.0).mean()))
    return np.array(errors)
