"""A seeded operator who varies settings from day to day, and people who turn the dial on the wall.

A building that always runs alike teaches a model little about what its settings do; real operators do vary them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from twin.building.program import Recorded
from twin.policy import Policy
from twin.site import Site
from twin.streams import stream

Array = NDArray[np.float64]

STEPS_PER_DAY = 96
HEATING_SHIFTS_K = (-1.0, -0.5, 0.0, 0.0, 0.0, 0.5, 1.0)
COOLING_SHIFTS_K = (-1.0, 0.0, 0.0, 0.0, 1.0, 2.0)
NIGHT_BANDS_C = ((13.0, 30.0), (15.6, 26.7), (15.6, 26.7), (18.0, 26.7), (19.0, 27.5))
STARTS_H = (5, 6, 6, 6, 7)
STOPS_H = (20, 22, 22)
SUPPLY_C = (12.8, 12.8, 14.0, 15.5)
SATURDAY_OFF = 0.25
DIAL_ODDS = 0.04
"""Chance that somebody turns the dial of a zone on a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorDay:
    """Settings of one day."""

    start_h: int
    """Equal to ``stop_h`` on days off."""
    stop_h: int
    heating_c: float
    cooling_c: float
    night_heating_c: float
    night_cooling_c: float
    supply_c: float


def operator_day(site: Site, day: date, seed: int) -> OperatorDay:
    """What the operator chooses for a day; weekly habits with daily changes, from the seed and the date alone."""
    rng = stream(seed, "operator", day.isoformat())
    week = stream(seed, "operator-week", (day - timedelta(days=day.weekday())).isoformat())
    heating, cooling = _occupied(site.operation)
    night = NIGHT_BANDS_C[int(week.integers(len(NIGHT_BANDS_C)))]
    start, stop = int(rng.choice(STARTS_H)), int(rng.choice(STOPS_H))
    if day.weekday() == 5:
        start, stop = (0, 0) if rng.random() < SATURDAY_OFF else (6, 18)
    if day.weekday() == 6 or day in site.holidays:
        start = stop = 0
    return OperatorDay(
        start_h=start,
        stop_h=stop,
        heating_c=heating + float(rng.choice(HEATING_SHIFTS_K)),
        cooling_c=cooling + float(rng.choice(COOLING_SHIFTS_K)),
        night_heating_c=night[0],
        night_cooling_c=night[1],
        supply_c=float(rng.choice(SUPPLY_C)),
    )


def _occupied(operation: Policy) -> tuple[float, float]:
    heating, cooling = operation.heating_setpoint_c, operation.cooling_setpoint_c
    return (21.0 if heating is None else heating.occupied), (24.0 if cooling is None else cooling.occupied)


def wall_dials(site: Site, first: date, days: int, seed: int) -> Array:
    """Shift of each zone's band by people at the wall, for days at a time, shape (days, zones). [K]"""
    shifts = np.zeros((days, len(site.zones)))
    for k, zone in enumerate(site.zones):
        for i in range(-7, days):
            rng = stream(seed, "wall-dial", zone.id, (first + timedelta(days=i)).isoformat())
            if rng.random() < DIAL_ODDS:
                begin, end = max(i, 0), max(i + int(rng.integers(2, 8)), 0)
                shifts[begin:end, k] = rng.uniform(-1.0, 1.0)
    return shifts


def operator_commands(site: Site, first: date, days: int, seed: int) -> Recorded:
    """Commands of all steps of whole local days, as a building's log would show them.

    Args:
        site: zones, units, holidays and normal operation.
        first: first local day.
        days: number of days.
        seed: of the operator and the dials.
    """
    zones, units = len(site.zones), len(site.air_handlers)
    dials = np.repeat(wall_dials(site, first, days, seed), STEPS_PER_DAY, axis=0)
    chosen = [operator_day(site, first + timedelta(days=i), seed) for i in range(days)]
    hour = np.arange(STEPS_PER_DAY) / 4.0
    fan = np.concatenate([(hour >= day.start_h) & (hour < day.stop_h) for day in chosen])
    air_rules = site.operation.outdoor_air
    delay = 0.0 if air_rules is None else air_rules.start_delay_h or 0.0
    air = np.concatenate([(hour >= day.start_h + delay) & (hour < day.stop_h) for day in chosen])

    def band(occupied: str, night: str) -> Array:
        values = [np.full(STEPS_PER_DAY, getattr(day, occupied)) for day in chosen]
        away = [np.full(STEPS_PER_DAY, getattr(day, night)) for day in chosen]
        common = np.where(fan, np.concatenate(values), np.concatenate(away))
        return np.repeat(common[:, None], zones, axis=1) + dials

    heating = band("heating_c", "night_heating_c")
    supply = np.repeat([day.supply_c for day in chosen], STEPS_PER_DAY)

    def of_units(values: Array) -> Array:
        return np.repeat(values.astype(np.float64)[:, None], units, axis=1)

    return Recorded(
        heating_setpoint_c=heating,
        cooling_setpoint_c=np.maximum(band("cooling_c", "night_cooling_c"), heating + 1.0),
        fan_schedule_on=of_units(fan),
        supply_setpoint_c=of_units(supply),
        minimum_outdoor_air=of_units(air),
    )
