"""Power of hosts or a whole cluster from measurements: fit, intervals, and errors on days that it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.errors import BadInputError
from twin.streams import stream

Array = NDArray[np.float64]

ROUNDS = 40
SMALLEST = 1e-3
"""Relative residuals below this weigh alike."""
IDLE_BELOW = 0.05
"""A host whose jobs use less than this share draws as if it had none: under one core of sixteen."""
BOOTSTRAPS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLoad:
    """What a cluster does, in hosts' worth; shape (steps,) each."""

    used: Array
    """CPU used, in fully used hosts."""
    busy: Array
    """Hosts with jobs that do something: allocated less those whose jobs idle."""

    def columns(self) -> Array:
        """Design of the fit, shape (steps, 3)."""
        return np.column_stack([np.ones(len(self.used)), self.used, self.busy])


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerModel:
    """Power = base + per used host · used + per busy host · busy, with 80 % intervals of the coefficients."""

    base_w: float
    per_used_host_w: float
    per_busy_host_w: float
    low_w: tuple[float, float, float]
    high_w: tuple[float, float, float]

    def power_w(self, load: ClusterLoad) -> Array:
        """Predicted power, shape (steps,). [W]"""
        coefficients = np.array([self.base_w, self.per_used_host_w, self.per_busy_host_w])
        predicted: Array = load.columns() @ coefficients
        return predicted


def least_relative_error(design: Array, power_w: Array) -> Array:
    """Coefficients with the least mean absolute percentage error, by reweighted least squares.

    Args:
        design: shape (steps, coefficients).
        power_w: measured, > 0, shape (steps,). [W]
    """
    weight = 1.0 / power_w
    fit = _weighted(design, power_w, weight)
    for _ in range(ROUNDS):
        error = np.abs(design @ fit / power_w - 1.0)
        fit = _weighted(design, power_w, weight / np.sqrt(np.maximum(error, SMALLEST)))
    return fit


def _weighted(design: Array, target: Array, weight: Array) -> Array:
    fit = np.linalg.lstsq(design * weight[:, None], target * weight, rcond=None)[0]
    return np.asarray(fit, dtype=np.float64)


def fit_power(load: ClusterLoad, power_w: Array, block: int, *, seed: int = 0) -> PowerModel:
    """Fit a cluster's power; intervals by resampling blocks, since neighbouring steps are alike.

    Args:
        load: what the cluster did.
        power_w: what it drew. [W]
        block: steps of a block, some hours long.
        seed: of the resampling.

    Raises:
        BadInputError: fewer steps than three blocks, or power that is not positive.
    """
    if len(power_w) < 3 * block:
        raise BadInputError(f"power fit: {len(power_w)} steps are fewer than three blocks of {block}; give more data")
    if not np.all(power_w > 0.0):
        raise BadInputError(f"power fit: measured power goes down to {np.nanmin(power_w):g} W; leave such steps out")
    design = load.columns()
    best = least_relative_error(design, power_w)
    rng = stream(seed, "power-fit")
    blocks = len(power_w) // block
    samples = []
    for _ in range(BOOTSTRAPS):
        rows = np.concatenate([np.arange(b * block, (b + 1) * block) for b in rng.integers(0, blocks, size=blocks)])
        thin = rows[:: max(1, block // 60)]
        samples.append(least_relative_error(design[thin], power_w[thin]))
    low, high = np.quantile(np.array(samples), [0.1, 0.9], axis=0)
    return PowerModel(
        base_w=float(best[0]),
        per_used_host_w=float(best[1]),
        per_busy_host_w=float(best[2]),
        low_w=(float(low[0]), float(low[1]), float(low[2])),
        high_w=(float(high[0]), float(high[1]), float(high[2])),
    )


def held_out(load: ClusterLoad, power_w: Array, day: NDArray[np.integer], out: Sequence[int]) -> Array:
    """Power predicted for the days in ``out`` by a fit to all others, shape (steps of those days,). [W]"""
    hidden = np.isin(day, out)
    fit = least_relative_error(load.columns()[~hidden], power_w[~hidden])
    predicted: Array = load.columns()[hidden] @ fit
    return predicted


def mape_pct(predicted: Array, measured: Array) -> float:
    """Mean absolute percentage error. [%]"""
    return 100.0 * float(np.abs(predicted / measured - 1.0).mean())


def cvrmse_pct(predicted: Array, measured: Array) -> float:
    """Root mean square error over the mean of the measured. [%]"""
    return 100.0 * float(np.sqrt(((predicted - measured) ** 2).mean()) / measured.mean())
