"""Whole runs of a small building: balances, pieces, physics that must never fail."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from small_site import two_zone_site

from twin.building.model import BuildingModel
from twin.building.parameters import Parameters
from twin.building.program import compile_program
from twin.building.solar import sun_position
from twin.drivers import Drivers, Weather
from twin.policy import NightCycle, OperatingHours, OutdoorAir, Policy, Setpoint, SupplyAirReset
from twin.run import simulate
from twin.site import Location
from twin.vocab import EndUse, SystemType

DAYS = 10
STEPS = 96 * DAYS
START = datetime(2023, 1, 9, tzinfo=UTC)
OFFICE = Policy(
    heating_setpoint_c=Setpoint(occupied=21.0, unoccupied=15.6),
    cooling_setpoint_c=Setpoint(occupied=24.0, unoccupied=26.7),
    operating_hours=OperatingHours(windows=dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), (6.0, 22.0))),
)
BY_NIGHT = (EndUse.FAN, EndUse.HEATING_GAS)
SYSTEMS = [SystemType.VAV_REHEAT, SystemType.PACKAGED_SINGLE_ZONE, SystemType.FAN_COIL]


def drivers(outdoor_c: float = -5.0, swing_k: float = 5.0, gain_w_m2: float = 8.0, sun: float = 0.0) -> Drivers:
    """Ten days with a sinusoidal outdoor temperature and office hours of people, lights and plugs."""
    hour = np.arange(STEPS) / 4 % 24
    present = ((hour >= 8) & (hour < 18)).astype(float)
    daylight = np.maximum(np.sin((hour - 12) / 24 * 2 * np.pi + np.pi / 2), 0.0)
    area = np.array([200.0, 100.0])
    return Drivers(
        start=START,
        step_s=900.0,
        weather=Weather(
            outdoor_c=outdoor_c - swing_k * np.cos(hour / 24 * 2 * np.pi),
            outdoor_rh=np.full(STEPS, 0.6),
            wind_m_s=np.full(STEPS, 3.0),
            direct_normal_w_m2=sun * daylight,
            diffuse_horizontal_w_m2=sun * 0.2 * daylight,
        ),
        people=present[:, None] * np.array([8.0, 4.0]),
        lights_w=present[:, None] * area * gain_w_m2,
        plugs_w=present[:, None] * area * gain_w_m2,
        other_gain_w=np.zeros((STEPS, 2)),
        electricity_price_kwh=np.full(STEPS, 0.2),
        carbon_kg_kwh=np.full(STEPS, 0.4),
    )


def site_with(system: SystemType):
    return two_zone_site(1 if system is SystemType.VAV_REHEAT else 2, system)


def heating_w(run) -> float:
    power = run.building.power_w
    return float(power[EndUse.HEATING_GAS].mean() + power[EndUse.HEATING_ELECTRIC].mean())


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("outdoor_c", [-10.0, 12.0, 33.0])
def test_the_heat_balance_of_every_zone_and_step_closes(system: SystemType, outdoor_c: float) -> None:
    """Largest error over 960 steps against loads of some ten kilowatts."""
    run = simulate(site_with(system), Parameters(), drivers(outdoor_c, sun=700.0), OFFICE)
    assert run.building.balance_residual_w < 1e-6 * 3e4


@pytest.mark.parametrize("system", SYSTEMS)
def test_setpoints_are_met_while_units_run_with_enough_capacity(system: SystemType) -> None:
    for outdoor_c in (-8.0, 30.0):
        run = simulate(site_with(system), Parameters(), drivers(outdoor_c), OFFICE)
        temps, on = run.building.zone_temperature_c, run.building.fan_on[:, 0] > 0
        midday = on & (np.arange(STEPS) % 96 >= 48) & (np.arange(STEPS) % 96 < 80) & (np.arange(STEPS) < 5 * 96)
        assert temps[midday].min() > 21.0 - 0.01
        assert temps[midday].max() < 24.0 + 0.01


def test_the_same_run_in_pieces_is_the_same_run() -> None:
    site, world = two_zone_site(), drivers()
    program = compile_program(site, OFFICE, START, STEPS)
    whole, pieces = (BuildingModel(site, Parameters(), world, program) for _ in range(2))
    whole.advance(STEPS)
    for until in (1, 7, 100, 101, STEPS):
        pieces.advance(until)
    np.testing.assert_array_equal(whole.series.zone_c, pieces.series.zone_c)
    np.testing.assert_array_equal(whole.series.power_w, pieces.series.power_w)


def test_a_policy_equal_to_the_baseline_saves_exactly_nothing() -> None:
    site, world = two_zone_site(), drivers()
    base, same = (simulate(site, Parameters(), world, OFFICE.merge(Policy())) for _ in range(2))
    for use, power in base.building.power_w.items():
        np.testing.assert_array_equal(power, same.building.power_w[use])


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_lower_heating_setpoint_saves_heat(system: SystemType) -> None:
    site, world = site_with(system), drivers()
    cooler = OFFICE.merge(Policy(heating_setpoint_c=Setpoint(occupied=19.5, unoccupied=15.6)))
    assert heating_w(simulate(site, Parameters(), world, cooler)) < heating_w(
        simulate(site, Parameters(), world, OFFICE)
    )


def test_warmer_supply_air_saves_reheat_in_winter() -> None:
    site, world = two_zone_site(), drivers()
    warm = OFFICE.merge(Policy(supply_air_temperature_c=SupplyAirReset(min_c=12.8, max_c=18.0)))
    reheat = [
        simulate(site, Parameters(), world, policy).building.power_w[EndUse.HEATING_ELECTRIC].sum()
        for policy in (OFFICE, warm)
    ]
    assert reheat[1] < 0.8 * reheat[0]


def test_demand_controlled_ventilation_saves_heat_and_raises_carbon_dioxide() -> None:
    site, world = two_zone_site(1), drivers()
    demand = OFFICE.merge(Policy(outdoor_air=OutdoorAir(demand_controlled_min_fraction=0.2)))
    base, controlled = (simulate(site, Parameters(), world, policy) for policy in (OFFICE, demand))
    assert heating_w(controlled) <= heating_w(base)
    assert controlled.building.zone_co2_ppm.max() > base.building.zone_co2_ppm.max()


def test_carbon_dioxide_settles_at_people_over_outdoor_air() -> None:
    """8 people at 4.6e-6 m³/s against 2 L/s per m² of leakage-free supply of pure outdoor air."""
    site, world = two_zone_site(2, SystemType.PACKAGED_SINGLE_ZONE), drivers(22.0, 0.0, 0.0)
    full = Parameters({"outdoor_air": 20.0, "infiltration": 0.0})
    run = simulate(site, full, world, OFFICE)
    flow_m3_s = run.building.supply_flow_kg_s[68, 0] / 1.204
    assert run.building.outdoor_air_fraction[68, 0] == 1.0
    np.testing.assert_allclose(run.building.zone_co2_ppm[68, 0], 420.0 + 8 * 4.6 / flow_m3_s, rtol=0.01)


def test_the_sun_culminates_at_colatitude_plus_declination() -> None:
    """Equinox of 20 March 2023 at 42° N: 48° at local solar noon, in the south."""
    place = Location(latitude_deg=42.0, longitude_deg=0.0)
    altitude, azimuth = sun_position(place, datetime(2023, 3, 20, tzinfo=UTC), 288, 300.0)
    noon = int(np.argmax(altitude))
    np.testing.assert_allclose(np.rad2deg(altitude[noon]), 48.0, atol=0.3)
    np.testing.assert_allclose(np.rad2deg(azimuth[noon]), 180.0, atol=1.5)


def test_a_site_without_any_unit_floats_towards_the_weather() -> None:
    site = two_zone_site()
    bare = replace(site, zones=tuple(replace(zone, air_handler=None) for zone in site.zones), air_handlers=())
    run = simulate(bare, Parameters({"ground_u": 0.02}), drivers(5.0, 0.0, 0.0), OFFICE)
    warm = simulate(bare, Parameters({"ground_u": 0.02}), drivers(15.0, 0.0, 0.0), OFFICE)
    assert (warm.building.zone_temperature_c[-1] > run.building.zone_temperature_c[-1] + 2.0).all()
    assert sum(power.sum() for power in run.building.power_w.values()) == run.building.power_w[EndUse.LIGHTS].sum()


def test_a_run_gives_its_memory_back_as_soon_as_nobody_holds_its_result() -> None:
    """Without waiting for the collector of cycles: the next run finds the memory of this one."""
    gc.disable()
    try:
        run = simulate(site_with(SystemType.VAV_REHEAT), Parameters(), drivers(), OFFICE)
        temperatures = weakref.ref(run.building.zone_temperature_c)
        memory = weakref.ref(run.building.zone_temperature_c.base)
        del run
        assert temperatures() is None
        assert memory() is None
    finally:
        gc.enable()


def test_a_fan_that_cycles_at_night_runs_less_and_leaves_its_heat_to_the_burner() -> None:
    """Nights and a weekend at -25 °C: the night cycle holds the setback; the days are as before."""
    site, world = site_with(SystemType.PACKAGED_SINGLE_ZONE), drivers(-25.0)
    kept = OFFICE.merge(Policy(night_cycle=NightCycle(tolerance_k=1.0, run_min=30.0)))
    through, cycling = (
        simulate(site, Parameters({"night_fan_cycles": share}), world, kept).building for share in (0.0, 1.0)
    )
    working = (np.arange(STEPS) // 96 % 7 < 5) & (np.arange(STEPS) % 96 >= 24) & (np.arange(STEPS) % 96 < 88)
    off = ~working
    fan, gas = ([run.power_w[use][off].sum() for run in (through, cycling)] for use in BY_NIGHT)
    assert 0.0 < fan[1] < 0.7 * fan[0]
    assert gas[1] > gas[0]
    heat = [f + 0.8 * g for f, g in zip(fan, gas, strict=True)]
    assert heat[1] == pytest.approx(heat[0], rel=0.03)
    assert cycling.balance_residual_w < 1e-6 * 3e4
    assert cycling.supply_flow_kg_s[48, 1] == pytest.approx(through.supply_flow_kg_s[48, 1])
    moving = off & (cycling.supply_flow_kg_s[:, 1] > 0)
    assert cycling.supply_flow_kg_s[moving, 1].max() < 0.9 * through.supply_flow_kg_s[48, 1]
