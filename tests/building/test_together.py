"""Where a zone, a unit or a run stands among the lanes never shows in its results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_site import two_zone_site
from test_building_run import DAYS, OFFICE, STEPS, SYSTEMS, drivers, site_with

from twin.building.model import sun_on
from twin.building.parameters import Parameters
from twin.kpi import kpis
from twin.policy import EmptyZoneSetback, OptimalStart, OutdoorAir, Policy, Precool, Setpoint, SupplyAirReset
from twin.run import Case, simulate, simulate_together
from twin.site import Site
from twin.vocab import SystemType

COPIES = 11
POLICIES = (
    Policy(),
    Policy(supply_air_temperature_c=SupplyAirReset(min_c=12.8, max_c=18.0), economizer="off"),
    Policy(
        optimal_start=OptimalStart(latest_h=9.0, warm_up_k_per_h=2.0),
        precool=Precool(from_h=4.0, to_h=9.0, setpoint_c=22.0),
    ),
    Policy(
        empty_zone_setback=EmptyZoneSetback(delta_k=2.0), heating_setpoint_c=Setpoint(occupied=19.0, unoccupied=14.0)
    ),
    Policy(outdoor_air=OutdoorAir(start_delay_h=1.0, demand_controlled_min_fraction=0.3)),
)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("outdoor_c", [-6.0, 28.0])
def test_a_run_has_the_same_bits_alone_and_among_others(system: SystemType, outdoor_c: float) -> None:
    site, world = site_with(system), drivers(outdoor_c, 8.0, sun=600.0)
    cases = [
        Case(parameters=Parameters({"cop": 3.0 + k, "wall_u": 0.4 + 0.1 * k}), policy=OFFICE.merge(policy), hosts=None)
        for k, policy in enumerate(POLICIES)
    ]
    together = simulate_together(site, cases, world, sun=sun_on(site, world))
    for case, run in zip(cases, together, strict=True):
        alone = simulate(site, case.parameters, world, case.policy)
        for use, power in alone.building.power_w.items():
            np.testing.assert_array_equal(run.building.power_w[use], power)
        assert kpis(run, site) == kpis(alone, site)
        assert run.building.balance_residual_w == alone.building.balance_residual_w


def copied(site: Site) -> Site:
    """Copies of a building next to each other, the zones of a unit far apart."""
    zones = tuple(
        replace(zone, id=f"{zone.id}-{k}", air_handler=f"{zone.air_handler}-{k}", adjacent=())
        for zone in site.zones
        for k in range(COPIES)
    )
    units = tuple(
        replace(unit, id=f"{unit.id}-{k}", zones=tuple(f"{zone}-{k}" for zone in unit.zones))
        for unit in site.air_handlers
        for k in range(COPIES)
    )
    return replace(site, zones=zones, air_handlers=units)


@pytest.mark.parametrize("plenum", [False, True])
def test_a_building_runs_the_same_next_to_its_copies(plenum: bool) -> None:
    """Eleven copies, every other one with a lower setpoint, fill several blocks of zones and of units."""
    one = two_zone_site()
    one = replace(
        one,
        zones=tuple(replace(zone, adjacent=()) for zone in one.zones),
        air_handlers=tuple(replace(unit, return_plenum=plenum) for unit in one.air_handlers),
    )
    world, many = drivers(-6.0, sun=400.0), copied(one)
    tables = {name: np.repeat(getattr(world, name), COPIES, axis=1) for name in ("people", "lights_w", "plugs_w")}
    wide = replace(world, **tables, other_gain_w=np.zeros((STEPS, 2 * COPIES)))
    cool = Setpoint(occupied=18.0, unoccupied=10.0)
    odd = {zone.id: cool for zone in many.zones if int(zone.id.split("-")[-1]) % 2}
    run = simulate(many, Parameters(), wide, OFFICE.merge(Policy(zone_heating_setpoint_c=odd)))
    for k in range(COPIES):
        policy = OFFICE.merge(Policy(heating_setpoint_c=cool)) if k % 2 else OFFICE
        alone = simulate(one, Parameters(), world, policy)
        temperatures = run.building.zone_temperature_c[:, k::COPIES]
        np.testing.assert_array_equal(temperatures, alone.building.zone_temperature_c)
        np.testing.assert_array_equal(run.building.fan_on[:, k], alone.building.fan_on[:, 0])
    assert run.building.fan_on.shape == (96 * DAYS, COPIES)
