"""The EnergyPlus engine in lock-step: what goes in comes out, errors surface, the end is clean."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connectors.emulator.energyplus import EnergyPlusBuilding, EnergyPlusRun
from connectors.emulator.energyplus_facts import zone_facts
from connectors.emulator.energyplus_input import of_kind, parse, render, schedule_values, source_files
from connectors.emulator.energyplus_model import ModelRequest, PreparedModel, prepare_model
from connectors.emulator.energyplus_points import StepCommands, StepReadings
from twin.errors import BadInputError, OutsideWorldError

if find_spec("pyenergyplus") is None and os.environ.get("CI") != "true":
    pytest.skip("extra 'emulator' is not installed", allow_module_level=True)

SHARED = Path(os.environ.get("UNDERSTUDY_SHARED", Path(__file__).parents[1] / ".." / "shared"))
MONDAY = date(2023, 7, 10)


def medium_office(days: int = 1, first: date = MONDAY, *, it_zone: str | None = None) -> PreparedModel:
    last = first + timedelta(days=days - 1)
    return prepare_model(ModelRequest(first_day=first, last_day=last, it_zone=it_zone))


def commands(model: PreparedModel, **changed: object) -> StepCommands:
    zones, units = np.ones(len(model.zones)), np.ones(len(model.units))
    base = StepCommands(
        heating_setpoint_c=21.0 * zones,
        cooling_setpoint_c=24.0 * zones,
        fan_on=units,
        minimum_outdoor_air=units,
        supply_air_c=12.8 * units,
        people=4.0 * zones,
        lights_w=1000.0 * zones,
        plugs_w=800.0 * zones,
    )
    return replace(base, **changed)  # type: ignore[arg-type]  # a test names fields by keyword


def run_steps(model: PreparedModel, steps: int, **changed: object) -> list[StepReadings]:
    with EnergyPlusBuilding(model) as building:
        return [building.step(commands(model, **changed)) for _ in range(steps)]


def test_reading_a_model_and_writing_it_again_loses_no_object() -> None:
    entries = parse("Zone, a, 1; ! a comment; with a semicolon\nZone,\n b, 2;")
    assert entries == [["Zone", "a", "1"], ["Zone", "b", "2"]]
    assert parse(render(entries)) == entries


def test_every_unit_gets_schedules_of_its_own() -> None:
    model = medium_office()
    names = [name for unit in model.units for name in (unit.fan_schedule, unit.minimum_air_schedule)]
    assert len(names) == len(set(names)) == 2 * 3
    assert [len(unit.zones) for unit in model.units] == [5, 5, 5]


def test_clock_changes_and_reports_are_dropped_and_holidays_kept() -> None:
    kinds = [entry[0].lower() for entry in parse(medium_office().text)]
    assert "runperiodcontrol:daylightsavingtime" not in kinds
    assert not any(kind.startswith("output") for kind in kinds)
    assert kinds.count("runperiodcontrol:specialdays") == 10


def test_another_climate_is_sized_from_the_weather_files_extreme_weeks() -> None:
    model = prepare_model(
        ModelRequest(
            building="small_office",
            weather="usa_nv_las_vegas",
            first_day=MONDAY,
            last_day=MONDAY,
            size_by_weather_file=True,
        )
    )
    entries = parse(model.text)
    assert not list(of_kind(entries, "SizingPeriod:DesignDay"))
    assert len(list(of_kind(entries, "SizingPeriod:WeatherFileConditionType"))) == 2
    assert all(unit.supply_schedule is None for unit in model.units)


@pytest.mark.parametrize(
    ("building", "zones", "units"),
    [
        ("standalone_retail", 5, 5),
        ("strip_mall", 10, 10),
        ("primary_school", 25, 7),
        ("secondary_school", 46, 9),
        ("supermarket", 6, 6),
        ("warehouse", 3, 3),
        ("large_office", 16, 4),
    ],
)
def test_other_buildings_of_the_wheel_are_prepared(building: str, zones: int, units: int) -> None:
    model = prepare_model(ModelRequest(building=building, first_day=MONDAY, last_day=MONDAY))
    assert (len(model.zones), len(model.units)) == (zones, units)
    assert len({unit.fan_schedule for unit in model.units}) == units
    assert all(facts.floor_area_m2 > 0 and facts.design_people >= 0 for facts in zone_facts(building))


def test_a_floor_that_stands_for_ten_counts_once() -> None:
    model = prepare_model(ModelRequest(building="large_office", first_day=MONDAY, last_day=MONDAY))
    assert {entry[7] for entry in of_kind(parse(model.text), "Zone")} == {"1"}


def test_a_building_without_a_night_cycle_is_refused_with_the_air_loop() -> None:
    with pytest.raises(BadInputError, match="DOAS has no night cycle"):
        prepare_model(ModelRequest(building="large_hotel", first_day=MONDAY, last_day=MONDAY))


def test_a_packaged_units_fan_stands_and_runs_as_it_is_commanded() -> None:
    model = prepare_model(ModelRequest(building="standalone_retail", first_day=MONDAY, last_day=MONDAY))
    wide = {"heating_setpoint_c": np.full(5, 10.0), "cooling_setpoint_c": np.full(5, 40.0)}  # no coil, no night cycle
    reading = run_steps(model, 30, fan_on=np.array([1.0, 0.0, 1.0, 0.0, 0.0]), **wide)[-1]
    assert (reading.units["flow_kg_s"] > 0.1).tolist() == [True, False, True, False, False]


def test_a_heater_in_a_zone_heats_while_its_schedule_is_on() -> None:
    """The entry of the shop on a January morning, its neighbours without their units."""
    winter = date(2023, 1, 16)
    model = prepare_model(ModelRequest(building="standalone_retail", first_day=winter, last_day=winter))
    assert model.units[-1].zones == ("Front_Entry",)
    on, off = (
        run_steps(model, 30, fan_on=np.array([0.0, 0.0, 0.0, 0.0, on]), people=np.zeros(5))[-1] for on in (1.0, 0.0)
    )
    assert on.site["heating_electricity_w"] > 200.0
    assert off.site["heating_electricity_w"] == 0.0
    assert on.zones["temp_c"][2] > off.zones["temp_c"][2] + 2.0
    assert on.units["outdoor_air_frac"][-1] == 0.0


def test_a_zone_without_plugs_shows_none() -> None:
    model = prepare_model(ModelRequest(building="standalone_retail", first_day=MONDAY, last_day=MONDAY))
    assert [zone.name for zone in model.zones if zone.plugs is None] == ["Front_Entry"]
    np.testing.assert_allclose(run_steps(model, 2)[-1].zones["plugs_w"], [800.0, 800.0, 0.0, 800.0, 800.0])


def test_the_lifts_run_on_working_days_and_stand_on_sundays() -> None:
    entries = parse(source_files("medium_office", "usa_il_chicago")[0].read_text())
    working, sunday = (schedule_values(entries, "BLDG_ELEVATORS", day) for day in ("Weekdays", "AllOtherDays"))
    assert len(working) == len(sunday) == 24
    assert max(working) == pytest.approx(0.69)
    assert max(sunday) == 0.0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"building": "castle"}, "medium_office"),
        ({"weather": "mars"}, "usa_il_chicago"),
        ({"it_zone": "attic"}, "Core"),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(wrong: dict[str, str], words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        prepare_model(replace(ModelRequest(first_day=MONDAY, last_day=MONDAY), **wrong))  # type: ignore[arg-type]


def test_days_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(BadInputError, match="before first day"):
        medium_office(days=-1)


def test_people_lights_and_plugs_come_back_as_they_were_set() -> None:
    reading = run_steps(medium_office(), 3)[-1]
    np.testing.assert_allclose(reading.zones["occupants"], 4.0)
    np.testing.assert_allclose(reading.zones["lights_w"], 1000.0)
    np.testing.assert_allclose(reading.zones["plugs_w"], 800.0)


def test_a_whole_day_has_96_steps_and_then_the_engine_says_that_it_has_ended() -> None:
    model = medium_office()
    with EnergyPlusBuilding(model) as building:
        for _ in range(96):
            building.step(commands(model))
        with pytest.raises(OutsideWorldError, match="has ended"):
            building.step(commands(model))


def test_hosts_add_their_power_to_the_meter_and_raise_cooling() -> None:
    model = medium_office(it_zone="Core_mid")
    idle, busy = (run_steps(model, 56, it_w=power)[-1].site for power in (0.0, 20_000.0))
    assert busy["plugs_w"] - idle["plugs_w"] == pytest.approx(20_000.0)
    assert busy["cooling_electricity_w"] > idle["cooling_electricity_w"] + 500.0


def test_fans_off_means_no_air_and_units_are_commanded_one_by_one() -> None:
    wide = {"heating_setpoint_c": np.full(15, 10.0), "cooling_setpoint_c": np.full(15, 40.0)}  # no night cycle
    reading = run_steps(medium_office(), 30, fan_on=np.array([1.0, 0.0, 1.0]), **wide)[-1]
    flow = reading.units["flow_kg_s"]
    assert flow[0] > 1.0
    assert flow[1] == 0.0
    assert flow[2] > 1.0


def test_a_unit_whose_rooms_do_not_leak_runs_like_any_other() -> None:
    """The basement of the large office is below ground and has no infiltration."""
    model = prepare_model(ModelRequest(building="large_office", first_day=MONDAY, last_day=MONDAY))
    assert [unit.infiltration_schedule is None for unit in model.units] == [False, False, False, True]
    readings = run_steps(model, 2)
    assert (readings[-1].units["flow_kg_s"] > 0.0).all()


def test_the_same_commands_give_the_same_readings_to_the_last_bit() -> None:
    first, second = (run_steps(medium_office(), 20) for _ in range(2))
    assert [reading.site for reading in first] == [reading.site for reading in second]


def test_two_buildings_run_side_by_side_in_one_process() -> None:
    model = medium_office()
    low, high = np.full(15, 18.0), np.full(15, 24.0)
    with EnergyPlusBuilding(model) as cool, EnergyPlusBuilding(model) as warm:
        for _ in range(56):
            a = cool.step(commands(model, heating_setpoint_c=low, cooling_setpoint_c=low + 2.0))
            b = warm.step(commands(model, heating_setpoint_c=high, cooling_setpoint_c=high + 2.0))
    assert a.zones["temp_c"].mean() == pytest.approx(20.0, abs=1.0)
    assert b.zones["temp_c"].mean() == pytest.approx(24.0, abs=1.0)


def test_stopping_half_way_leaves_no_thread() -> None:
    model = medium_office()
    with EnergyPlusBuilding(model) as building:
        building.step(commands(model))
    assert not [thread for thread in threading.enumerate() if thread.name == "energyplus"]


def test_an_error_of_the_controller_is_raised_and_not_swallowed() -> None:
    def broken(_: StepReadings | None) -> StepCommands:
        message = "sensor gone"
        raise ArithmeticError(message)

    with pytest.raises(ArithmeticError, match="sensor gone"):
        EnergyPlusRun(medium_office(), broken).run()


def test_a_model_with_a_wrong_name_is_refused_by_its_name() -> None:
    model = medium_office()
    unit = replace(model.units[0], fan_schedule="No such schedule")
    with (
        EnergyPlusBuilding(replace(model, units=(unit, *model.units[1:]))) as building,
        pytest.raises(BadInputError, match="No such schedule"),
    ):
        building.step(commands(model))


def test_a_broken_model_ends_with_the_engines_own_words() -> None:
    model = medium_office()
    broken = replace(model, text=model.text.replace("Zone,Core_mid", "Zone,Elsewhere"))
    with EnergyPlusBuilding(broken) as building, pytest.raises(OutsideWorldError, match="Severe"):
        building.step(commands(model))


@pytest.mark.slow
def test_a_recorded_january_week_is_reproduced_within_one_per_cent() -> None:
    """Drivers and commands of the recorded year; the first ten days settle the unknown start of the building's mass."""
    folder = SHARED / "telemetry" / "medium_office_chicago"
    if not folder.exists():
        pytest.skip("recorded year of the medium office is not there; set UNDERSTUDY_SHARED")
    simulated, recorded = replay(folder, date(2023, 1, 9), settle_days=10, days=4)
    for meter in ("fan_electricity_w", "heating_electricity_w", "heating_gas_w", "facility_electricity_w"):
        assert sum(r.site[meter] for r in simulated) == pytest.approx(recorded[meter].sum(), rel=0.01)


def replay(folder: Path, first: date, *, settle_days: int, days: int) -> tuple[list[StepReadings], pd.DataFrame]:
    """Readings after the settling days, and the recorded rows of the same steps."""
    total = settle_days + days
    model = medium_office(total, first)
    building = pd.read_parquet(folder / "building.parquet").set_index("timestamp")
    span = slice(str(first), str(first + timedelta(days=total - 1)))
    building, long = building[span], pd.read_parquet(folder / "zones.parquet")
    names = [zone.name for zone in model.zones]
    wide = {
        column: long.pivot(index="timestamp", columns="zone", values=column)[names][span].to_numpy(float)
        for column in ("occupants", "lights_w", "plugs_w", "heating_setpoint_c", "cooling_setpoint_c")
    }
    wide["plugs_w"] = wide["plugs_w"] - without_lifts(first, total)
    units = np.ones(3)
    readings = []
    with EnergyPlusBuilding(model) as engine:
        for i, row in enumerate(building.itertuples()):
            step = {name: values[i] for name, values in wide.items() if name != "occupants"}
            step |= {"people": wide["occupants"][i], "fan_on": row.fan_schedule_on * units}
            step |= {"supply_air_c": row.supply_temp_setpoint_c * units}
            readings.append(engine.step(commands(model, **step, minimum_outdoor_air=row.min_outdoor_air_frac * units)))
    skip = settle_days * 96
    return readings[skip:], building[skip:]


def without_lifts(first: date, days: int) -> np.ndarray:
    """Power of the lifts in the first zone, shape (steps, zones); holidays run like Sundays. [W]"""
    entries = parse(source_files("medium_office", "usa_il_chicago")[0].read_text())
    power = np.zeros((days * 96, 15))
    for i in range(days):
        day = first + timedelta(days=i)
        free = day.weekday() == 6 or day == date(2023, 1, 16)
        kind = "AllOtherDays" if free else "Saturday" if day.weekday() == 5 else "Weekdays"
        power[i * 96 : (i + 1) * 96, 0] = 32109.89 * np.repeat(schedule_values(entries, "BLDG_ELEVATORS", kind), 4)
    return power
