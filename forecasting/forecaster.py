"""The contract of a forecaster, and the seasonal-naive one that all others must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from forecasting.series import Array, Calendar, Index, Series


class Fitted(Protocol):
    """A forecaster that has learnt from a history."""

    def predict(self, series: Series, origins: Index, horizon: int) -> Array:
        """Median forecast of the ``horizon`` steps from each origin on, shape (origins, horizon).

        Args:
            series: a series that begins where the history began; of it only values before each origin are used.
            origins: first step that is forecast; may be the length of the series.
            horizon: how many steps.
        """
        ...


class Forecaster(Protocol):
    """A way to forecast."""

    @property
    def name(self) -> str:
        """Short name, unique among candidates."""
        ...

    def fit(self, history: Series) -> Fitted:
        """Learns from a history; deterministic."""
        ...


@dataclass(frozen=True)
class SeasonalNaive:
    """The value at the same local time one season ago, or the latest such time that is known."""

    season_days: int = 7
    name: str = "seasonal_naive"

    def fit(self, history: Series) -> Fitted:
        """Nothing is learnt."""
        return self

    def predict(self, series: Series, origins: Index, horizon: int) -> Array:
        """As the class says; where nothing is known, the median of what is known before the origin."""
        calendar = Calendar.of(series, horizon)
        steps = origins[:, None] + np.arange(horizon)
        guess = np.full(steps.shape, np.nan)
        for seasons in range(1, 9):
            past = values_before(series, calendar, steps, origins, seasons * self.season_days)
            guess = np.where(np.isnan(guess), past, guess)
        return filled(guess, series, origins)


def season_of(series: Series) -> int:
    """Season in days: a week when at least two weeks are recorded, else a day."""
    return 7 if len(series.values) >= 14 * series.per_day else 1


def values_before(series: Series, calendar: Calendar, steps: Index, origins: Index, days: int | Index) -> Array:
    """Values at the same local time ``days`` earlier; NaN where not known before the origin."""
    day = calendar.day[steps] - days
    past = np.where(day >= 0, calendar.grid[np.maximum(day, 0), calendar.slot[steps]], -1)
    known = (past >= 0) & (past < origins[:, None]) & (past < len(series.values))
    found: Array = np.where(known, series.values[np.where(known, past, 0)], np.nan)
    return found


def filled(guess: Array, series: Series, origins: Index) -> Array:
    """The guess with its holes filled by the median of what is known before each origin (0 when nothing is)."""
    if not np.isnan(guess).any():
        return guess
    result = guess.copy()
    for row, origin in enumerate(origins):
        holes = np.isnan(result[row])
        if holes.any():
            known = series.values[:origin]
            known = known[~np.isnan(known)]
            result[row, holes] = np.median(known) if len(known) else 0.0
    return result
