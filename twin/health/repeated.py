"""Days that come again to the last digit: no sensor of a living building shows the same day twice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from twin.health.finding import Finding, FindingKind
from twin.health.series import Series
from twin.units import SECONDS_PER_DAY
from twin.vocab import PointKind

Places = NDArray[np.int64]
LEAST_VALUES = 12
"""Different values of a day below which it may come again by itself, as a day of rest does."""
LIVING = frozenset(
    {
        PointKind.ZONE_AIR_TEMPERATURE,
        PointKind.ZONE_CO2,
        PointKind.ZONE_RELATIVE_HUMIDITY,
        PointKind.ZONE_SUPPLY_AIR_FLOW,
        PointKind.ZONE_SUPPLY_AIR_TEMPERATURE,
        PointKind.OUTDOOR_AIR_TEMPERATURE,
        PointKind.OUTDOOR_RELATIVE_HUMIDITY,
        PointKind.WIND_SPEED,
        PointKind.GLOBAL_HORIZONTAL_IRRADIANCE,
        PointKind.DIRECT_NORMAL_IRRADIANCE,
        PointKind.DIFFUSE_HORIZONTAL_IRRADIANCE,
        PointKind.ELECTRIC_POWER,
        PointKind.GAS_POWER,
        PointKind.HVAC_ELECTRIC_POWER,
        PointKind.FAN_POWER,
        PointKind.COOLING_POWER,
        PointKind.HEATING_ELECTRIC_POWER,
        PointKind.HEATING_GAS_POWER,
        PointKind.AHU_SUPPLY_AIR_TEMPERATURE,
        PointKind.AHU_SUPPLY_AIR_FLOW,
        PointKind.AHU_OUTDOOR_AIR_FRACTION,
    }
)
"""What weather and people move; schedules and clocks may repeat."""


def repeated(series: Series) -> Iterator[Finding]:
    """Spans of days that are copies of others, each with the span that it equals; which is the copy is not known.

    Days are those of UTC; a day counts when it has as many rows as the step allows.
    """
    if series.point.kind not in LIVING:
        return
    per_day = round(SECONDS_PER_DAY / series.step_s)
    starts = np.flatnonzero(series.times_s[: 1 - per_day or None] % SECONDS_PER_DAY < series.step_s)
    whole = starts[series.times_s[starts + per_day - 1] - series.times_s[starts] < SECONDS_PER_DAY]
    first_seen: dict[bytes, int] = {}
    pairs: list[tuple[int, int]] = []
    for start in whole:
        values = series.values[start : start + per_day]
        if len(np.unique(values)) < LEAST_VALUES:
            continue
        earlier = first_seen.setdefault(values.tobytes(), int(start))
        if earlier != start:
            pairs.append((earlier, int(start)))
    for earlier, later, rows in _spans(series, pairs, per_day):
        yield _copy(series, later, earlier, rows)
        yield _copy(series, earlier, later, rows)


def _spans(series: Series, pairs: list[tuple[int, int]], per_day: int) -> Iterator[tuple[int, int, int]]:
    """First rows of both and number of rows: days in a row together, and rows before and after that are equal too."""
    done = 0
    for earlier, later in pairs:
        if later < done:
            continue
        before, after = 0, per_day
        while _same(series, earlier - before - 1, later - before - 1):
            before += 1
        while _same(series, earlier + after, later + after):
            after += 1
        done = later + after
        yield earlier - before, later - before, before + after


def _same(series: Series, one: int, other: int) -> bool:
    return one >= 0 and other < len(series.values) and bool(series.values[one] == series.values[other])


def _copy(series: Series, first: int, other: int, rows: int) -> Finding:
    days = rows * series.step_s / SECONDS_PER_DAY
    sentence = (
        f"{days:.1f} days from {series.moment(first):%Y-%m-%d} UTC equal those from {series.moment(other):%Y-%m-%d} "
        "to the last digit; one is a copy, and as nothing shows which, both are kept out of calibration"
    )
    return series.finding(FindingKind.REPEATED, first, first + rows - 1, sentence, excluded=True, days=days)
