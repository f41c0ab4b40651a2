"""A twin in closed form: cooling power is gain × (outdoor − cooling setpoint) where positive, 1 kW per K."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

import numpy as np

from scenarios.expand import DriverRequest
from twin.drivers import Drivers, Weather
from twin.errors import BadInputError
from twin.policy import Policy, Setpoint
from twin.result import BuildingResult, RunResult
from twin.site import AirHandler, Location, Site, Tariff, Zone
from twin.vocab import EndUse, SystemType

STEP_S = 900.0
SITE = Site(
    name="test site",
    time_zone=ZoneInfo("America/Chicago"),
    location=Location(latitude_deg=42, longitude_deg=-88),
    zones=(
        Zone(id="north", floor=0, floor_area_m2=100, volume_m3=300, air_handler="ahu", design_people=10),
        Zone(id="south", floor=0, floor_area_m2=100, volume_m3=300, air_handler="ahu", design_people=10),
    ),
    air_handlers=(AirHandler(id="ahu", system=SystemType.VAV_REHEAT, zones=("north", "south")),),
    operation=Policy(cooling_setpoint_c=Setpoint(occupied=24, unoccupied=27)),
    tariff=Tariff(electricity_per_kwh=0.2),
)
RECORD_START = datetime(2023, 6, 1, 5, tzinfo=UTC)
RECORD_END = datetime(2023, 8, 1, 5, tzinfo=UTC)


def recorded() -> Drivers:
    """Two months of drivers: 30 °C outside, a person per zone from 8 to 18 h local on weekdays."""
    steps = round((RECORD_END - RECORD_START).total_seconds() / STEP_S)
    return _drivers(RECORD_START, steps)


def _drivers(start: datetime, steps: int, outdoor_c: float = 30.0) -> Drivers:
    times = [start + timedelta(seconds=STEP_S * i) for i in range(steps)]
    local = [time.astimezone(SITE.time_zone) for time in times]
    inside = np.array([float(time.weekday() < 5 and 8 <= time.hour < 18) for time in local])
    flat = np.ones(steps)
    weather = Weather(
        outdoor_c=outdoor_c * flat,
        outdoor_rh=0.5 * flat,
        wind_m_s=flat,
        direct_normal_w_m2=0 * flat,
        diffuse_horizontal_w_m2=0 * flat,
    )
    both = np.stack([inside, inside], axis=1)
    return Drivers(
        start=start,
        step_s=STEP_S,
        weather=weather,
        people=both,
        lights_w=100 * both,
        plugs_w=100 * both,
        other_gain_w=0 * both,
        electricity_price_kwh=0.2 * flat,
        carbon_kg_kwh=0.4 * flat,
    )


def drivers_for(request: DriverRequest) -> Sequence[Drivers]:
    """Replay from the record; forecasts whose samples are 30, 31, … °C."""
    if request.kind == "synthetic" or request.start is None or request.end is None:
        return (recorded(),)
    if request.start < RECORD_START or request.end > RECORD_END:
        raise BadInputError(f"no telemetry from {request.start} to {request.end}; ingest it or choose another period")
    steps = round((request.end - request.start).total_seconds() / STEP_S)
    return tuple(_drivers(request.start, steps, 30.0 + k) for k in range(request.samples))


def linear_building(site: Site, parameters: object, drivers: Drivers, policy: Policy, *, seed: int) -> RunResult:
    """Cooling power of ``gain`` kW per K that the occupied cooling setpoint lies below the outdoor air."""
    gain = cast("float", parameters)
    setpoint = cast("Setpoint", policy.cooling_setpoint_c).occupied
    outdoor = drivers.weather.outdoor_c
    cooling = 1000.0 * gain * np.maximum(outdoor - setpoint, 0.0)
    shape = (drivers.steps, len(site.zones))
    units = (drivers.steps, len(site.air_handlers))
    building = BuildingResult(
        zone_temperature_c=np.full(shape, setpoint),
        heating_setpoint_c=np.full(shape, 21.0),
        cooling_setpoint_c=np.full(shape, setpoint),
        zone_co2_ppm=np.full(shape, 600.0),
        fan_on=np.ones(units),
        supply_temperature_c=np.full(units, 13.0),
        supply_flow_kg_s=np.ones(units),
        outdoor_air_fraction=np.full(units, 0.2),
        power_w={EndUse.COOLING: cooling, EndUse.LIGHTS: drivers.lights_w.sum(axis=1)},
        balance_residual_w=0.0,
    )
    return RunResult(
        start=drivers.start,
        step_s=drivers.step_s,
        people=drivers.people,
        building=building,
        compute=None,
        it_power_w=np.zeros(drivers.steps),
        electricity_price_kwh=drivers.electricity_price_kwh,
        carbon_kg_kwh=drivers.carbon_kg_kwh,
    )
