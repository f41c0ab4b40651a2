"""The world that a scenario meets: drivers with changes on top, and days drawn anew from telemetry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from scenarios.expand import DriverRequest, World
from twin.drivers import Drivers, Weather
from twin.errors import BadInputError
from twin.site import Site
from twin.streams import stream
from twin.units import SECONDS_PER_DAY

Array = NDArray[np.float64]
Index = NDArray[np.int64]


class DriverProvider(Protocol):
    """Where drivers come from; given to the runner by whoever composes it."""

    def __call__(self, request: DriverRequest) -> Sequence[Drivers]:
        """Drivers of a request: one for replay, one per forecast sample; for synthetic every stretch to draw from.

        Raises:
            BadInputError: no telemetry covers the request.
        """
        ...


def changed(drivers: Drivers, world: World) -> Drivers:
    """Drivers as they are in a changed world; the same object when nothing changes."""
    if world == World():
        return drivers
    weather = replace(drivers.weather, outdoor_c=drivers.weather.outdoor_c + world.outdoor_temperature_shift_k)
    demand = drivers.vm_utilization
    return replace(
        drivers,
        weather=weather,
        people=np.rint(drivers.people * world.people_scale) if world.people_scale != 1.0 else drivers.people,
        lights_w=drivers.lights_w * world.lights_scale,
        plugs_w=drivers.plugs_w * world.plugs_scale,
        other_gain_w=drivers.other_gain_w * world.other_gain_scale,
        electricity_price_kwh=drivers.electricity_price_kwh * world.electricity_price_scale,
        carbon_kg_kwh=drivers.carbon_kg_kwh * world.carbon_scale,
        vm_utilization=None if demand is None else np.minimum(demand * world.vm_demand_scale, 1.0),
    )


def synthetic(bases: Sequence[Drivers], request: DriverRequest, site: Site, seed: int) -> Drivers:
    """Days drawn from recorded ones: same kind of day, near in the year, several days together.

    Weather of a block of days comes from one recorded block, so that its persistence is kept; people, lights, plugs and
    VM demand of a day come from a recorded day of the same kind (working day, Saturday, Sunday or holiday).

    Args:
        bases: recorded stretches to draw from; at least one whole local day in all.
        request: the period to fill.
        site: its time zone and holidays.
        seed: of the draw; the same seed gives the same days.

    Raises:
        BadInputError: the recording holds no whole day.
    """
    if request.start is None or request.end is None:
        raise BadInputError("synthetic drivers need a period; add period: {from: …, to: …}")
    base, firsts = joined(bases)
    donors: dict[date, int] = {}
    for one, first in zip(bases, firsts, strict=True):
        donors |= {day: first + row for day, row in _days_of(one, site).items()}
    if not donors:
        raise BadInputError("the telemetry holds no whole day to draw synthetic days from; ingest more")
    per_day = round(SECONDS_PER_DAY / base.step_s)
    steps = round((request.end - request.start).total_seconds() / base.step_s)
    first_day = request.start.astimezone(site.time_zone).date()
    days = [first_day + timedelta(days=k) for k in range(steps // per_day + 2)]
    offset = round((request.start - _midnight(first_day, site.time_zone)).total_seconds() / base.step_s)
    span = slice(offset, offset + steps)
    of_weather = _weather_rows(days, donors, request, per_day, seed)[span]
    of_people = _people_rows(days, donors, request, site, per_day, seed)[span]
    return _picked(base, request.start, of_weather, of_people, seed)


def joined(bases: Sequence[Drivers]) -> tuple[Drivers, tuple[int, ...]]:
    """Stretches one after the other, with the first row of each."""
    firsts = np.cumsum([0, *(one.steps for one in bases)])[:-1]
    if len(bases) == 1:
        return bases[0], (0,)
    weather = {item.name: np.concatenate([getattr(b.weather, item.name) for b in bases]) for item in fields(Weather)}
    whole = replace(
        bases[0],
        weather=Weather(**weather),
        people=np.concatenate([one.people for one in bases]),
        lights_w=np.concatenate([one.lights_w for one in bases]),
        plugs_w=np.concatenate([one.plugs_w for one in bases]),
        other_gain_w=np.concatenate([one.other_gain_w for one in bases]),
        electricity_price_kwh=np.concatenate([one.electricity_price_kwh for one in bases]),
        carbon_kg_kwh=np.concatenate([one.carbon_kg_kwh for one in bases]),
        vm_utilization=_concatenated([one.vm_utilization for one in bases]),
        host_power_w=_concatenated([one.host_power_w for one in bases]),
        radiator_valve=_concatenated([one.radiator_valve for one in bases]),
        blind_open=_concatenated([one.blind_open for one in bases]),
    )
    return whole, tuple(int(first) for first in firsts)


def _concatenated(parts: Sequence[Array | None]) -> Array | None:
    """All parts, or None when any is missing."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _days_of(base: Drivers, site: Site) -> dict[date, int]:
    """Local days that the recording covers as a whole → row of their midnight."""
    found: dict[date, int] = {}
    day = base.start.astimezone(site.time_zone).date()
    last = base.end.astimezone(site.time_zone).date()
    while day <= last:
        row = round((_midnight(day, site.time_zone) - base.start).total_seconds() / base.step_s)
        if row >= 0 and row + round(SECONDS_PER_DAY / base.step_s) <= base.steps:
            found[day] = row
        day += timedelta(days=1)
    return found


def _away(day: date, other: date) -> int:
    """Distance of two days within the year. [days]"""
    apart = abs(day.timetuple().tm_yday - other.timetuple().tm_yday)
    return min(apart, 365 - apart)


def _near(day: date, donors: Sequence[date], window: int, least: int = 3) -> list[date]:
    """Donors near in the year; the nearest few when the window holds too few."""
    near = [donor for donor in donors if _away(day, donor) <= window]
    if len(near) >= least:
        return near
    return sorted(donors, key=lambda donor: (_away(day, donor), donor))[:least]


def _weather_rows(
    days: Sequence[date], donors: dict[date, int], request: DriverRequest, per_day: int, seed: int
) -> Index:
    rng = stream(seed, "synthetic", "weather")
    rows: list[Index] = []
    while len(rows) < len(days):
        near = _near(days[len(rows)], list(donors), request.window_days)
        start = near[int(rng.integers(len(near)))]
        for k in range(request.block_days):
            row = donors.get(start + timedelta(days=k))
            if row is None or len(rows) == len(days):
                break
            rows.append(np.arange(row, row + per_day))
    return np.concatenate(rows)


def _people_rows(
    days: Sequence[date], donors: dict[date, int], request: DriverRequest, site: Site, per_day: int, seed: int
) -> Index:
    rng = stream(seed, "synthetic", "people")
    by_kind: dict[str, list[date]] = {}
    for donor in donors:
        by_kind.setdefault(_kind(donor, site), []).append(donor)
    rows: list[Index] = []
    for day in days:
        same = by_kind.get(_kind(day, site)) or list(donors)
        near = _near(day, same, request.window_days)
        row = donors[near[int(rng.integers(len(near)))]]
        rows.append(np.arange(row, row + per_day))
    return np.concatenate(rows)


def _kind(day: date, site: Site) -> str:
    if day in site.holidays or day.weekday() == 6:
        return "rest"
    return "saturday" if day.weekday() == 5 else "work"


def _picked(base: Drivers, start: datetime, of_weather: Index, of_people: Index, seed: int) -> Drivers:
    """Drivers with their rows taken from the recording."""
    weather = Weather(**{item.name: getattr(base.weather, item.name)[of_weather] for item in fields(Weather)})
    demand = base.vm_utilization
    if demand is not None:
        ratio = round(base.step_s / base.vm_step_s)
        rows = (of_people[:, None] * ratio + np.arange(ratio)).ravel()
        demand = demand[np.minimum(rows, len(demand) - 1)]
    return replace(
        base,
        start=start,
        weather=weather,
        people=base.people[of_people],
        lights_w=base.lights_w[of_people],
        plugs_w=base.plugs_w[of_people],
        other_gain_w=base.other_gain_w[of_people],
        electricity_price_kwh=base.electricity_price_kwh[of_people],
        carbon_kg_kwh=base.carbon_kg_kwh[of_people],
        vm_utilization=demand,
        host_power_w=None if base.host_power_w is None else base.host_power_w[of_people],
        radiator_valve=None if base.radiator_valve is None else base.radiator_valve[of_weather],
        blind_open=None if base.blind_open is None else base.blind_open[of_weather],
        seed=seed,
    )
