"""The emulated building keeps the connector contract and carries out what is pushed into it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connectors.conformance import CHECKS, Trial
from connectors.emulator.building import EmulatedBuilding
from connectors.emulator.bundled_site import bundled_site_folder, demo_model, met
from connectors.emulator.runs import run_program, run_program_apart
from connectors.settings import load_site
from connectors.simulated import SimulatedHosts
from twin.building.points import program_points
from twin.building.program import compile_program
from twin.errors import BadInputError, OutsideWorldError, RefusedError
from twin.plan import Action, ActionKind, Quality
from twin.policy import EmptyZoneSetback, OutdoorAir, Policy, SupplyAirReset
from twin.site import Site

if find_spec("pyenergyplus") is None and os.environ.get("CI") != "true":
    pytest.skip("extra 'emulator' is not installed", allow_module_level=True)

FOLDER = bundled_site_folder()
MONDAY = date(2023, 10, 23)
COOLING = "Core_mid/cooling_setpoint_occupied_c"


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(FOLDER / "site.yaml").site


@pytest.fixture
def building(site: Site) -> Iterator[EmulatedBuilding]:
    with start(site, days=2) as running:
        running.advance_hours(8)
        yield running


@pytest.fixture(scope="module")
def on_trial(site: Site) -> Iterator[EmulatedBuilding]:
    """One building for all checks of the contract, which leave it as they found it."""
    with start(site, days=1) as running:
        running.advance_hours(8)
        yield running


def start(site: Site, *, days: int, first: date = MONDAY) -> EmulatedBuilding:
    world = met(site, FOLDER, first, days)
    return EmulatedBuilding("building", site, demo_model(first, first + timedelta(days=days - 1)), world.days)


def action(point: str, value: float, **more: object) -> Action:
    base = Action(
        id=f"set {point}", kind=ActionKind.SET_POINT, connector="building", point=point, value=value, expected=None
    )
    return replace(base, **more)  # type: ignore[arg-type]  # a test names fields by keyword


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_emulated_building_keeps_the_contract(check: Callable[[Trial], None], on_trial: EmulatedBuilding) -> None:
    def overwrite() -> float:
        on_trial.operate(COOLING, 22.5)
        return 22.5

    trial = Trial(
        connector=on_trial,
        readable=["Core_mid/zone_air_temperature", "hvac_electric_power", COOLING],
        unreadable="Core_mid/nothing",
        action=action(COOLING, 25.5, unit="degC"),
        forbidden=[action("Core_mid/zone_air_temperature", 20.0), action(COOLING, 90.0, unit="degC")],
        overwrite=overwrite,
    )
    check(trial)


def test_commands_and_readings_have_names_of_the_site(building: EmulatedBuilding, site: Site) -> None:
    names = building.points()
    assert set(program_points(site, site.operation)) <= set(names)
    assert {"hvac_electric_power", "Core_top/zone_air_temperature", "VAV_1/ahu_supply_air_flow"} <= set(names)
    assert all(reading.quality is Quality.GOOD for reading in building.read(names))


def test_a_pushed_setpoint_is_followed_from_the_next_step_on(building: EmulatedBuilding) -> None:
    building.apply(action(COOLING, 25.5))
    building.advance_steps(1)
    assert building.read(["Core_mid/zone_cooling_setpoint"])[0].value == pytest.approx(25.5)


def test_an_expired_command_is_dropped_and_the_own_program_goes_on(building: EmulatedBuilding) -> None:
    building.apply(action(COOLING, 25.5, expires_at=building.now() + timedelta(hours=1)))
    building.advance_hours(2)
    reading = building.read([COOLING])[0]
    assert (reading.value, reading.held_by, reading.own_value) == (24.0, None, None)
    assert building.read(["Core_mid/zone_cooling_setpoint"])[0].value == pytest.approx(24.0)


def test_an_operator_wins_and_our_command_comes_back_when_he_lets_go(building: EmulatedBuilding) -> None:
    building.apply(action(COOLING, 25.5))
    building.operate(COOLING, 23.0)
    building.advance_steps(1)
    assert building.read([COOLING])[0].held_by == "operator"
    assert building.read(["Core_mid/zone_cooling_setpoint"])[0].value == pytest.approx(23.0)
    building.operate(COOLING, None)
    building.advance_steps(1)
    assert building.read(["Core_mid/zone_cooling_setpoint"])[0].value == pytest.approx(25.5)


def test_a_reading_cannot_be_commanded(building: EmulatedBuilding) -> None:
    with pytest.raises(RefusedError, match="is a reading"):
        building.apply(action("Core_mid/zone_air_temperature", 20.0))


def test_building_time_passes_by_steps_hours_and_seconds(building: EmulatedBuilding) -> None:
    before = building.now()
    building.advance_steps(2)
    building.wait(60.0)
    building.advance_hours(1)
    assert building.now() - before == timedelta(minutes=30, seconds=60, hours=1)
    assert len(building.record().building) == 8 * 4 + 2 + 4


def test_after_the_last_known_day_the_building_says_so(site: Site) -> None:
    with start(site, days=1) as short, pytest.raises(OutsideWorldError, match="prepare more days"):
        short.advance_hours(25)


def test_zones_in_another_order_are_refused(site: Site) -> None:
    world = met(site, FOLDER, MONDAY, 1)
    turned = replace(site, zones=tuple(reversed(site.zones)))
    with pytest.raises(BadInputError, match="model's order"):
        EmulatedBuilding("building", turned, demo_model(MONDAY, MONDAY), world.days)


def test_untouched_points_run_as_the_own_program_does(site: Site) -> None:
    """The live building and a batch run of the same operation are the same building."""
    world = met(site, FOLDER, MONDAY, 2)
    program = compile_program(site, site.operation, world.days.start, world.days.steps)
    batch = run_program(demo_model(MONDAY, MONDAY + timedelta(days=1)), program, world.days)
    with start(site, days=2) as live:
        live.advance_hours(48)
        rows = live.record().building
    np.testing.assert_allclose(rows["hvac_electricity_w"], batch.building["hvac_electricity_w"], rtol=1e-9)


def test_a_policy_pushed_point_by_point_is_carried_out_like_the_policy_itself(site: Site) -> None:
    policy = site.operation.merge(
        Policy(
            supply_air_temperature_c=SupplyAirReset(min_c=12.8, max_c=16.0),
            outdoor_air=OutdoorAir(start_delay_h=1.0, demand_controlled_min_fraction=0.3),
            empty_zone_setback=EmptyZoneSetback(delta_k=1.5),
        )
    )
    world = met(site, FOLDER, MONDAY, 2)
    program = compile_program(site, policy, world.days.start, world.days.steps)
    batch = run_program(demo_model(MONDAY, MONDAY + timedelta(days=1)), program, world.days)
    now, wanted = program_points(site, site.operation), program_points(site, policy)
    with start(site, days=2) as live:
        for point in (p for p in wanted if wanted[p] != now[p]):
            live.apply(action(point, wanted[point]))
        live.advance_hours(48)
        rows = live.record().building
    np.testing.assert_allclose(rows["hvac_electricity_w"], batch.building["hvac_electricity_w"], rtol=1e-9)


@pytest.mark.slow
def test_a_run_in_a_process_of_its_own_gives_the_same_record(site: Site) -> None:
    world = met(site, FOLDER, MONDAY, 1)
    model, program = demo_model(MONDAY, MONDAY), compile_program(site, site.operation, world.days.start, 96)
    here, apart = run_program(model, program, world.days), run_program_apart(model, program, world.days)
    np.testing.assert_array_equal(here.building, apart.building)


def test_hosts_that_are_powered_down_take_their_heat_out_of_the_server_room(site: Site) -> None:
    """The VMs of one host move to another, and the emptied host sleeps."""
    clusters: list[SimulatedHosts] = []

    def power_w(_: int) -> float:
        return sum(clusters[0].power_w().values())

    world = met(site, FOLDER, MONDAY, 1)
    running = EmulatedBuilding(
        "building",
        site,
        demo_model(MONDAY, MONDAY),
        world.days,
        it_power_w=power_w,
    )
    clusters.append(SimulatedHosts("hosts", site.hosts, site.host_types, site.vms, running))
    with running:
        running.advance_hours(1)
        for vm in site.vms:
            if vm.host == "h12":
                clusters[0].apply(migration(vm.id, "h01"))
        clusters[0].apply(power_off("h12"))
        running.advance_hours(1)
        it_w = running.record().building["it_w"]
    idle_w, sleep_w = site.host_types[1].power_w[0], site.host_types[1].sleep_power_w
    assert it_w.iloc[0] - it_w.iloc[-1] == pytest.approx(idle_w - sleep_w)


def migration(vm: str, host: str) -> Action:
    return Action(
        id=f"move {vm}",
        kind=ActionKind.LIVE_MIGRATE,
        connector="hosts",
        point=f"vm/{vm}/host",
        value=host,
        expected=None,
    )


def power_off(host: str) -> Action:
    return Action(
        id=f"off {host}",
        kind=ActionKind.POWER_OFF_HOST,
        connector="hosts",
        point=f"host/{host}/power",
        value="off",
        expected=None,
    )


def test_switching_the_economizer_off_takes_outdoor_air_to_its_minimum(site: Site) -> None:
    """A mild week: free cooling is worth most then."""
    with start(site, days=2) as free, start(site, days=2) as shut:
        for unit in ("VAV_1", "VAV_2", "VAV_3"):
            shut.apply(action(f"{unit}/economizer", 0.0))
        for one in (free, shut):
            one.advance_hours(48)
        free_rows, shut_rows = free.record().building, shut.record().building
    assert shut_rows["ahu.VAV_2.outdoor_air_frac"].mean() < 0.8 * free_rows["ahu.VAV_2.outdoor_air_frac"].mean()
    assert shut_rows["cooling_electricity_w"].sum() > free_rows["cooling_electricity_w"].sum()


@pytest.mark.slow
def test_a_night_cycle_by_points_matches_the_buildings_own(site: Site) -> None:
    """A cold week; a run time of 30.01 min hands over from the engine's own manager to the local controller."""
    totals = []
    for run_min in (30.0, 30.01):
        with start(site, days=5, first=date(2023, 1, 14)) as cold:
            for unit in ("VAV_1", "VAV_2", "VAV_3"):
                cold.apply(action(f"{unit}/night_cycle_run_min", run_min))
            cold.advance_hours(24 * 5)
            totals.append(float(cold.record().building["heating_electricity_w"].sum()))
    assert totals[1] == pytest.approx(totals[0], rel=0.10)


def test_telemetry_comes_as_rows_of_points_in_the_products_units(building: EmulatedBuilding, site: Site) -> None:
    rows = building.telemetry()
    assert list(rows.columns) == ["timestamp", "point", "value"]
    assert set(rows["point"]) <= {point.id for point in site.points}
    humidity = rows[rows["point"] == "Core_mid/zone_relative_humidity"]["value"]
    assert humidity.between(0.0, 1.0).all()
    assert len(rows) == rows["point"].nunique() * 8 * 4


def test_two_buildings_that_nobody_touches_are_the_same_building(site: Site) -> None:
    with start(site, days=1) as first, start(site, days=1) as second:
        for one in (first, second):
            one.advance_hours(24)
        np.testing.assert_array_equal(first.record().building, second.record().building)


def test_the_example_of_the_manual_runs() -> None:
    text = (Path(__file__).parents[1] / "docs" / "emulator.md").read_text()
    example = text.split("```python\n")[1].split("```")[0]
    names: dict[str, object] = {}
    exec(example, names)
    rows = names["rows"]
    assert isinstance(rows, pd.DataFrame)
    assert len(rows) == 96 * rows["point"].nunique()
