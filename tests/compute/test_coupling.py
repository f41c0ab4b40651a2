"""Hosts in a building: their heat is the room's load, and consolidation shows in its cooling."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from twin.building.parameters import Parameters
from twin.drivers import Drivers, Weather
from twin.kpi import kpis
from twin.policy import DAY_KEYS, Consolidation, OperatingHours, Policy, Setpoint
from twin.result import RunResult
from twin.run import simulate
from twin.site import Adjacency, AirHandler, Host, HostType, Location, Site, Vm, Wall, Zone
from twin.vocab import EndUse, Facing, SystemType

STEPS = 4 * 96
COP = 3.0
PLANT = Parameters({"cop": COP, "cop_outdoor": 0.0, "cop_wet_bulb": 0.0, "cycling_loss": 0.0})
ALWAYS = Policy(
    heating_setpoint_c=Setpoint(occupied=18.0, unoccupied=18.0),
    cooling_setpoint_c=Setpoint(occupied=24.0, unoccupied=24.0),
    operating_hours=OperatingHours(windows=dict.fromkeys(DAY_KEYS, (0.0, 24.0))),
    economizer="off",
)
TYPE = HostType(name="t", cores=16, core_mips=2500.0, ram_mb=65_536.0, power_w=tuple(np.linspace(500.0, 1500.0, 11)))


def site(hosts: int) -> Site:
    room = Zone(
        id="room",
        floor=0,
        floor_area_m2=300.0,
        volume_m3=900.0,
        air_handler="unit",
        design_people=2.0,
        walls=(Wall(facing=Facing.NORTH, area_m2=60.0),),
        adjacent=(Adjacency(zone="hall", area_m2=60.0),),
    )
    hall = replace(room, id="hall", air_handler="other", adjacent=(Adjacency(zone="room", area_m2=60.0),))
    units = (("unit", "room"), ("other", "hall"))
    return Site(
        name="machines",
        time_zone=ZoneInfo("UTC"),
        location=Location(latitude_deg=42.0, longitude_deg=-88.0),
        zones=(room, hall),
        air_handlers=tuple(
            AirHandler(id=unit, system=SystemType.PACKAGED_SINGLE_ZONE, zones=(zone,)) for unit, zone in units
        ),
        host_types=(TYPE,),
        hosts=tuple(Host(id=f"h{i}", type="t", zone="room") for i in range(hosts)),
        vms=tuple(Vm(id=f"v{i}", vcpus=4, mips=20_000.0, ram_mb=8192.0, host=f"h{i}") for i in range(hosts)),
    )


def drivers(vms: int, demand: float) -> Drivers:
    """Four hot dry days, so that the coil takes no water out of the air."""
    flat, none = np.ones(STEPS), np.zeros((STEPS, 2))
    weather = Weather(
        outdoor_c=35.0 * flat,
        outdoor_rh=0.1 * flat,
        wind_m_s=2.0 * flat,
        direct_normal_w_m2=0.0 * flat,
        diffuse_horizontal_w_m2=0.0 * flat,
    )
    return Drivers(
        start=datetime(2023, 7, 10, tzinfo=UTC),
        step_s=900.0,
        weather=weather,
        people=none,
        lights_w=none,
        plugs_w=none,
        other_gain_w=none,
        electricity_price_kwh=0.2 * flat,
        carbon_kg_kwh=0.4 * flat,
        vm_utilization=np.full((STEPS * 3, vms), demand),
    )


def cooling_w(run: RunResult) -> float:
    return float(run.building.power_w[EndUse.COOLING][STEPS // 2 :].mean())


def test_ten_kilowatts_of_hosts_raise_cooling_by_ten_over_the_cop() -> None:
    """10 hosts at half load draw 10 kW; the plant removes them with a COP of 3."""
    with_hosts = simulate(site(10), PLANT, drivers(10, 1.0), ALWAYS)
    without = simulate(site(0), PLANT, drivers(0, 0.0), ALWAYS)
    assert with_hosts.it_power_w.mean() == pytest.approx(10_000.0)
    rise = cooling_w(with_hosts) - cooling_w(without)
    assert rise * COP == pytest.approx(10_000.0, rel=0.03)


def test_host_heat_is_in_the_balance_of_its_zone() -> None:
    run = simulate(site(10), PLANT, drivers(10, 1.0), ALWAYS)
    assert run.building.balance_residual_w < 1e-3
    temperature = run.building.zone_temperature_c[STEPS // 2 :].mean(axis=0)
    assert temperature[0] == pytest.approx(24.0, abs=0.3)


def test_packing_vms_saves_electricity_of_hosts_and_of_cooling() -> None:
    packed = replace(ALWAYS, consolidation=Consolidation(), power_down_idle_hosts=True)
    runs = [simulate(site(10), PLANT, drivers(10, 0.1), policy) for policy in (ALWAYS, packed)]
    saved_it = runs[0].it_power_w[STEPS // 2 :].mean() - runs[1].it_power_w[STEPS // 2 :].mean()
    assert saved_it > 2000.0
    assert cooling_w(runs[0]) - cooling_w(runs[1]) == pytest.approx(saved_it / COP, rel=0.05)


def test_host_hours_and_energy_times_violations_follow_from_the_run() -> None:
    """10 hosts on for four days are 960 host-hours; nothing moves, so nothing is violated by moves."""
    plain = simulate(site(10), PLANT, drivers(10, 0.5), ALWAYS)
    values = kpis(plain, site(10))
    assert values["host_hours"] == pytest.approx(960.0)
    assert values["esv"] == pytest.approx(values["it_kwh"] * values["slav"])
