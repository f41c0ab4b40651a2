"""Medians and 80 % intervals of paired runs, with the structural error of the model in them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LOW, HIGH = 0.10, 0.90
_POINTS = 49
_NORMAL = np.array([NormalDist().inv_cdf((i + 0.5) / _POINTS) for i in range(_POINTS)])
_DIGITS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A median with the bounds of its 80 % interval."""

    value: float
    low: float
    high: float

    def rounded(self) -> dict[str, float]:
        """The three numbers to ten significant digits, so that files do not carry the last bits of a machine."""
        return {name: significant(getattr(self, name)) for name in ("value", "low", "high")}


def significant(value: float) -> float:
    """The value to ten significant digits; a negative zero becomes zero."""
    return float(f"{value:.{_DIGITS}g}") + 0.0


def mixture_interval(values: Array, spread: Array) -> Interval:
    """Median and 80 % interval of an equal mixture of normal distributions, one per run.

    Deterministic: each normal stands as 49 equally likely points. With no spread it is the interval of the values.

    Args:
        values: result of each run, shape (runs,).
        spread: standard deviation of what the model's structure leaves open in each run, shape (runs,).
    """
    points = np.sort((values[:, None] + spread[:, None] * _NORMAL).ravel())
    low, high = np.quantile(points, (LOW, HIGH))
    return Interval(value=float(np.median(values)), low=float(low), high=float(high))
