"""Whether a forecaster's intervals held lately what they promise: rolling coverage, adapted to their misses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.intervals import MISS, Errors, Usual, intervals
from forecasting.series import Array, Series

NOMINAL_PCT = 100.0 * (1.0 - MISS)
LEAST_COVERAGE_PCT = 0.8 * NOMINAL_PCT
"""Intervals that hold less often lie: their forecaster is not chosen."""
WINDOW_DAYS = 28
JUDGED_DAYS = 2
"""Of each forecast: a longer one would be judged only when its whole horizon has passed."""
FEWEST_ORIGINS = 8
"""Below it coverage is not judged: half of them only fill the pool of errors."""
FEWEST_VALUES = 24


@dataclass(frozen=True)
class Hindsight:
    """How the intervals of past forecasts did."""

    coverage_pct: float | None
    """Share of the values of at most the last four weeks inside the 80 % interval; None: too few to tell."""
    days: float
    """Over which it was judged."""
    aim: float
    """Miss rate that the intervals aim at after all these misses."""

    @property
    def lies(self) -> bool:
        """Whether the intervals held too seldom."""
        return self.coverage_pct is not None and self.coverage_pct < LEAST_COVERAGE_PCT


def bounded(series: Series, medians: Array, low: Array, high: Array, *, whole: bool) -> tuple[Array, Array]:
    """Bounds around the median and within what the series can be."""
    return (
        series.limited(np.minimum(low, medians), whole=whole),
        series.limited(np.maximum(high, medians), whole=whole),
    )


def hindsight(errors: Errors, series: Series, usual: Usual, *, whole: bool) -> Hindsight:
    """Intervals as they would have been given at the later half of past origins, against what came true.

    Args:
        errors: past forecasts with what came true; the earlier half fills the pool.
        series: what is known.
        usual: usual size of errors.
        whole: whether the series counts people in whole numbers.
    """
    if len(errors.origins) < FEWEST_ORIGINS:
        return Hindsight(coverage_pct=None, days=0.0, aim=MISS)
    errors = errors.ahead(JUDGED_DAYS * series.per_day)
    half = len(errors.origins) // 2
    earlier, later = errors.rows(slice(None, half)), errors.rows(slice(half, None))
    found = intervals(earlier, series, later.origins, later.medians, usual)
    low, high = bounded(series, later.medians, found.low, found.high, whole=whole)
    rows = later.origins > later.origins[-1] - WINDOW_DAYS * series.per_day
    days = float(np.ptp(later.origins[rows])) / series.per_day
    inside = (later.actual >= low - 1e-9) & (later.actual <= high + 1e-9)
    known = ~np.isnan(later.actual) & rows[:, None]
    share = 100.0 * float(inside[known].mean()) if known.sum() >= FEWEST_VALUES else None
    return Hindsight(coverage_pct=share, days=days, aim=found.aim)
