"""A weekly profile from the last weeks, holidays as Sundays, corrected by the level of the last days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.forecaster import Fitted, filled, season_of
from forecasting.series import Array, Calendar, Index, Series

WEEKS = 6


def profile(series: Series, calendar: Calendar, season_days: int, least_days: int) -> Array:
    """Median of the same local time over the last seasons, for every step of the calendar.

    A step's profile uses values of at least ``least_days`` days before it, so it may be used for any forecast that
    reaches no further ahead. A holiday looks back to Sundays; holidays are no donors of ordinary days.
    """
    stack = np.stack([_donor(series, calendar, season_days, k, least_days) for k in range(WEEKS)])
    return median_of_known(stack)


def median_of_known(stack: Array) -> Array:
    """Median over the first axis of the values that are not NaN; NaN where all are."""
    ordered = np.sort(stack, axis=0)  # NaN sorts last
    count = (~np.isnan(stack)).sum(axis=0)
    upper = np.take_along_axis(ordered, np.minimum(count // 2, len(stack) - 1)[None], axis=0)[0]
    lower = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0)[None], axis=0)[0]
    median: Array = np.where(count > 0, 0.5 * (lower + upper), np.nan)
    return median


def _donor(series: Series, calendar: Calendar, season_days: int, k: int, least_days: int) -> Array:
    """Values of the k-th donor day of each step; NaN where there is none."""
    days = np.arange(len(calendar.weekday))
    if season_days == 1:
        donor = days - least_days - k
    else:
        true_weekday = (_first_weekday(calendar) + days) % 7
        back = np.where(calendar.weekday == 6, (true_weekday + 1) % 7, 0)  # to the last Sunday
        weeks = np.ceil(np.maximum(max(least_days, 1) - back, 0) / 7).astype(np.int64)
        donor = days - back - 7 * (weeks + k)
    usable = donor >= 0
    if season_days != 1:
        usable &= calendar.weekday[np.maximum(donor, 0)] == calendar.weekday
    row = np.where(usable, donor, 0)
    past = np.where(usable[calendar.day], calendar.grid[row[calendar.day], calendar.slot], -1)
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
