"""Direct multi-step regression of the profile's error on what is known at the origin, by bands of the horizon.

The target is what the weekly profile leaves: so a series without further structure gets the profile back. Robust
(iteratively reweighted towards least absolute error) and ridge-shrunk; closed forms, so that a series fits in
milliseconds. Sources: least absolute deviations by reweighting (Schlossmacher 1973); ridge (Hoerl and Kennard 1970).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from forecasting.forecaster import Fitted, filled, season_of, values_before
from forecasting.profile import mean_before, profile
from forecasting.series import Array, Calendar, Index, Series

BAND_EDGES_H = (0, 1, 2, 3, 4, 6, 9, 12, 18, 24, 36, 48, 72, 120, 168)
MAX_ORIGINS = 500
MAX_ROWS = 2000
REWEIGHTINGS = 3


@dataclass(frozen=True)
class Known:
    """What is known at origins about the steps ahead of them."""

    features: Array
    """Shape (origins, horizon, features)."""
    shape: Array
    """The profile at these steps, shape (origins, horizon)."""


def known_at(series: Series, origins: Index, horizon: int) -> Known:
    """Features of every step ahead of every origin, in units of the series, NaN-free."""
    calendar = Calendar.of(series, horizon)
    season = season_of(series)
    whole = profile(series, calendar, season, int(np.ceil(horizon / series.per_day)))
    whole = np.where(np.isnan(whole), _typical(series, origins), whole)
    steps = origins[:, None] + np.arange(horizon)
    shape = whole[steps]
    error = series.values - whole[: len(series.values)]
    of_error = Series(series.name, series.start, series.step_s, error, series.time_zone, series.holidays)
    ahead = _same_slot_errors(of_error, calendar, steps, origins)
    level = [mean_before(error, origins, window * series.per_hour) for window in (1, 3, 24, 168)]
    relative = [
        value / np.maximum(mean_before(whole[: len(error)], origins, w * series.per_hour), 1e-9)
        for value, w in zip(level[2:], (24, 168), strict=True)
    ]
    working = (calendar.day_class[calendar.day[steps]] == 0).astype(float)
    columns = [np.broadcast_to(value[:, None], steps.shape) for value in level]
    columns += [np.clip(value, -1, 1)[:, None] * shape for value in relative]
    columns += [level[2][:, None] * working, level[3][:, None] * working, *ahead]
    columns += _constants(shape, working, calendar, steps)
    return Known(features=np.stack(columns, axis=2), shape=shape)


def _typical(series: Series, origins: Index) -> float:
    """Median of what is known before the first origin; 0 when nothing is."""
    known = series.values[: max(int(origins.min(initial=len(series.values))), 1)]
    known = known[~np.isnan(known)]
    return float(np.median(known)) if len(known) else 0.0


def _same_slot_errors(error: Series, calendar: Calendar, steps: Index, origins: Index) -> list[Array]:
    """Errors at the same local time: the last known day, the last known day of the same class, last week."""
    last = np.full(steps.shape, np.nan)
    last_same = np.full(steps.shape, np.nan)
    same_sum, same_count = np.zeros(steps.shape), np.zeros(steps.shape)
    classes = calendar.day_class
    for days in range(1, 11):
        past = values_before(error, calendar, steps, origins, days)
        day = calendar.day[steps]
        same = (day >= days) & (classes[day] == classes[np.maximum(day - days, 0)])
        last = np.where(np.isnan(last), past, last)
        use = same & ~np.isnan(past)
        last_same = np.where(np.isnan(last_same) & use, past, last_same)
        same_sum, same_count = same_sum + np.where(use, past, 0.0), same_count + use
    week = values_before(error, calendar, steps, origins, 7)
    mean_same = same_sum / np.maximum(same_count, 1)
    return [np.nan_to_num(last), np.nan_to_num(last_same), np.nan_to_num(week), mean_same]


def _constants(shape: Array, working: Array, calendar: Calendar, steps: Index) -> list[Array]:
    """Columns that shift and tilt the profile: constants by class of day, its own height, the time of day."""
    angle = 2 * np.pi * calendar.slot[steps] / calendar.per_day
    return [np.ones(steps.shape), working, shape, np.sin(angle), np.cos(angle)]


@dataclass(frozen=True)
class FittedRegression:
    """Coefficients by band of the horizon."""

    coefficients: tuple[Array, ...]
    edges: tuple[int, ...]

    def predict(self, series: Series, origins: Index, horizon: int) -> Array:
        """Profile plus regressed error."""
        known = known_at(series, origins, horizon)
        result = known.shape.copy()
        for band, (first, last) in enumerate(pairwise(self.edges)):
            end = min(last, horizon)
            if first < end:
                result[:, first:end] += known.features[:, first:end] @ self.coefficients[band]
        if horizon > self.edges[-1]:
            result[:, self.edges[-1] :] += known.features[:, self.edges[-1] :] @ self.coefficients[-1]
        return filled(result, series, origins)


@dataclass(frozen=True)
class Regression:
    """Ridge regression on the recent past, by bands of the horizon."""

    horizon_h: int = 48
    shrink: float = 20.0
    """Weight of the penalty, in rows of data."""
    name: str = "regression"

    def fit(self, history: Series) -> Fitted:
        """Coefficients from many origins of the history."""
        horizon = self.horizon_h * history.per_hour
        edges = tuple(edge * history.per_hour for edge in BAND_EDGES_H if edge <= self.horizon_h)
        edges = edges if edges[-1] == horizon else (*edges, horizon)
        origins = training_origins(history, horizon)
        if not len(origins):
            zero = np.zeros(known_at(history, np.array([len(history.values)]), 1).features.shape[2])
            return FittedRegression(coefficients=(zero,) * (len(edges) - 1), edges=edges)
        known = known_at(history, origins, horizon)
        target = _targets(history, origins, horizon) - known.shape
        found = []
        for first, last in pairwise(edges):
            rows = known.features[:, first:last].reshape(-1, known.features.shape[2])
            found.append(robust_ridge(rows, target[:, first:last].ravel(), self.shrink * (last - first)))
        return FittedRegression(coefficients=tuple(found), edges=edges)


def training_origins(history: Series, horizon: int) -> Index:
    """Origins to learn from: spread over all hours of the day, after a first stretch that fills the features."""
    first = min(28, max(2, len(history.values) // history.per_day // 3)) * history.per_day
    last = len(history.values) - horizon
    if last <= first:
        return np.empty(0, dtype=np.int64)
    stride = max(5 * history.per_hour, (last - first) // MAX_ORIGINS)
    stride += 1 if stride % (24 * history.per_hour) == 0 else 0
    return np.arange(first, last + 1, stride, dtype=np.int64)


def _targets(series: Series, origins: Index, horizon: int) -> Array:
    found: Array = series.values[origins[:, None] + np.arange(horizon)]
    return found


def robust_ridge(rows: Array, target: Array, penalty: float) -> Array:
    """Coefficients that make the absolute error small, shrunk towards zero.

    Args:
        rows: features, shape (n, features).
        target: shape (n,); NaN rows are left out, and of very many only some thousand are used.
        penalty: in rows of data; every column is penalised relative to its own size.
    """
    use = np.flatnonzero(~np.isnan(target))
    use = use[:: max(1, len(use) // MAX_ROWS)]
    rows, target = rows[use], target[use]
    if len(target) < 3:
        return np.zeros(rows.shape[1])
    size = np.sqrt((rows**2).mean(axis=0))
    size = np.where(size > 1e-12, size, 1.0)
    scaled = rows / size
    weights = np.ones(len(target))
    coefficients = np.zeros(rows.shape[1])
    for _ in range(REWEIGHTINGS):
        weighted = scaled * weights[:, None]
        gram = weighted.T @ scaled + penalty * weights.mean() * np.eye(rows.shape[1])
        coefficients = np.linalg.solve(gram, weighted.T @ target)
        error = np.abs(target - scaled @ coefficients)
        floor = max(0.5 * float(np.median(error)), 1e-9 + 1e-6 * float(np.abs(target).mean()))
        weights = 1.0 / np.maximum(error, floor)
        weights /= weights.mean()
    found: Array = coefficients / size
    return found
