"""Which values of each program point the telemetry has shown: outside of them the twin is guessing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from optimizer.proposal import changed_points
from twin.building.program import local_clock
from twin.plan import PointId
from twin.policy import DAY_KEYS, Policy
from twin.site import Site
from twin.telemetry import CalibrationData

Array = NDArray[np.float64]
Range = tuple[float, float]


def experience(site: Site, data: CalibrationData) -> dict[PointId, Range]:
    """Least and greatest value that was in force, by program point; points that no telemetry shows are absent."""
    recorded = data.recorded
    seen: dict[PointId, Range] = {}
    on = recorded.fan_schedule_on
    for mode, values in (("heating", recorded.heating_setpoint_c), ("cooling", recorded.cooling_setpoint_c)):
        if values is not None and on is not None:
            seen |= _setpoints(site, mode, values, on)
    if recorded.supply_setpoint_c is not None:
        seen |= _supply(site, recorded.supply_setpoint_c)
    if on is not None:
        seen |= _hours(site, data, on)
    return seen


def strangers(site: Site, policy: Policy, seen: Mapping[PointId, Range]) -> tuple[PointId, ...]:
    """Points that the policy would set to a value which was never seen."""
    return tuple(
        point
        for point, value in changed_points(site, policy).items()
        if point in seen and not seen[point][0] - 1e-6 <= value <= seen[point][1] + 1e-6
    )


def _range(values: Array) -> Range | None:
    known = values[~np.isnan(values)]
    return (float(known.min()), float(known.max())) if len(known) else None


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


def _hours(site: Site, data: CalibrationData, on: Array) -> dict[PointId, Range]:
    """Start and stop of each unit by day of the week; a day that was never off and on is absent."""
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
    for weekday, name in enumerate(DAY_KEYS[:7]):
        hours = [float(hour[i]) for i in steps if (int(day[i]) - 1) % 7 == weekday]
        if hours:
            found[f"{unit}/hours_{name}_{key}_h"] = (min(hours), max(hours))
    return found
