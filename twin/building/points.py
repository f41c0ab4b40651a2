"""Every building policy as scalar points that a controller holds, and back again.

The points are the canonical numeric form of a policy: a plan commands them, a controller's program is compiled from
them, and two policies are equal for the building when their points are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Literal

from twin.errors import BadInputError
from twin.policy import (
    DAY_KEYS,
    EmptyZoneSetback,
    NightCycle,
    OperatingHours,
    OptimalStart,
    OutdoorAir,
    Policy,
    Precool,
    Setpoint,
    SupplyAirReset,
)
from twin.site import Site

_Off = Literal["off"]

DEFAULTS = Policy(
    heating_setpoint_c=Setpoint(occupied=21.0, unoccupied=15.6),
    cooling_setpoint_c=Setpoint(occupied=24.0, unoccupied=26.7),
    operating_hours=OperatingHours(windows=dict.fromkeys(DAY_KEYS, (0.0, 24.0))),
    optimal_start="off",
    empty_zone_setback="off",
    supply_air_temperature_c=SupplyAirReset(min_c=12.8, max_c=12.8),
    outdoor_air=OutdoorAir(start_delay_h=0.0),
    night_cycle=NightCycle(),
    precool="off",
)
"""What the controller does where neither the scenario nor the site says anything."""


def program_points(site: Site, policy: Policy) -> dict[str, float]:
    """Every policy key of the building as points ``<zone>/…`` and ``<unit>/…``, in the order of the site.

    Args:
        site: the building.
        policy: already merged over the site's operation; what it leaves out is as ``DEFAULTS``.
    """
    full = _completed(policy)
    points: dict[str, float] = {}
    for zone in site.zones:
        points |= _prefixed(zone.id, _zone_points(full, zone.id))
    for unit in site.air_handlers:
        installed = unit.economizer and full.economizer != "off"
        points |= _prefixed(unit.id, _unit_points(full) | {"economizer": float(installed)})
    return points


def changed_points(site: Site, policy: Policy) -> dict[str, float]:
    """Every program point that the policy changes, with its value, in the order of the site."""
    now, wanted = (program_points(site, merged) for merged in (site.operation, site.operation.merge(policy)))
    return {point: value for point, value in wanted.items() if value != now[point]}


def _completed(policy: Policy) -> Policy:
    absent = {f.name: getattr(DEFAULTS, f.name) for f in fields(policy) if getattr(policy, f.name) is None}
    return replace(policy, **absent)


def _prefixed(owner: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{owner}/{name}": float(value) for name, value in values.items()}


def _zone_points(policy: Policy, zone: str) -> dict[str, float]:
    heating = (policy.zone_heating_setpoint_c or {}).get(zone, policy.heating_setpoint_c)
    cooling = (policy.zone_cooling_setpoint_c or {}).get(zone, policy.cooling_setpoint_c)
    if heating is None or cooling is None:
        raise BadInputError(f"zone {zone}: no heating or cooling setpoint; give one under operation")
    return {
        "heating_setpoint_occupied_c": heating.occupied,
        "heating_setpoint_unoccupied_c": heating.unoccupied,
        "cooling_setpoint_occupied_c": cooling.occupied,
        "cooling_setpoint_unoccupied_c": cooling.unoccupied,
    }


def _unit_points(policy: Policy) -> dict[str, float]:
    return (
        _hours_points(policy.operating_hours or OperatingHours())
        | _start_points(policy.optimal_start)
        | _setback_points(policy.empty_zone_setback)
        | _air_points(policy.supply_air_temperature_c, policy.outdoor_air or OutdoorAir())
        | _night_points(policy.night_cycle)
        | _precool_points(policy.precool)
    )


def _hours_points(hours: OperatingHours) -> dict[str, float]:
    points: dict[str, float] = {}
    for day in DAY_KEYS:
        missing = hours.windows.get("sun") if day == "holidays" else None
        start, stop = hours.windows.get(day, missing) or (0.0, 0.0)
        points |= {f"hours_{day}_start_h": start, f"hours_{day}_stop_h": stop}
    return points | {"called_by_occupancy": hours.called_by_occupancy or 0}


def _start_points(start: OptimalStart | str | None) -> dict[str, float]:
    if not isinstance(start, OptimalStart):
        return {"optimal_start_latest_h": 0.0, "optimal_start_rate_k_h": 0.0}
    return {"optimal_start_latest_h": start.latest_h, "optimal_start_rate_k_h": start.warm_up_k_per_h}


def _setback_points(setback: EmptyZoneSetback | str | None) -> dict[str, float]:
    if not isinstance(setback, EmptyZoneSetback):
        return {"empty_setback_delta_k": 0.0, "empty_setback_after_min": 30.0, "empty_setback_from_h": 0.0}
    return {
        "empty_setback_delta_k": setback.delta_k,
        "empty_setback_after_min": setback.after_min,
        "empty_setback_from_h": setback.from_h or 0.0,
    }


def _air_points(reset: SupplyAirReset | None, air: OutdoorAir) -> dict[str, float]:
    supply = reset or SupplyAirReset(min_c=12.8, max_c=12.8)
    share = air.demand_controlled_min_fraction
    return {
        "supply_air_min_c": supply.min_c,
        "supply_air_max_c": supply.max_c,
        "supply_air_rise_k": supply.rise_k,
        "supply_air_fall_k": supply.fall_k,
        "outdoor_air_delay_h": air.start_delay_h or 0.0,
        "outdoor_air_min_fraction": 1.0 if share is None else share,
    }


def _night_points(night: NightCycle | str | None) -> dict[str, float]:
    if not isinstance(night, NightCycle):
        return {"night_cycle_tolerance_k": 1.0, "night_cycle_run_min": 0.0}
    return {"night_cycle_tolerance_k": night.tolerance_k, "night_cycle_run_min": night.run_min}


def _precool_points(precool: Precool | str | None) -> dict[str, float]:
    if not isinstance(precool, Precool):
        return {"precool_from_h": 0.0, "precool_to_h": 0.0, "precool_setpoint_c": 24.0}
    return {
        "precool_from_h": precool.from_h,
        "precool_to_h": precool.to_h,
        "precool_setpoint_c": precool.setpoint_c,
    }


def policy_from_points(site: Site, values: Mapping[str, float]) -> Policy:
    """The policy whose ``program_points`` are ``values``.

    Raises:
        BadInputError: a point is missing, or units differ, which a policy of the building cannot say.
    """
    of_zone = {zone.id: _taken(values, zone.id) for zone in site.zones}
    of_unit = [_taken(values, unit.id) for unit in site.air_handlers]
    installed = [unit.economizer for unit in site.air_handlers]
    heating = {z: _setpoint(p, "heating") for z, p in of_zone.items()}
    cooling = {z: _setpoint(p, "cooling") for z, p in of_zone.items()}
    if not of_unit:
        return Policy(zone_heating_setpoint_c=heating, zone_cooling_setpoint_c=cooling)
    common = _same(of_unit)
    economizer = any(p["economizer"] > 0 for p in of_unit) or not any(installed)
    return Policy(
        zone_heating_setpoint_c=heating,
        zone_cooling_setpoint_c=cooling,
        operating_hours=_hours(common),
        optimal_start=_optimal_start(common),
        empty_zone_setback=_setback(common),
        supply_air_temperature_c=SupplyAirReset(
            min_c=common["supply_air_min_c"],
            max_c=common["supply_air_max_c"],
            rise_k=common["supply_air_rise_k"],
            fall_k=common["supply_air_fall_k"],
        ),
        outdoor_air=_outdoor_air(common),
        economizer="differential_dry_bulb" if economizer else "off",
        night_cycle=_night_cycle(common),
        precool=_precool(common),
    )


def _taken(values: Mapping[str, float], owner: str) -> dict[str, float]:
    start = f"{owner}/"
    taken = {name.removeprefix(start): value for name, value in values.items() if name.startswith(start)}
    if not taken:
        raise BadInputError(f"no points of {owner}: a policy needs the points of every zone and unit")
    return taken


def _same(units: Iterable[Mapping[str, float]]) -> dict[str, float]:
    first, *rest = units
    for other in rest:
        for name, value in first.items():
            if name != "economizer" and other.get(name) != value:
                message = (
                    f"{name}: units differ ({value:g} and {other.get(name)}); a policy holds for the whole building"
                )
                raise BadInputError(message)
    return dict(first)


def _setpoint(points: Mapping[str, float], mode: str) -> Setpoint:
    return Setpoint(occupied=points[f"{mode}_setpoint_occupied_c"], unoccupied=points[f"{mode}_setpoint_unoccupied_c"])


def _hours(points: Mapping[str, float]) -> OperatingHours:
    spans = {day: (points[f"hours_{day}_start_h"], points[f"hours_{day}_stop_h"]) for day in DAY_KEYS}
    windows = {day: None if span[0] == span[1] else span for day, span in spans.items()}
    return OperatingHours(windows=windows, called_by_occupancy=int(points["called_by_occupancy"]))


def _optimal_start(points: Mapping[str, float]) -> OptimalStart | _Off:
    rate = points["optimal_start_rate_k_h"]
    return OptimalStart(latest_h=points["optimal_start_latest_h"], warm_up_k_per_h=rate) if rate > 0 else "off"


def _setback(points: Mapping[str, float]) -> EmptyZoneSetback | _Off:
    if points["empty_setback_delta_k"] == 0:
        return "off"
    return EmptyZoneSetback(
        delta_k=points["empty_setback_delta_k"],
        after_min=points["empty_setback_after_min"],
        from_h=points["empty_setback_from_h"] or None,
    )


def _outdoor_air(points: Mapping[str, float]) -> OutdoorAir:
    share = points["outdoor_air_min_fraction"]
    return OutdoorAir(
        start_delay_h=points["outdoor_air_delay_h"], demand_controlled_min_fraction=None if share >= 1 else share
    )


def _night_cycle(points: Mapping[str, float]) -> NightCycle | _Off:
    run = points["night_cycle_run_min"]
    return NightCycle(tolerance_k=points["night_cycle_tolerance_k"], run_min=run) if run > 0 else "off"


def _precool(points: Mapping[str, float]) -> Precool | _Off:
    start, stop = points["precool_from_h"], points["precool_to_h"]
    return "off" if start == stop else Precool(from_h=start, to_h=stop, setpoint_c=points["precool_setpoint_c"])
