"""A seeded office: people, lights and plugs of a year for a building that nobody recorded."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from connectors.emulator.runs import Days
from twin.site import Site, Zone
from twin.streams import stream

Array = NDArray[np.float64]

FIRST_DAY = date(2023, 1, 1)
STEPS_PER_DAY = 96
ABSENCE = 0.22
"""Share of people who are away on a working day (leave, illness, travel, work elsewhere)."""
LOW_MONTHS = {8: 0.35, 12: 0.2}
"""Further share away in months of holidays."""
TEAM_AWAY = 0.03
"""Chance that everybody of a zone is away for a day."""
SATURDAY_PEOPLE = 0.06
STANDBY_PLUGS, STANDBY_LIGHTS = 0.3, 0.05
"""Shares of the design power that are always on."""


def office_days(site: Site, *, utc_offset_h: int, seed: int, days: int = 365) -> Days:
    """What the zones of a site meet, from the first of January 2023 on.

    Args:
        site: zones with design people, lights and plugs.
        utc_offset_h: of the building's clock, the same all year.
        seed: of everybody's habits and of each day.
        days: number of days.
    """
    people = np.stack([zone_people(zone, site, days, seed) for zone in site.zones], axis=1)
    lights = np.stack([_lights_w(zone, people[:, k], seed) for k, zone in enumerate(site.zones)], axis=1)
    plugs = np.stack([_plugs_w(zone, people[:, k], seed) for k, zone in enumerate(site.zones)], axis=1)
    start = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC) - timedelta(hours=utc_offset_h)
    return Days(start=start, people=people, lights_w=lights, plugs_w=plugs, it_w=np.zeros(len(people)))


def zone_people(zone: Zone, site: Site, days: int, seed: int) -> Array:
    """People in a zone, shape (steps,): everybody comes, goes to lunch and leaves at times of his own."""
    if zone.design_people == 0.0:
        return np.zeros(days * STEPS_PER_DAY)
    staff = max(round(zone.design_people), 1)
    habits = stream(seed, "habits", zone.id)
    arrive, leave = habits.normal(8.6, 0.8, staff), habits.normal(17.4, 1.0, staff)
    hour = np.arange(STEPS_PER_DAY) / 4.0
    counts = np.zeros((days, STEPS_PER_DAY))
    for d in range(days):
        day = FIRST_DAY + timedelta(days=d)
        rng = stream(seed, "day", zone.id, day.isoformat())
        here = rng.random(staff) < _presence(day, site, rng)
        begin, end = arrive + rng.normal(0.0, 0.4, staff), leave + rng.normal(0.0, 0.6, staff)
        lunch = rng.normal(12.4, 0.4, staff)
        inside = (hour >= begin[:, None]) & (hour < end[:, None])
        inside &= ~((hour >= lunch[:, None]) & (hour < lunch[:, None] + 0.75))
        inside &= rng.random((staff, STEPS_PER_DAY)) > 0.08
        counts[d] = (inside & here[:, None]).sum(axis=0)
    return counts.reshape(-1)


def _presence(day: date, site: Site, rng: np.random.Generator) -> float:
    """Chance that somebody comes on a day."""
    if day.weekday() == 6 or day in site.holidays:
        return 0.0
    if day.weekday() == 5:
        return SATURDAY_PEOPLE
    share = (1.0 - ABSENCE) * (1.0 - LOW_MONTHS.get(day.month, 0.0))
    return 0.0 if rng.random() < TEAM_AWAY else share


def _lights_w(zone: Zone, people: Array, seed: int) -> Array:
    """Lights go on with the first people and off half an hour after the last; a few stay on. [W]"""
    design = zone.lights_design_w or 0.0
    lingering = np.maximum.reduce([people, np.roll(people, 1), np.roll(people, 2)])
    share = np.clip(0.35 + 0.65 * lingering / max(zone.design_people, 1.0), 0.0, 0.95) * (lingering > 0)
    forgotten = stream(seed, "lights", zone.id).random(len(people) // STEPS_PER_DAY) < 0.05
    left_on = np.repeat(forgotten, STEPS_PER_DAY) * 0.3
    watts: Array = np.round(design * np.maximum(np.maximum(share, left_on), STANDBY_LIGHTS), 1)
    return watts


def _plugs_w(zone: Zone, people: Array, seed: int) -> Array:
    """Standby and a share for everybody present, with slow noise. [W]"""
    design = zone.plugs_design_w or 0.0
    noise = np.repeat(stream(seed, "plugs", zone.id).normal(1.0, 0.06, len(people) // 4), 4)
    share = STANDBY_PLUGS + 0.6 * people / max(zone.design_people, 1.0)
    watts: Array = np.round(design * np.clip(share * noise, 0.1, 1.0), 1)
    return watts
