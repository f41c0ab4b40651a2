"""Series with a known answer: an office week, with or without noise, levels and holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np

from forecasting.series import Calendar, Series, SeriesKind
from twin.streams import stream

START = datetime(2023, 1, 2, 6, tzinfo=UTC)
ZONE = ZoneInfo("America/Chicago")


def office_week(
    weeks: int, *, noise: float = 0.0, holidays: frozenset[date] = frozenset(), kind: SeriesKind = SeriesKind.LOAD
) -> Series:
    """30 at night, 100 from 8 to 18 h local on working days; noise is autocorrelated (0.8 per hour)."""
    empty = Series("office", START, 3600.0, np.zeros(weeks * 168), ZONE, holidays, kind)
    calendar = Calendar.of(empty, 0)
    working = calendar.day_class[calendar.day] == 0
    busy = working & (calendar.slot >= 8) & (calendar.slot < 18)
    base = np.where(busy, 100.0, 30.0) if kind is SeriesKind.LOAD else np.where(busy, 20.0, 0.0)
    error = np.zeros(len(base))
    rng = stream(1, "noise")
    for hour in range(1, len(base)):
        error[hour] = 0.8 * error[hour - 1] + noise * rng.normal()
    values = base + error
    if kind is SeriesKind.OCCUPANCY:
        values = np.rint(np.maximum(values, 0.0)) * busy
    return Series("office", START, 3600.0, values, ZONE, holidays, kind)
