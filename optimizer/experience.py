"""Which values of each program point calibration has seen: outside of them the twin is guessing.

Seen is what telemetry shows and what the site file says was in force meanwhile. A point of which neither tells anything
is unknown, and unknown counts as outside. Rules of the program that no telemetry can show are judged by what they do to
points that it does show:

| rule | seen when |
|---|---|
| setback of empty zones | the widened band lies in what each zone of the unit was set to, at any hour |
| call by occupancy | the unit was seen running and at rest |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from twin.building.points import changed_points, program_points
from twin.building.program import compile_program, local_clock
from twin.health.finding import Finding, FindingKind
from twin.plan import PointId
from twin.policy import DAY_KEYS, Policy
from twin.site import Site
from twin.telemetry import CalibrationData

Array = NDArray[np.float64]
Range = tuple[float, float]
RECORDABLE = (
    "heating_setpoint_occupied_c",
    "heating_setpoint_unoccupied_c",
    "cooling_setpoint_occupied_c",
    "cooling_setpoint_unoccupied_c",
    "supply_air_max_c",
    "outdoor_air_min_fraction",
)
"""Ends of points whose values a mapped point of the telemetry shows."""


def experience(site: Site, data: CalibrationData, *, operated: bool = True) -> dict[PointId, Range]:
    """Least and greatest value that was in force, by point; points of which nothing tells anything are absent.

    Args:
        site: the building.
        data: the telemetry that the twin was calibrated on.
        operated: whether the site file is the one of the calibration, so that its operation was in force.
    """
    seen = recorded_ranges(site, data, operated=operated)
    if operated:
        for point, value in _in_force(site).items():
            seen[point] = _hull(seen.get(point), (value, value))
    for zone in site.zones:
        for mode in ("heating", "cooling"):
            parts = [seen.get(f"{zone.id}/{mode}_setpoint_{name}_c") for name in ("occupied", "unoccupied")]
            for part in parts:
                if part is not None:
                    seen[_band(zone.id, mode)] = _hull(seen.get(_band(zone.id, mode)), part)
    return seen


def _in_force(site: Site) -> dict[PointId, float]:
    """What the site file says is set, without the hours of days off: midnight to midnight is no hour of a start."""
    points = program_points(site, site.operation)
    off = {
        f"{unit.id}/hours_{day}_{end}_h"
        for unit in site.air_handlers
        for day in DAY_KEYS
        if points[f"{unit.id}/hours_{day}_start_h"] == points[f"{unit.id}/hours_{day}_stop_h"]
        for end in ("start", "stop")
    }
    return {point: value for point, value in points.items() if point not in off}


def recorded_ranges(site: Site, data: CalibrationData, *, operated: bool = True) -> dict[PointId, Range]:
    """The part of the experience that telemetry shows."""
    recorded = data.recorded
    seen: dict[PointId, Range] = {}
    on = recorded.fan_schedule_on
    if on is not None:
        seen |= _hours(site, data, on)
        seen |= {_runs(unit.id): found for u, unit in enumerate(site.air_handlers) if (found := _range(on[:, u]))}
    elif operated:
        on = _scheduled(site, data)
    for mode, values in (("heating", recorded.heating_setpoint_c), ("cooling", recorded.cooling_setpoint_c)):
        if values is not None and on is not None:
            seen |= _setpoints(site, mode, values, on)
    if recorded.supply_setpoint_c is not None:
        seen |= _supply(site, recorded.supply_setpoint_c)
    if recorded.minimum_outdoor_air is not None and on is not None:
        seen |= _outdoor_air(site, np.where(on > 0.5, recorded.minimum_outdoor_air, np.nan))
    return seen


def strangers(site: Site, policy: Policy, seen: Mapping[PointId, Range]) -> tuple[PointId, ...]:
    """Points that the policy would set to a value which was never seen, unknown ones among them."""
    wanted = program_points(site, site.operation.merge(policy))
    return tuple(
        point
        for point in changed_points(site, policy)
        if not all(_inside(seen.get(shown), value) for shown, value in _shown_by(site, point, wanted))
    )


def unseen(site: Site, recorded: Mapping[PointId, Range]) -> tuple[Finding, ...]:
    """What a reader of a plan must know: points that telemetry could show and does not."""
    owners: dict[str, list[str]] = {}
    for point in program_points(site, site.operation):
        owner, _, name = point.partition("/")
        if name in RECORDABLE and point not in recorded:
            owners.setdefault(name, []).append(owner)
    if not owners:
        return ()
    told = ", ".join(f"{name} of {len(of)}" for name, of in owners.items())
    sentence = (
        f"no telemetry shows what was commanded at {sum(map(len, owners.values()))} points ({told}): any other value "
        "than the site file's counts as outside the calibrated range; map and ingest such points to use them"
    )
    return (Finding(kind=FindingKind.UNSEEN, sentence=sentence, numbers={k: float(len(v)) for k, v in owners.items()}),)


def _shown_by(site: Site, point: PointId, wanted: Mapping[PointId, float]) -> list[tuple[PointId, float]]:
    """Points and values that telemetry must have shown for a point's wanted value to be known."""
    owner, _, name = point.partition("/")
    if name == "called_by_occupancy":
        return [(_runs(owner), 0.0), (_runs(owner), 1.0)]
    if not name.startswith("empty_setback_"):
        return [(point, wanted[point])]
    delta = wanted[f"{owner}/empty_setback_delta_k"]
    return [
        (_band(zone.id, mode), wanted[f"{zone.id}/{mode}_setpoint_occupied_c"] + sign * delta)
        for zone in site.zones
        if zone.air_handler == owner
        for mode, sign in (("heating", -1.0), ("cooling", 1.0))
    ]


def _band(zone: str, mode: str) -> PointId:
    """Name under which the setpoints of a zone at all hours are kept."""
    return f"{zone}/{mode}_setpoint_c"


def _runs(unit: str) -> PointId:
    """Name under which it is kept whether a unit ran (1) and rested (0)."""
    return f"{unit}/runs"


def _inside(seen: Range | None, value: float) -> bool:
    return seen is not None and seen[0] - 1e-6 <= value <= seen[1] + 1e-6


def _hull(one: Range | None, other: Range) -> Range:
    return other if one is None else (min(one[0], other[0]), max(one[1], other[1]))


def _range(values: Array) -> Range | None:
    known = values[~np.isnan(values)]
    return (float(known.min()), float(known.max())) if len(known) else None


def _scheduled(site: Site, data: CalibrationData) -> Array:
    """1 within each unit's hours by the site file, shape (steps, units)."""
    drivers = data.drivers
    arrays = compile_program(site, site.operation, drivers.start, drivers.steps, drivers.step_s).arrays
    start, stop = np.moveaxis(arrays.windows[arrays.today], -1, 0)
    hour = arrays.hour[:, None]
    on: Array = ((hour >= start) & (hour < stop)).astype(np.float64)
    return on


def _setpoints(site: Site, mode: str, values: Array, on: Array) -> dict[PointId, Range]:
    units = site.air_handler_index()
    found = {}
    for z, zone in enumerate(site.zones):
        if zone.air_handler is None:
            continue
        runs = on[:, units[zone.air_handler]] > 0.5
        for name, mask in (("occupied", runs), ("unoccupied", ~runs)):
            seen = _range(values[mask, z])
            if seen is not None:
                found[f"{zone.id}/{mode}_setpoint_{name}_c"] = seen
    return found


def _supply(site: Site, values: Array) -> dict[PointId, Range]:
    found: dict[PointId, Range] = {}
    for u, unit in enumerate(site.air_handlers):
        seen = _range(values[:, u])
        if seen is not None:
            found |= {f"{unit.id}/supply_air_{bound}_c": seen for bound in ("min", "max")}
    return found


def _outdoor_air(site: Site, shares: Array) -> dict[PointId, Range]:
    """Share of the design minimum of outdoor air while each unit runs."""
    ranges = ((unit.id, _range(shares[:, u])) for u, unit in enumerate(site.air_handlers))
    return {f"{unit}/outdoor_air_min_fraction": seen for unit, seen in ranges if seen is not None}


def _hours(site: Site, data: CalibrationData, on: Array) -> dict[PointId, Range]:
    """Start and stop of each unit by day of the week.

    A day that was never seen to start counts as any other of its unit: a twin knows hours, not names of days.
    """
    day, hour = local_clock(site, data.drivers.start, data.drivers.steps, data.drivers.step_s)
    found: dict[PointId, Range] = {}
    for u, unit in enumerate(site.air_handlers):
        runs = np.where(np.isnan(on[:, u]), -1.0, on[:, u])
        starts = np.flatnonzero((runs[1:] == 1.0) & (runs[:-1] == 0.0)) + 1
        stops = np.flatnonzero((runs[1:] == 0.0) & (runs[:-1] == 1.0)) + 1
        for key, steps in (("start", starts), ("stop", stops)):
            found |= _by_weekday(unit.id, key, day, hour, steps)
    return found


def _by_weekday(
    unit: str, key: str, day: NDArray[np.int64], hour: Array, steps: Sequence[int] | NDArray[np.int64]
) -> dict[PointId, Range]:
    found: dict[PointId, Range] = {}
    of_any = [float(hour[i]) for i in steps]
    for weekday, name in enumerate(DAY_KEYS):
        hours = [float(hour[i]) for i in steps if (int(day[i]) - 1) % 7 == weekday] or of_any
        if hours:
            found[f"{unit}/hours_{name}_{key}_h"] = (min(hours), max(hours))
    return found
