"""A weekly profile from the last weeks, holidays as Sundays, corrected by the level of the last days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.forecaster import Fitted, filled, season_of
from forecasting.series import Array, Calendar, Index, Series

WEEKS = 6


def profile(series: Series, calendar: Calendar, season_days: int, least_days: int) -> Array:
    """Median of the same local time over the last weeks, for every step of the calendar.

    A step's profile uses values of at least ``least_days`` days before it, so it may be used for any forecast that
    reaches no further ahead. A holiday looks back to Sundays; holidays are no donors of ordinary days. While fewer than
    three weeks are known (or the season is a day), the last days of the same class stand in.
    """
    least = max(least_days, 1)
    by_class = np.stack([_values(series, calendar, days) for days in _same_class(calendar, least)])
    if season_days == 1:
        return median_of_known(by_class)
    by_week = np.stack([_values(series, calendar, _weeks_back(calendar, k, least)) for k in range(WEEKS)])
    weekly = median_of_known(by_week)
    few = (~np.isnan(by_week)).sum(axis=0) < 3
    both: Array = np.where(few, median_of_known(np.concatenate([by_week, by_class])), weekly)
    return both


def median_of_known(stack: Array) -> Array:
    """Median over the first axis of the values that are not NaN; NaN where all are."""
    ordered = np.sort(stack, axis=0)  # NaN sorts last
    count = (~np.isnan(stack)).sum(axis=0)
    upper = np.take_along_axis(ordered, np.minimum(count // 2, len(stack) - 1)[None], axis=0)[0]
    lower = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0)[None], axis=0)[0]
    median: Array = np.where(count > 0, 0.5 * (lower + upper), np.nan)
    return median


def _weeks_back(calendar: Calendar, k: int, least_days: int) -> Index:
    """The k-th donor of each day: the same weekday some weeks ago, for a holiday a Sunday; -1 where there is none."""
    days = np.arange(len(calendar.weekday))
    true_weekday = (_first_weekday(calendar) + days) % 7
    back = np.where(calendar.weekday == 6, (true_weekday + 1) % 7, 0)  # to the last Sunday
    weeks = np.ceil(np.maximum(least_days - back, 0) / 7).astype(np.int64)
    donor = days - back - 7 * (weeks + k)
    same = calendar.weekday[np.maximum(donor, 0)] == calendar.weekday
    found: Index = np.where((donor >= 0) & same, donor, -1)
    return found


def _same_class(calendar: Calendar, least_days: int) -> list[Index]:
    """Up to six donors of each day among the last days of its class, or of any class where there are none."""
    classes = calendar.day_class
    donors = np.full((WEEKS, len(classes)), -1, dtype=np.int64)
    seen: dict[int, list[int]] = {}
    for day in range(len(classes)):
        enters = day - least_days
        if enters >= 0:
            seen.setdefault(int(classes[enters]), []).append(enters)
        same = seen.get(int(classes[day]), [])[-WEEKS:] or list(range(max(enters - WEEKS + 1, 0), enters + 1))
        donors[: len(same), day] = same
    return list(donors)


def _values(series: Series, calendar: Calendar, donor: Index) -> Array:
    """Values at the same local time of each day's donor; NaN where there is none."""
    of_step = donor[calendar.day]
    past = np.where(of_step >= 0, calendar.grid[np.maximum(of_step, 0), calendar.slot], -1)
    known = (past >= 0) & (past < len(series.values))
    return np.where(known, series.values[np.where(known, past, 0)], np.nan)


def _first_weekday(calendar: Calendar) -> int:
    return calendar.start.astimezone(calendar.time_zone).weekday()


@dataclass(frozen=True)
class WeeklyProfile:
    """Profile plus the error of the last day, which fades with the distance."""

    fade_h: float = 24.0
    name: str = "weekly_profile"

    def fit(self, history: Series) -> Fitted:
        """Nothing is learnt beyond what the recent weeks say."""
        return self

    def predict(self, series: Series, origins: Index, horizon: int) -> Array:
        """Profile with level correction."""
        calendar = Calendar.of(series, horizon)
        least = int(np.ceil(horizon / series.per_day))
        shape = profile(series, calendar, season_of(series), least)
        error = recent_error(series, shape, origins, series.per_day)
        fade = np.exp(-np.arange(1, horizon + 1) / (self.fade_h * series.per_hour))
        steps = origins[:, None] + np.arange(horizon)
        return filled(shape[steps] + error[:, None] * fade, series, origins)


@dataclass(frozen=True)
class ScaledProfile:
    """Profile times the ratio of the last days to what the profile said of them: follows vacations and terms."""

    days: int = 5
    name: str = "scaled_profile"

    def fit(self, history: Series) -> Fitted:
        """Nothing is learnt beyond what the recent weeks say."""
        return self

    def predict(self, series: Series, origins: Index, horizon: int) -> Array:
        """Profile with the ratio of the recent days, between a fifth and five."""
        calendar = Calendar.of(series, horizon)
        shape = profile(series, calendar, season_of(series), int(np.ceil(horizon / series.per_day)))
        known = np.where(np.isnan(series.values), np.nan, shape[: len(series.values)])
        window = self.days * series.per_day
        expected = mean_before(known, origins, window)
        ratio = np.divide(
            mean_before(np.where(np.isnan(known), np.nan, series.values), origins, window),
            expected,
            out=np.ones(len(origins)),
            where=expected > 1e-9,
        )
        steps = origins[:, None] + np.arange(horizon)
        return filled(shape[steps] * np.clip(ratio, 0.2, 5.0)[:, None], series, origins)


def recent_error(series: Series, shape: Array, origins: Index, window: int) -> Array:
    """Mean error of the profile over the window before each origin; 0 where nothing is known."""
    error = series.values - shape[: len(series.values)]
    return mean_before(error, origins, window)


def mean_before(values: Array, origins: Index, window: int) -> Array:
    """Mean of the known values in the window before each origin; 0 where there are none."""
    known = ~np.isnan(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    count = np.concatenate([[0], np.cumsum(known)])
    first = np.maximum(origins - window, 0)
    number = count[origins] - count[first]
    mean: Array = np.where(number > 0, (total[origins] - total[first]) / np.maximum(number, 1), 0.0)
    return mean
