"""Units that look wrong: a whole series, or one from some row on. Suggestions only, nothing is converted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.health.finding import Finding, FindingKind
from twin.health.series import Series
from twin.units import ENERGY_PER_STEP_J, fahrenheit_to_celsius
from twin.vocab import PointKind

Array = NDArray[np.float64]
_USUAL: dict[PointKind, tuple[float, float]] = {
    PointKind.ZONE_AIR_TEMPERATURE: (8.0, 38.0),
    PointKind.ZONE_HEATING_SETPOINT: (4.0, 32.0),
    PointKind.ZONE_COOLING_SETPOINT: (14.0, 45.0),
    PointKind.ZONE_SUPPLY_AIR_TEMPERATURE: (5.0, 48.0),
    PointKind.AHU_SUPPLY_AIR_TEMPERATURE: (5.0, 48.0),
    PointKind.AHU_SUPPLY_AIR_TEMPERATURE_SETPOINT: (7.0, 45.0),
    PointKind.HOST_INLET_TEMPERATURE: (10.0, 45.0),
}
"""Where the median of a healthy series lies."""
_SITE_W_M2 = (0.3, 500.0)
"""Mean total electricity per floor area of buildings in use. [W/m²]"""
_GAS_W_M2 = 400.0
"""Mean gas per floor area over a day that no building reaches: four times the some 100 W/m² for which heating plant is
sized (BSRIA BG 9/2011, Rules of Thumb, heating loads), which leaves room for kitchens. [W/m²]"""
SHARE_ABOVE = 0.02
_WINDOW_ROWS = 96


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A unit that the numbers may be in, and how to read them then."""

    unit: str
    convert: Callable[[Array], Array]


_TEMPERATURES = (Suspicion("degF", fahrenheit_to_celsius), Suspicion("K", lambda v: v - 273.15))
_POWERS = (Suspicion("kW", lambda v: v * 1e3), Suspicion("milli (W given as kW)", lambda v: v * 1e-3))
_THERM_KWH = ENERGY_PER_STEP_J["therm"] / ENERGY_PER_STEP_J["kWh"]
_GAS = Suspicion("kWh (declared as therm)", lambda v: v / _THERM_KWH)
_SHARES = (Suspicion("percent", lambda v: v * 0.01),)


def _candidates(unit: str) -> tuple[Suspicion, ...]:
    return {"degC": _TEMPERATURES, "W": _POWERS, "fraction": _SHARES}.get(unit, ())


def wrong_unit(series: Series, floor_area_m2: float) -> Iterator[Finding]:
    """Findings about the unit of a whole series, or of its part from one row on."""
    if len(series.values) < 8:
        return
    changed = _jump(series) if series.facts.unit == "degC" else _ratio_change(series)
    suspected = changed if changed is not None else _whole(series, floor_area_m2)
    if suspected is not None:
        yield suspected


def _suspect(series: Series, first: int, last: int, suspicion: Suspicion, shown: float) -> Finding:
    whole = first == 0 and last >= len(series.values) - 1
    span = "throughout" if whole else f"from {series.moment(first):%Y-%m-%d %H:%M} UTC on"
    own = series.facts.unit
    sentence = (
        f"{shown:g} {own} {span} looks like {suspicion.unit}; nothing was converted and the span is kept out of "
        "calibration; correct the unit in site.yaml and read again with 'understudy ingest --anew'"
    )
    return series.finding(FindingKind.WRONG_UNIT, first, last, sentence, excluded=True, example=shown)


def _whole(series: Series, floor_area_m2: float) -> Finding | None:
    facts, middle = series.facts, float(np.median(series.values))
    last = len(series.values) - 1
    low, high = _USUAL.get(series.point.kind, (facts.low, facts.high))
    outside = (series.values < facts.low) | (series.values > facts.high)
    if not low <= middle <= high or float(outside.mean()) > SHARE_ABOVE:
        for suspicion in _candidates(facts.unit):
            read = suspicion.convert(series.values)
            inside = (read >= facts.low) & (read <= facts.high)
            if low <= float(np.median(read)) <= high and float((~inside).mean()) <= SHARE_ABOVE:
                return _suspect(series, 0, last, suspicion, middle)
    if series.point.kind is PointKind.ELECTRIC_POWER and floor_area_m2 > 0:
        density = float(series.values.mean()) / floor_area_m2
        for suspicion in _POWERS:
            fits = _SITE_W_M2[0] <= float(suspicion.convert(np.array([density]))[0]) <= _SITE_W_M2[1]
            if not _SITE_W_M2[0] <= density <= _SITE_W_M2[1] and density > 0 and fits:
                return _suspect(series, 0, last, suspicion, middle)
    if series.point.kind in {PointKind.GAS_POWER, PointKind.HEATING_GAS_POWER} and floor_area_m2 > 0:
        return _too_much_gas(series, floor_area_m2)
    return None


def _too_much_gas(series: Series, floor_area_m2: float) -> Finding | None:
    """More gas on its highest day than any building burns, and a plausible amount if it was kWh instead of therms."""
    days = len(series.values) // _WINDOW_ROWS
    if not days:
        return None
    highest = float(series.values[: days * _WINDOW_ROWS].reshape(days, _WINDOW_ROWS).mean(axis=1).max())
    read = float(_GAS.convert(np.array([highest / floor_area_m2]))[0])
    if highest / floor_area_m2 <= _GAS_W_M2 or read > _GAS_W_M2:
        return None
    return _suspect(series, 0, len(series.values) - 1, _GAS, round(highest))


def _jump(series: Series) -> Finding | None:
    """A change of unit of a temperature: a jump within a row or two that another unit explains."""
    values = series.values
    steps = np.abs(np.diff(values))
    limit = max(8.0, 6.0 * float(np.quantile(steps, 0.99)))
    for row in np.flatnonzero(steps > limit):
        before, after = values[max(0, row - 3) : row + 1], values[row + 1 : row + 5]
        jump = abs(float(np.median(after) - np.median(before)))
        if jump < limit:  # a spike: it comes back
            continue
        for suspicion in _candidates(series.facts.unit):
            read = suspicion.convert(after)
            if abs(float(read[0] - before[-1])) < 0.15 * jump + 0.5:
                return _suspect(series, int(row) + 1, len(values) - 1, suspicion, float(after[0]))
    return None


def _ratio_change(series: Series) -> Finding | None:
    """A change of unit of a power or share: the level before and after differs by the factor between two units."""
    values = np.abs(series.values)
    if len(values) < 2 * _WINDOW_ROWS or not np.any(values):
        return None
    sums = np.concatenate(([0.0], np.cumsum(values)))
    rows = np.arange(_WINDOW_ROWS, len(values) - _WINDOW_ROWS + 1)
    before = (sums[rows] - sums[rows - _WINDOW_ROWS]) / _WINDOW_ROWS
    after = (sums[rows + _WINDOW_ROWS] - sums[rows]) / _WINDOW_ROWS
    floor = 1e-9 * float(values.max())
    ratio = np.log(np.maximum(after, floor) / np.maximum(before, floor))
    for suspicion in _candidates(series.facts.unit):
        factor = float(suspicion.convert(np.ones(1))[0])
        best = int(np.argmin(np.abs(ratio + np.log(factor))))
        row = int(rows[best])
        fits = abs(ratio[best] + np.log(factor)) < 0.5
        if fits and _stays(values, row, factor):
            return _suspect(series, row, len(values) - 1, suspicion, float(series.values[row]))
    return None


def _stays(values: Array, row: int, factor: float) -> bool:
    """Whether the series after a row fits the part before it once it is converted, and only then."""
    before, after = (np.quantile(part, [0.25, 0.5, 0.95]) for part in (values[:row], values[row:]))
    if min(before.min(), after.min()) <= 0:  # it rests often: a season looks the same as a change of unit
        return False
    raw, converted = np.abs(np.log(after / before)), np.abs(np.log(after * factor / before))
    return bool((converted < np.log(4.0)).all() and (raw > np.log(20.0)).all())
