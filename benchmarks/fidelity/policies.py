"""The policies of the fidelity benchmark: one set to develop the model on, another, with other values, to report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A named policy, over the site's normal operation."""

    name: str
    kind: Literal["single", "combined"]
    set: Literal["develop", "report"]
    policy: Policy
    systems: Literal["all", "vav"] = "all"
    """``vav``: acts through a supply temperature or an economizer, which single-zone units lack."""


def _hours(
    start: float, stop: float, saturday: tuple[float, float] | None, called_by: int | None = None
) -> OperatingHours:
    free: dict[str, tuple[float, float] | None] = {"sat": saturday, "sun": None, "holidays": None}
    return OperatingHours(windows=dict.fromkeys(DAY_KEYS[:5], (start, stop)) | free, called_by_occupancy=called_by)


_SINGLE_DEVELOP = tuple(
    Trial(name=name, kind="single", set="develop", policy=policy, systems=systems)
    for name, policy, systems in (
        ("heating 20", Policy(heating_setpoint_c=Setpoint(occupied=20.0, unoccupied=15.6)), "all"),
        ("cooling 25", Policy(cooling_setpoint_c=Setpoint(occupied=25.0, unoccupied=26.7)), "all"),
        ("hours 7 to 20", Policy(operating_hours=_hours(7.0, 20.0, (7.0, 16.0))), "all"),
        ("hours 8 to 17, called by 4", Policy(operating_hours=_hours(8.0, 17.0, None, called_by=4)), "all"),
        (
            "optimal start by 7:00 at 4 K/h",
            Policy(optimal_start=OptimalStart(latest_h=7.0, warm_up_k_per_h=4.0)),
            "all",
        ),
        ("setback 1.5 K after 30 min", Policy(empty_zone_setback=EmptyZoneSetback(delta_k=1.5, after_min=30.0)), "all"),
        ("supply 15", Policy(supply_air_temperature_c=SupplyAirReset(min_c=15.0, max_c=15.0)), "vav"),
        ("supply reset to 18", Policy(supply_air_temperature_c=SupplyAirReset(min_c=12.8, max_c=18.0)), "vav"),
        ("outdoor air delay 3 h", Policy(outdoor_air=OutdoorAir(start_delay_h=3.0)), "all"),
        (
            "demand-controlled 0.2",
            Policy(outdoor_air=OutdoorAir(start_delay_h=1.0, demand_controlled_min_fraction=0.2)),
            "all",
        ),
        ("economizer off", Policy(economizer="off"), "vav"),
        ("night cycle 3 K", Policy(night_cycle=NightCycle(tolerance_k=3.0, run_min=30.0)), "all"),
        ("precool 22.5 from 11 to 14", Policy(precool=Precool(from_h=11.0, to_h=14.0, setpoint_c=22.5)), "all"),
    )
)

_COMBINED_DEVELOP = (
    Trial(
        name="hours, demand-controlled, reset",
        kind="combined",
        set="develop",
        policy=Policy(
            operating_hours=_hours(7.0, 20.0, (7.0, 16.0)),
            outdoor_air=OutdoorAir(start_delay_h=1.0, demand_controlled_min_fraction=0.2),
            supply_air_temperature_c=SupplyAirReset(min_c=12.8, max_c=18.0),
        ),
    ),
    Trial(
        name="wide band with setback",
        kind="combined",
        set="develop",
        policy=Policy(
            heating_setpoint_c=Setpoint(occupied=20.0, unoccupied=14.0),
            cooling_setpoint_c=Setpoint(occupied=25.0, unoccupied=28.0),
            empty_zone_setback=EmptyZoneSetback(delta_k=1.5, after_min=30.0),
        ),
    ),
)

_SINGLE_REPORT = tuple(
    Trial(name=name, kind="single", set="report", policy=policy, systems=systems)
    for name, policy, systems in (
        ("heating 20.5, night 14", Policy(heating_setpoint_c=Setpoint(occupied=20.5, unoccupied=14.0)), "all"),
        ("cooling 26, night 29", Policy(cooling_setpoint_c=Setpoint(occupied=26.0, unoccupied=29.0)), "all"),
        ("hours 6:30 to 19", Policy(operating_hours=_hours(6.5, 19.0, None)), "all"),
        ("hours 9 to 16, called by 6", Policy(operating_hours=_hours(9.0, 16.0, None, called_by=6)), "all"),
        (
            "optimal start by 8:00 at 3 K/h",
            Policy(optimal_start=OptimalStart(latest_h=8.0, warm_up_k_per_h=3.0)),
            "all",
        ),
        (
            "setback 2.5 K after 60 min from 16 h",
            Policy(empty_zone_setback=EmptyZoneSetback(delta_k=2.5, after_min=60.0, from_h=16.0)),
            "all",
        ),
        ("setback 2 K after 45 min", Policy(empty_zone_setback=EmptyZoneSetback(delta_k=2.0, after_min=45.0)), "all"),
        ("supply 14", Policy(supply_air_temperature_c=SupplyAirReset(min_c=14.0, max_c=14.0)), "vav"),
        (
            "supply reset 13 to 16.5, slow",
            Policy(supply_air_temperature_c=SupplyAirReset(min_c=13.0, max_c=16.5, rise_k=0.15, fall_k=0.3)),
            "vav",
        ),
        ("outdoor air delay 2 h", Policy(outdoor_air=OutdoorAir(start_delay_h=2.0)), "all"),
        (
            "demand-controlled 0.35",
            Policy(outdoor_air=OutdoorAir(start_delay_h=1.0, demand_controlled_min_fraction=0.35)),
            "all",
        ),
        ("night cycle 2 K for 60 min", Policy(night_cycle=NightCycle(tolerance_k=2.0, run_min=60.0)), "all"),
        ("precool 23 from 13 to 16", Policy(precool=Precool(from_h=13.0, to_h=16.0, setpoint_c=23.0)), "all"),
    )
)

_COMBINED_REPORT = (
    Trial(
        name="economizer off with supply 14.5",
        kind="combined",
        set="report",
        systems="vav",
        policy=Policy(economizer="off", supply_air_temperature_c=SupplyAirReset(min_c=14.5, max_c=14.5)),
    ),
    Trial(
        name="short hours, optimal start, demand-controlled",
        kind="combined",
        set="report",
        policy=Policy(
            operating_hours=_hours(6.0, 19.0, None, called_by=5),
            optimal_start=OptimalStart(latest_h=7.5, warm_up_k_per_h=3.5),
            outdoor_air=OutdoorAir(start_delay_h=1.0, demand_controlled_min_fraction=0.3),
        ),
    ),
    Trial(
        name="wide band, late setback, reset to 17",
        kind="combined",
        set="report",
        policy=Policy(
            heating_setpoint_c=Setpoint(occupied=20.3, unoccupied=15.0),
            cooling_setpoint_c=Setpoint(occupied=25.5, unoccupied=28.0),
            empty_zone_setback=EmptyZoneSetback(delta_k=1.0, after_min=45.0, from_h=15.0),
            supply_air_temperature_c=SupplyAirReset(min_c=12.8, max_c=17.0),
        ),
    ),
    Trial(
        name="everything at once",
        kind="combined",
        set="report",
        policy=Policy(
            heating_setpoint_c=Setpoint(occupied=20.5, unoccupied=14.5),
            cooling_setpoint_c=Setpoint(occupied=25.0, unoccupied=28.0),
            operating_hours=_hours(6.0, 20.0, None, called_by=4),
            optimal_start=OptimalStart(latest_h=7.0, warm_up_k_per_h=3.0),
            empty_zone_setback=EmptyZoneSetback(delta_k=1.5, after_min=45.0),
            supply_air_temperature_c=SupplyAirReset(min_c=12.8, max_c=16.0),
            outdoor_air=OutdoorAir(start_delay_h=1.0, demand_controlled_min_fraction=0.25),
        ),
    ),
)

TRIALS: tuple[Trial, ...] = (*_SINGLE_DEVELOP, *_COMBINED_DEVELOP, *_SINGLE_REPORT, *_COMBINED_REPORT)


def trials(*, vav: bool) -> tuple[Trial, ...]:
    """The policies that act on a building; keys that its units can't follow are left out of combinations."""
    if vav:
        return TRIALS
    return tuple(
        replace(trial, policy=replace(trial.policy, supply_air_temperature_c=None, economizer=None))
        for trial in TRIALS
        if trial.systems == "all"
    )
