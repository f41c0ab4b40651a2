"""The what-if form: what is typed becomes the policy of a scenario file, and comes back."""

from __future__ import annotations

import pytest
from example_results import example_batch

from dashboard.breakdown import by_end_use, by_measure
from dashboard.formats import interval, number, shortened, span
from dashboard.pages.policy_form import fields_of, form_values, policy_tree
from dashboard.pages.what_if import scenario_request
from dashboard.presets import PRESETS
from dashboard.views import Kpi
from twin.errors import BadInputError
from twin.policy_text import POLICY_KEYS, parse_policy


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_passes_through_the_form_unchanged(name: str) -> None:
    assert parse_policy(policy_tree(form_values(PRESETS[name]))) == parse_policy(PRESETS[name])


def test_every_policy_key_has_an_input() -> None:
    paths = {field.path.split(".")[0] for name, key in POLICY_KEYS.items() for field in fields_of(name, key.reader, "")}
    assert paths == set(POLICY_KEYS)


def test_empty_inputs_leave_the_site_as_it_operates() -> None:
    assert policy_tree({"cooling_setpoint_c.occupied": "", "economizer": None}) == {}


def test_a_plain_value_and_a_longer_one_exclude_each_other() -> None:
    with pytest.raises(BadInputError, match="exclude each other"):
        policy_tree({"supply_air_temperature_c": 14, "supply_air_temperature_c.reset.min": 12})


def test_limits_are_said_by_the_server() -> None:
    with pytest.raises(BadInputError, match="outside the limits"):
        scenario_request("x", "replay", None, {"headroom": 3})


def test_the_last_day_of_a_period_is_included() -> None:
    asked = scenario_request("x", "replay", ["2023-07-01", "2023-07-31"], {"economizer": "off"})
    assert asked["scenarios"][1]["period"] == {"from": "2023-07-01", "to": "2023-08-01"}  # type: ignore[index]


def test_parts_by_measure_add_up_to_the_whole_change() -> None:
    batch = example_batch()
    both = batch.scenario("both")
    assert both is not None
    parts = by_measure(batch, both)
    assert parts is not None
    assert sum(value for _, value in parts) == pytest.approx(both.delta["electricity_kwh"].value)
    assert [name for name, _ in parts][-1] == "together"


def test_without_single_runs_the_parts_are_end_uses() -> None:
    single = example_batch().scenario("warmer supply air")
    assert single is not None
    assert by_measure(example_batch(), single) is None
    assert [name for name, _ in by_end_use(single)] == ["fan", "cooling", "heating", "IT"]


def test_numbers_are_written_for_people() -> None:
    assert number(None) == "–"
    assert number(float("nan")) == "–"
    assert number(1234.5) == "1\u202f234" or number(1234.5) == "1\u202f235"
    assert number(-0.12345) == "−0.123"
    assert number(4.0) == "4"
    assert span(59) == "59 s"
    assert span(7200) == "2 h"
    assert interval(Kpi(value=-12.34, low=-15, high=-9.8, unit="%"), signed=True) == "−12.3 [−15.0, −9.8] %"
    assert interval(Kpi(value=-0.0527, low=-0.0919, high=0.0168, unit="%"), signed=True) == "−0.1 [−0.1, 0.0] %"
    assert shortened("abcdefghij", 7) == "abc…hij"
