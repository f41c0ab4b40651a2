"""From a policy to the arrays that a controller runs through: local time, holidays and windows are resolved here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.building.points import policy_from_points, program_points
from twin.clock import require_aware
from twin.policy import DAY_KEYS, Policy
from twin.site import Site
from twin.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = ["Program", "ProgramArrays", "compile_points", "compile_program", "policy_from_points", "program_points"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
SUPPLY_POINTS = ("min_c", "max_c", "rise_k", "fall_k")
_EPOCH = date(1970, 1, 1).toordinal()


class ProgramArrays(NamedTuple):
    """A program as the compiled controller reads it; T steps, Z zones, U units. Units as in the names."""

    step_s: float
    zone_unit: NDArray[np.int64]
    """Unit of each zone, -1 where none."""
    first: NDArray[np.int64]
    """Zones of unit u are ``members[first[u]:first[u + 1]]``, shape (U + 1,)."""
    members: NDArray[np.int64]
    heating_c: Array
    """Shape (Z, 2): unoccupied, occupied."""
    cooling_c: Array
    """Shape (Z, 2): unoccupied, occupied."""
    today: NDArray[np.int64]
    """Row of the day in ``windows`` at each step, shape (T,)."""
    hour: Array
    """Hour on the wall clock at the begin of each step, shape (T,)."""
    windows: Array
    """Start and stop of the operating hours from the day before the first on, shape (D, U, 2); (0, 0) is off, a stop
    beyond 24 lies on the next day. [h]"""
    latest_h: Array
    """When a unit starts at the latest where optimal start may keep it off, else -1, shape (U,)."""
    delay_h: Array
    """From the begin of operation to minimum outdoor air, shape (U,)."""
    setback_from_h: Array
    setback_k: Array
    """Widening of the band of empty zones from that hour on, shape (U,)."""
    precool: Array
    """Begin and end of the window [h] and highest occupied cooling setpoint in it, shape (U, 3)."""
    start_rate_k_h: Array
    called_by: Array
    """People that call the unit, 0 for never, shape (U,)."""
    empty_after_s: Array
    supply: Array
    """Least, highest supply temperature, rise and fall, shape (U, 4)."""
    least_share: Array
    night_k: Array
    night_run_s: Array
    economizer: Flags
    design_people: float
    recorded_heating_c: Array
    """Setpoints in force as recorded, shape (T, Z) or (0, Z); NaN where the program decides."""
    recorded_cooling_c: Array
    recorded_fan: Array
    """Commanded fan schedule as recorded, shape (T, U) or (0, U)."""
    recorded_supply_c: Array
    recorded_outdoor_air: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Commands as they were given on past days; each may be absent (None) or hold NaN where unknown."""

    heating_setpoint_c: Array | None = None
    """Shape (steps, zones)."""
    cooling_setpoint_c: Array | None = None
    """Shape (steps, zones)."""
    fan_schedule_on: Array | None = None
    """1 while the unit runs by schedule or call, shape (steps, units)."""
    supply_setpoint_c: Array | None = None
    """Shape (steps, units)."""
    minimum_outdoor_air: Array | None = None
    """Share of the design minimum, shape (steps, units)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What the controller of a building does at every step of a run."""

    start: datetime
    steps: int
    step_s: float
    arrays: ProgramArrays

    def replaying(self, recorded: Recorded) -> Program:
        """This program with recorded commands in place of its own decisions where they are known."""
        zones, units = len(self.arrays.zone_unit), len(self.arrays.first) - 1
        arrays = self.arrays._replace(
            recorded_heating_c=_given(recorded.heating_setpoint_c, zones),
            recorded_cooling_c=_given(recorded.cooling_setpoint_c, zones),
            recorded_fan=_given(recorded.fan_schedule_on, units),
            recorded_supply_c=_given(recorded.supply_setpoint_c, units),
            recorded_outdoor_air=_given(recorded.minimum_outdoor_air, units),
        )
        return Program(start=self.start, steps=self.steps, step_s=self.step_s, arrays=arrays)


def _given(values: Array | None, width: int) -> Array:
    return np.empty((0, width)) if values is None else np.ascontiguousarray(values, dtype=np.float64)


def compile_program(site: Site, policy: Policy, start: datetime, steps: int, step_s: float = 900.0) -> Program:
    """The numeric program of a policy that is already merged over the site's operation."""
    return compile_points(site, program_points(site, policy), start, steps, step_s)


def compile_points(
    site: Site, points: Mapping[str, float], start: datetime, steps: int, step_s: float = 900.0
) -> Program:
    """The numeric program of command points, which may differ between units.

    Args:
        site: the building.
        points: as from ``program_points``.
        start: first step, aware.
        steps: number of control steps.
        step_s: length of a control step. [s]
    """
    day, hour = local_clock(site, start, steps, step_s)
    index = site.air_handler_index()
    zone_unit = [-1 if zone.air_handler is None else index[zone.air_handler] for zone in site.zones]

    def of_units(name: str) -> Array:
        return np.array([points[f"{unit.id}/{name}"] for unit in site.air_handlers], dtype=np.float64)

    def of_zones(mode: str) -> Array:
        names = (f"{mode}_setpoint_unoccupied_c", f"{mode}_setpoint_occupied_c")
        pairs = [[points[f"{zone.id}/{name}"] for name in names] for zone in site.zones]
        return np.array(pairs, dtype=np.float64).reshape(-1, 2)

    zones, units = len(zone_unit), len(site.air_handlers)
    served = np.array([u for u in zone_unit if u >= 0], dtype=np.int64)
    rate = of_units("optimal_start_rate_k_h")
    arrays = ProgramArrays(
        step_s=float(step_s),
        zone_unit=np.array(zone_unit, dtype=np.int64),
        first=np.concatenate([[0], np.cumsum(np.bincount(served, minlength=units))]).astype(np.int64),
        members=np.argsort(zone_unit, kind="stable").astype(np.int64)[zones - len(served) :],
        heating_c=of_zones("heating"),
        cooling_c=of_zones("cooling"),
        today=np.maximum(day - day[0], 0) + 1 if len(day) else day,
        hour=hour,
        windows=_windows(site, points, day),
        latest_h=np.where(rate > 0.0, of_units("optimal_start_latest_h"), -1.0),
        delay_h=of_units("outdoor_air_delay_h"),
        setback_from_h=of_units("empty_setback_from_h"),
        setback_k=of_units("empty_setback_delta_k"),
        precool=np.stack([of_units(f"precool_{name}") for name in ("from_h", "to_h", "setpoint_c")], axis=-1),
        start_rate_k_h=rate,
        called_by=of_units("called_by_occupancy"),
        empty_after_s=of_units("empty_setback_after_min") * 60.0,
        supply=np.stack([of_units(f"supply_air_{name}") for name in SUPPLY_POINTS], axis=-1),
        least_share=of_units("outdoor_air_min_fraction"),
        night_k=of_units("night_cycle_tolerance_k"),
        night_run_s=of_units("night_cycle_run_min") * 60.0,
        economizer=of_units("economizer") > 0,
        design_people=float(sum(zone.design_people for zone in site.zones)),
        recorded_heating_c=np.empty((0, zones)),
        recorded_cooling_c=np.empty((0, zones)),
        recorded_fan=np.empty((0, units)),
        recorded_supply_c=np.empty((0, units)),
        recorded_outdoor_air=np.empty((0, units)),
    )
    return Program(start=require_aware(start, "start"), steps=steps, step_s=float(step_s), arrays=arrays)


def local_clock(site: Site, start: datetime, steps: int, step_s: float) -> tuple[NDArray[np.int64], Array]:
    """Local day (ordinal) and hour of the day on the wall clock at the begin of each step, daylight saving included.

    Shape (steps,) each.
    """
    return _clock(site.time_zone, require_aware(start, "start"), steps, step_s)


@lru_cache(maxsize=8)
def _clock(zone: tzinfo, start: datetime, steps: int, step_s: float) -> tuple[NDArray[np.int64], Array]:
    utc = start.timestamp() + np.arange(steps) * step_s
    hours, place = np.unique(np.floor(utc / SECONDS_PER_HOUR).astype(np.int64), return_inverse=True)
    offset = _offsets(zone, hours)[place]
    local = utc + offset
    day = np.floor(local / SECONDS_PER_DAY).astype(np.int64)
    return day + _EPOCH, (local - day * SECONDS_PER_DAY) / SECONDS_PER_HOUR


def _offsets(zone: tzinfo, hours: NDArray[np.int64]) -> Array:
    """Offset from UTC at each full hour (sorted); asks the zone once a day and hourly only on days of a change. [s]"""

    def ask(hour: int) -> float:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=int(hour))
        shift = moment.astimezone(zone).utcoffset()
        return shift.total_seconds() if shift is not None else 0.0

    result = np.empty(len(hours))
    for begin in range(0, len(hours), 24):
        block = hours[begin : begin + 24]
        first, last = ask(block[0]), ask(block[-1])
        result[begin : begin + 24] = first if first == last else [ask(hour) for hour in block]
    return result


def _windows(site: Site, points: Mapping[str, float], day: NDArray[np.int64]) -> Array:
    """Operating hours of every day from the one before the first on, shape (D, U, 2). [h]"""
    days = np.arange(day[0] - 1, day[-1] + 1) if len(day) else day
    kind = (days - 1) % 7
    kind[np.isin(days, [when.toordinal() for when in site.holidays])] = DAY_KEYS.index("holidays")
    spans = np.empty((len(DAY_KEYS), len(site.air_handlers), 2))
    for row, key in enumerate(DAY_KEYS):
        for u, unit in enumerate(site.air_handlers):
            start, stop = points[f"{unit.id}/hours_{key}_start_h"], points[f"{unit.id}/hours_{key}_stop_h"]
            spans[row, u] = (start, stop + 24.0 if stop < start else stop)
    return np.ascontiguousarray(spans[kind])
