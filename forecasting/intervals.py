"""Intervals that keep their promise: quantiles of past errors, by kind of hour and distance, adapted as errors come in.

Split conformal prediction with errors scaled by the size that is usual at that hour, grouped by quiet and busy hours
and by band of the horizon; the miss rate aimed at is adapted by the misses seen (Gibbs and Candès, Adaptive conformal
inference under distribution shift, 2021). An error enters only after its time has passed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.profile import profile
from forecasting.series import Array, Calendar, Index, Series

MISS = 0.2
ADAPT = 0.05
POOL_ORIGINS = 90
BANDS_H = (6, 24, 10_000)


@dataclass(frozen=True)
class Usual:
    """The usual size of errors by kind of day and slot, and which of these hours are quiet."""

    scale: Array
    """Shape (3 classes of day, slots)."""
    quiet: Array
    """1 where the hour is quiet, same shape."""

    def at(self, calendar: Calendar, steps: Index) -> tuple[Array, Index]:
        """Scale and group (0 busy, 1 quiet) of steps."""
        classes, slots = calendar.day_class[calendar.day[steps]], calendar.slot[steps]
        return self.scale[classes, slots], self.quiet[classes, slots].astype(np.int64)


def usual_errors(history: Series, season_days: int, weeks: int = 10) -> Usual:
    """Mean absolute error of the profile by kind of day and slot over the last weeks, smoothed over the hour."""
    calendar = Calendar.of(history, 1)
    shape = profile(history, calendar, season_days, 1)[: len(history.values)]
    error = np.abs(history.values - shape)
    first = max(0, len(error) - weeks * 7 * history.per_day)
    table = np.full((3, history.per_day), np.nan)
    for kind in range(3):
        for slots, sizes in _by_slot(error[first:], calendar, first, kind, history.per_day):
            table[kind, slots] = sizes
    typical = float(np.nanmean(table)) if not np.isnan(table).all() else 1.0
    typical = typical if typical > 0 else 1.0
    table = np.where(np.isnan(table), typical, table)
    width = 2 * history.per_hour + 1
    padded = np.concatenate([table[:, -width:], table, table[:, :width]], axis=1)
    kernel = np.ones(width) / width
    smooth = np.stack([np.convolve(row, kernel, mode="same")[width:-width] for row in padded])
    quiet = smooth < 0.25 * typical
    return Usual(scale=np.maximum(smooth, 0.05 * typical), quiet=quiet.astype(float))


def _by_slot(error: Array, calendar: Calendar, first: int, kind: int, per_day: int) -> list[tuple[Index, Array]]:
    steps = first + np.arange(len(error))
    use = (calendar.day_class[calendar.day[steps]] == kind) & ~np.isnan(error)
    slots = calendar.slot[steps][use]
    total = np.bincount(slots, weights=error[use], minlength=per_day)
    count = np.bincount(slots, minlength=per_day)
    seen = np.flatnonzero(count > 0)
    return [(seen, total[seen] / count[seen])]


@dataclass(frozen=True)
class Errors:
    """Past forecasts with what came true."""

    origins: Index
    medians: Array
    """Shape (origins, horizon)."""
    actual: Array
    """NaN where not known, same shape."""

    def rows(self, which: slice) -> Errors:
        """Some of the forecasts."""
        return Errors(origins=self.origins[which], medians=self.medians[which], actual=self.actual[which])

    def ahead(self, steps: int) -> Errors:
        """The first steps of each forecast."""
        return Errors(origins=self.origins, medians=self.medians[:, :steps], actual=self.actual[:, :steps])


def came_true(series: Series, origins: Index, horizon: int) -> Array:
    """Values from each origin on, shape (origins, horizon); NaN where not known yet."""
    steps = origins[:, None] + np.arange(horizon)
    known = steps < len(series.values)
    return np.where(known, series.values[np.where(known, steps, 0)], np.nan)


@dataclass(frozen=True)
class Bounds:
    """Lower and upper bounds of forecasts, shape (origins, horizon) each, and the miss rate aimed at after the last."""

    low: Array
    high: Array
    aim: float


def intervals(
    past: Errors, series: Series, origins: Index, medians: Array, usual: Usual, aim: float = MISS, miss: float = MISS
) -> Bounds:
    """Bounds of forecasts made at ``origins`` in turn.

    Args:
        past: earlier forecasts, of any origins before; together with those of ``origins`` itself they form the pool.
        series: what is known, to judge forecasts whose time has passed.
        origins: in rising order.
        medians: forecasts made at them, shape (origins, horizon).
        usual: usual size of errors.
        aim: miss rate to begin with, as earlier misses left it.
        miss: share that may lie outside.
    """
    horizon, earlier = medians.shape[1], len(past.origins)
    calendar = Calendar.of(series, horizon)
    pool = _Pool(past, series, origins, medians, usual, calendar)
    lows, highs = np.empty_like(medians), np.empty_like(medians)

    def learnt(aim: float, first: int, end: int) -> float:
        for row in range(first, end):
            missed = _missed(pool.actual[earlier + row], lows[row], highs[row])
            aim = float(np.clip(aim + ADAPT * (miss - missed), 0.02, 0.6)) if missed is not None else aim
        return aim

    judged = 0
    for row, origin in enumerate(origins):
        closed = min(max(_closed(pool, origin - horizon) - earlier, judged), row)
        aim, judged = learnt(aim, judged, closed), closed
        scale, group = usual.at(calendar, origin + np.arange(horizon))
        low, high = pool.quantiles(origin, group, aim)
        lows[row], highs[row] = medians[row] + low * scale, medians[row] + high * scale
    ended = max(_closed(pool, len(series.values) - horizon) - earlier, judged)
    return Bounds(low=lows, high=highs, aim=learnt(aim, judged, ended))


def _closed(pool: _Pool, last: int) -> int:
    """Number of forecasts whose time has passed."""
    return int(np.searchsorted(pool.origins, last, side="right"))


def widening(errors: Array, drawn: Array, aim: float) -> float:
    """Factor, at least 1, by which drawn errors spread too little for intervals that aim at a miss rate."""
    wanted, given = _width(errors, aim), _width(drawn, MISS)
    return max(1.0, wanted / given) if given > 0.0 else 1.0


def _width(errors: Array, miss: float) -> float:
    """Width of the middle of errors, all but a share; 0 when none is known."""
    known = errors[~np.isnan(errors)]
    return float(np.diff(np.quantile(known, (miss / 2, 1 - miss / 2)))[0]) if len(known) else 0.0


def _missed(actual: Array, low: Array, high: Array) -> float | None:
    known = ~np.isnan(actual)
    if not known.any():
        return None
    return float(((actual < low) | (actual > high))[known].mean())


class _Pool:
    """Scaled errors of all forecasts, of which each origin sees those whose time has passed."""

    def __init__(
        self, past: Errors, series: Series, origins: Index, medians: Array, usual: Usual, calendar: Calendar
    ) -> None:
        horizon = medians.shape[1]
        self.origins = np.concatenate([past.origins, origins])
        self.actual = np.concatenate([past.actual, came_true(series, origins, horizon)])
        of_all = np.concatenate([past.medians, medians])
        self.steps = self.origins[:, None] + np.arange(horizon)
        scale, self.group = usual.at(calendar, self.steps)
        self.error = (self.actual - of_all) / scale
        per_hour = series.per_hour
        self.band = np.searchsorted(np.array(BANDS_H) * per_hour, np.arange(horizon), side="right")

    def quantiles(self, origin: int, group: Index, aim: float) -> tuple[Array, Array]:
        """Bounds of the scaled error for each step ahead of an origin."""
        last = int(np.searchsorted(self.origins, origin, side="left"))
        rows = slice(max(0, last - POOL_ORIGINS), last)
        visible = ~np.isnan(self.error[rows]) & (self.steps[rows] < origin)
        low, high = np.zeros(len(group)), np.zeros(len(group))
        for band in np.unique(self.band):
            for kind in np.unique(group[self.band == band]):
                ahead = (self.band == band) & (group == kind)
                errors = self._errors(rows, visible, band, int(kind))
                if len(errors):
                    low[ahead], high[ahead] = np.quantile(errors, (aim / 2, 1 - aim / 2))
        return np.minimum(low, 0.0), np.maximum(high, 0.0)

    def _errors(self, rows: slice, visible: NDArray[np.bool_], band: int, kind: int) -> Array:
        """Errors of a band and kind of hour; of all when there are fewer than thirty."""
        chosen = visible & (self.band == band) & (self.group[rows] == kind)
        if chosen.sum() < 30:
            chosen = visible
        found: Array = self.error[rows][chosen]
        return found
