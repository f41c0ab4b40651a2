"""The fidelity benchmark asks every kind of question, keeps its two sets apart, and judges as it says."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

if find_spec("pyenergyplus") is None and os.environ.get("CI") != "true":
    pytest.skip("extra 'emulator' is not installed", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from fidelity.judge import discomfort_kh, summary
from fidelity.policies import TRIALS, trials
from fidelity.reference import large_office_sterling, retail_newark, school_oklahoma, strip_mall_fresno
from fidelity.sites import medium_office_chicago, small_office_las_vegas
from fidelity.stochastic_office import office_days
from fidelity.truth import Building

from connectors.emulator.runs import Record
from twin.building.points import program_points

Make = Callable[[int], Building]
BUILDING_KEYS = {
    "heating_setpoint_c",
    "cooling_setpoint_c",
    "operating_hours",
    "optimal_start",
    "empty_zone_setback",
    "supply_air_temperature_c",
    "outdoor_air",
    "economizer",
    "night_cycle",
    "precool",
}


@pytest.mark.parametrize("which", ["develop", "report"])
def test_both_sets_ask_every_kind_of_question(which: str) -> None:
    policies = [trial.policy for trial in TRIALS if trial.set == which]
    used = {f.name for policy in policies for f in fields(policy) if getattr(policy, f.name) is not None}
    assert used == BUILDING_KEYS


def test_the_report_set_has_twelve_policies_and_more_of_both_kinds() -> None:
    report = [trial for trial in TRIALS if trial.set == "report"]
    assert len(report) >= 12
    assert {trial.kind for trial in report} == {"single", "combined"}


def test_no_policy_of_the_report_set_was_looked_at_before() -> None:
    site = medium_office_chicago()
    seen = [program_points(site, site.operation.merge(t.policy)) for t in TRIALS if t.set == "develop"]
    fresh = [program_points(site, site.operation.merge(t.policy)) for t in TRIALS if t.set == "report"]
    assert not any(points in seen for points in fresh)


def test_single_zone_units_get_no_supply_temperature_and_no_economizer() -> None:
    for trial in trials(vav=False):
        assert trial.policy.supply_air_temperature_c is None
        assert trial.policy.economizer is None


def test_the_sites_carry_the_areas_of_their_drawings() -> None:
    assert sum(zone.floor_area_m2 for zone in medium_office_chicago().zones) == pytest.approx(4982, rel=1e-3)
    assert sum(zone.floor_area_m2 for zone in small_office_las_vegas().zones) == pytest.approx(511, rel=1e-2)


def test_the_seeded_office_is_empty_on_sundays_and_full_of_habits_else() -> None:
    site = small_office_las_vegas()
    days = office_days(site, utc_offset_h=-8, seed=1, days=14)
    by_day = days.people.sum(axis=1).reshape(14, 96).sum(axis=1)
    assert by_day[0] == by_day[7] == 0.0  # the first of January 2023 is a Sunday
    assert by_day[9] > 20.0
    assert (days.lights_w > 0.0).all()
    np.testing.assert_array_equal(days.people, office_days(site, utc_offset_h=-8, seed=1, days=14).people)


def test_discomfort_counts_kelvin_hours_outside_the_band_while_somebody_is_there() -> None:
    site = small_office_las_vegas()
    names = [zone.id for zone in site.zones]
    index = pd.date_range(datetime(2023, 1, 2, tzinfo=UTC), periods=4, freq="15min")
    temperature = pd.DataFrame(22.0, index=index, columns=names)
    temperature.iloc[:, 0] = 28.0  # two kelvin above the band for an hour, with people
    temperature.iloc[:, 1] = 10.0  # ten below it for an hour, with nobody there
    people = np.zeros((4, len(names)))
    people[:, 0] = 3.0
    record = Record(building=pd.DataFrame(index=index), zones={"temp_c": temperature})
    assert discomfort_kh(record, site, people) == pytest.approx(2.0)


def test_only_the_report_set_counts_in_the_summary() -> None:
    rows: list[dict[str, object]] = [
        {"set": "develop", "kind": "single", "error_points": 40.0, "covered": False, "low_pct": 0.0, "high_pct": 90.0},
        {"set": "report", "kind": "single", "error_points": 1.0, "covered": True, "low_pct": 1.0, "high_pct": 3.0},
        {"set": "report", "kind": "combined", "error_points": 3.0, "covered": False, "low_pct": 4.0, "high_pct": 8.0},
    ]
    gas = [{"predicted_pct": value, "realised_pct": 10.0} for value in (90.0, 12.0, 6.0)]
    rows = [
        {**row, "discomfort_covered": row["set"] == "report", "end_uses": {"gas": used}}
        for row, used in zip(rows, gas, strict=True)
    ]
    judged = summary(rows)
    assert judged["mean_abs_error_points"] == pytest.approx(2.0)
    assert judged["max_abs_error_points_single"] == pytest.approx(1.0)
    assert judged["coverage_pct"] == pytest.approx(50.0)
    assert judged["mean_width_points"] == pytest.approx(3.0)
    assert judged["discomfort_coverage_pct"] == pytest.approx(100.0)
    assert judged["end_use_error_points"] == {"gas": {"mean": pytest.approx(3.0), "max": pytest.approx(4.0)}}


@cache
def made(make: Make) -> Building:
    """A building, made once for all tests."""
    return make(1)


@pytest.mark.parametrize("make", [retail_newark, school_oklahoma, strip_mall_fresno, large_office_sterling])
def test_units_of_further_buildings_and_their_emulated_model_are_the_same_in_the_same_order(make: Make) -> None:
    building = made(make)
    model = building.model(building.site.operation.night_cycle)
    assert [unit.id for unit in building.site.air_handlers] == [unit.name for unit in model.units]
    assert [zone.id for zone in building.site.zones] == [zone.name for zone in model.zones]
    served = {zone: unit.id for unit in building.site.air_handlers for zone in unit.zones}
    assert {zone.id: zone.air_handler for zone in building.site.zones if zone.air_handler} == served


def test_a_zone_without_design_people_stays_empty() -> None:
    days, site = made(school_oklahoma).days, made(school_oklahoma).site
    empty = [k for k, zone in enumerate(site.zones) if zone.design_people == 0.0]
    assert empty
    assert days.people[:, empty].max() == 0.0
    assert days.people.max() > 20.0


def test_policies_that_act_through_supply_air_are_asked_of_buildings_with_boxes_only() -> None:
    assert not made(retail_newark).is_vav
    assert made(large_office_sterling).is_vav
