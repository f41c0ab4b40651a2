"""A regular series with its local calendar: the input of every forecaster."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from twin.units import SECONDS_PER_DAY

Array = NDArray[np.float64]
Index = NDArray[np.int64]


class SeriesKind(StrEnum):
    """What a series counts or measures; decides limits and rounding."""

    LOAD = "load"
    """Power or energy, not negative."""
    OCCUPANCY = "occupancy"
    """People: not negative, whole when the record is whole."""
    SERVER = "server"
    """CPU or power of machines, not negative."""
    SIGNAL = "signal"
    """Anything else, such as a temperature: no limits."""


@dataclass(frozen=True)
class Series:
    """Values on a regular grid from ``start``, left-labelled, NaN where nothing was recorded."""

    name: str
    start: datetime
    step_s: float
    values: Array
    time_zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    holidays: frozenset[date] = frozenset()
    kind: SeriesKind = SeriesKind.LOAD
    upper: float | None = None
    """Largest possible value (capacity), if there is one."""

    @property
    def per_day(self) -> int:
        """Steps of a day."""
        return round(SECONDS_PER_DAY / self.step_s)

    @property
    def per_hour(self) -> int:
        """Steps of an hour, at least one."""
        return max(1, round(3600.0 / self.step_s))

    @property
    def whole(self) -> bool:
        """Whether every recorded value is a whole number of people."""
        known = self.values[~np.isnan(self.values)]
        return self.kind is SeriesKind.OCCUPANCY and bool(np.all(known == np.rint(known)))

    def until(self, length: int) -> Series:
        """The first ``length`` steps."""
        return replace(self, values=self.values[:length])

    def limited(self, values: Array, *, whole: bool) -> Array:
        """Values within what this kind of series can be."""
        if self.kind is not SeriesKind.SIGNAL:
            values = np.maximum(values, 0.0)
        if self.upper is not None:
            values = np.minimum(values, self.upper)
        return np.rint(values) if whole else values


@dataclass(frozen=True)
class Calendar:
    """Local day and time of day of every step of a series and of ``ahead`` steps after it."""

    start: datetime
    step_s: float
    steps: int
    time_zone: ZoneInfo
    holidays: frozenset[date]

    @classmethod
    def of(cls, series: Series, ahead: int) -> Calendar:
        """Calendar of a series, ``ahead`` steps beyond its end."""
        return cls(series.start, series.step_s, len(series.values) + ahead, series.time_zone, series.holidays)

    @property
    def per_day(self) -> int:
        """Steps of a day."""
        return round(SECONDS_PER_DAY / self.step_s)

    @cached_property
    def _local(self) -> tuple[Index, Index]:
        """Local day number since the first, and slot of the day, of each step."""
        import pandas as pd

        stamps = pd.date_range(self.start.astimezone(UTC), periods=self.steps, freq=pd.Timedelta(seconds=self.step_s))
        local = stamps.tz_convert(self.time_zone).tz_localize(None)
        midnight = local.normalize()
        day = ((midnight - midnight[0]) // pd.Timedelta(days=1)).to_numpy().astype(np.int64)
        slot = ((local - midnight) // pd.Timedelta(seconds=self.step_s)).to_numpy().astype(np.int64)
        return day, np.minimum(slot, self.per_day - 1)

    @property
    def day(self) -> Index:
        """Local day number of each step."""
        return self._local[0]

    @property
    def slot(self) -> Index:
        """Step of the local day of each step."""
        return self._local[1]

    @cached_property
    def weekday(self) -> Index:
        """Weekday (Monday 0) of each local day, a holiday being a Sunday (6)."""
        first = self.start.astimezone(self.time_zone).date()
        days = [first + timedelta(days=int(k)) for k in range(int(self.day[-1]) + 1)]
        return np.array([6 if day in self.holidays else day.weekday() for day in days], dtype=np.int64)

    @cached_property
    def day_class(self) -> Index:
        """0 working day, 1 Saturday, 2 Sunday or holiday, of each local day."""
        classes: Index = np.maximum(self.weekday - 4, 0)
        return classes

    @cached_property
    def grid(self) -> Index:
        """Step of each local day and slot, shape (days, slots); -1 where the clock skipped it."""
        grid = np.full((int(self.day[-1]) + 1, self.per_day), -1, dtype=np.int64)
        grid[self.day, self.slot] = np.arange(self.steps)
        return grid
