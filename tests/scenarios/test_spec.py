"""Scenario files: what is refused, with which words and where; what expands to what."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fake_twin import SITE

from scenarios.expand import Scenario, expand
from scenarios.spec import read_scenario, read_scenarios, scenario_files
from twin.errors import BadInputError
from twin.policy import Setpoint

HEAD = "schema_version: 1\nname: warm\nperiod: {from: 2023-07-03, to: 2023-07-10}\n"


def expanded(folder: Path, *texts: str) -> tuple[Scenario, ...]:
    for index, text in enumerate(texts):
        (folder / f"{index}.yaml").write_text(text)
    return expand([read_scenario(path) for path in scenario_files([folder])], SITE)


def fault(folder: Path, *texts: str) -> str:
    with pytest.raises(BadInputError) as caught:
        expanded(folder, *texts)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (HEAD + "polcy: {}\n", "0.yaml:4:1", "did you mean 'policy'"),
        (HEAD + "policy: {cooling_setpoint: 3}\n", "0.yaml:4:10", "cooling_setpoint_c"),
        (HEAD + "policy: {cooling_setpoint_c: {occupied: warm, unoccupied: 27}}\n", "0.yaml:4:41", "'warm'"),
        (HEAD + "drivers: reply\n", "0.yaml:4:10", "replay, forecast, synthetic"),
        (HEAD + "drivers: {forecast: {sample: 3}}\n", "0.yaml:4", "samples"),
        (HEAD + "seeds: many\n", "0.yaml:4:8", "many"),
        (HEAD + "seeds: 0\n", "0.yaml:4:8", "1 to 10000"),
        (HEAD + "overrides: [{people_scale: -1}]\n", "0.yaml:4", "greater than or equal to 0"),
        (HEAD + "overrides: [{peeple_scale: 1}]\n", "0.yaml:4", "people_scale"),
        ("schema_version: 2\nname: a\n", "0.yaml:1:17", "1"),
        ("schema_version: 1\n", "0.yaml:1:1", "'name' is missing"),
        (
            "schema_version: 1\nname: a\nperiod: {from: 2023-07-03T06:00, to: 2023-07-10}\n",
            "0.yaml:3:16",
            "no time zone",
        ),
        ("schema_version: 1\nname: a\nperiod: {from: july, to: 2023-07-10}\n", "0.yaml:3:16", "not a time"),
        ("schema_version: 1\nname: a\nperiod: {from: 2023-07-10, to: 2023-07-10}\n", "0.yaml:3", "not after"),
        ("schema_version: 1\nname: <img src=x>\n", "0.yaml:2:7", "has '<' at its start; use up to 150"),
        ("schema_version: 1\nname: a < b\n", "0.yaml:2:7", "'a < b' has '<' in it; use up to 150"),
        (f"schema_version: 1\nname: {'a' * 151}\n", "0.yaml:2:7", "a name of 151 characters"),
        ("", "0.yaml", "the file is empty; write `schema_version: 1`"),
        ("schema_version: 1\nname: a\nperiod: july\n", "0.yaml:3:9", "'july' is not a block of keys"),
        ("- 1\n", "0.yaml:1:1", ""),
        ("schema_version: 1\nname: &a x\nsite: *a\n", "0.yaml:2", "anchor"),
    ],
)
def test_a_fault_names_file_line_column_and_remedy(tmp_path: Path, text: str, place: str, words: str) -> None:
    message = fault(tmp_path, text)
    assert place in message
    assert words in message


@pytest.mark.parametrize("name", ["+1 K / night 50 %", "a<b", "=HYPERLINK(1)", "tab\\there", "x\u202ey"])
def test_names_that_could_be_code_are_refused(tmp_path: Path, name: str) -> None:
    said = fault(tmp_path, f'schema_version: 1\nname: "{name}"\n')
    assert re.search(r"0\.yaml:2:7: name: '.*' has '.*' (in it|at its start); use up to 150 characters without", said)


@pytest.mark.parametrize("name", ["Nachtabsenkung 2 K (früh)", "SAT reset / DCV 20 %", "setpoint_21-24"])
def test_names_in_plain_language_are_taken(tmp_path: Path, name: str) -> None:
    assert expanded(tmp_path, f"schema_version: 1\nname: {name}\n")[0].name == name


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    message = fault(tmp_path, HEAD + "polcy: {}\npolicy: {economizer: sometimes}\n")
    assert message.startswith("2 faults:")


def test_a_missing_baseline_is_named_with_what_there_is(tmp_path: Path) -> None:
    message = fault(tmp_path, HEAD + "baseline: cool\n")
    assert "'cool' is not among the scenarios of this run (warm)" in message


def test_two_scenarios_of_one_name_are_refused(tmp_path: Path) -> None:
    assert "two scenarios are named 'warm'" in fault(tmp_path, HEAD, HEAD)


def test_a_baseline_of_another_period_is_refused(tmp_path: Path) -> None:
    other = HEAD.replace("warm", "cold").replace("07-10", "07-11")
    assert "differ in period or drivers" in fault(tmp_path, HEAD + "baseline: cold\n", other)


def test_a_setting_for_a_zone_that_the_site_lacks_is_refused(tmp_path: Path) -> None:
    zones = "{zones: {attic: {occupied: 25, unoccupied: 28}}}"
    assert "no such zone" in fault(tmp_path, HEAD + f"policy: {{cooling_setpoint_c: {zones}}}\n")


def test_dates_are_midnights_of_the_site(tmp_path: Path) -> None:
    request = expanded(tmp_path, HEAD)[0].request
    assert request.start == datetime(2023, 7, 3, 5, tzinfo=UTC)
    assert request.end == datetime(2023, 7, 10, 5, tzinfo=UTC)


def test_a_matrix_expands_to_every_combination_in_order(tmp_path: Path) -> None:
    text = HEAD + (
        "policy: {cooling_setpoint_c: {occupied: 24, unoccupied: 28}}\n"
        "matrix: {cooling_setpoint_c.occupied: [24, 25], economizer: ['off', differential_dry_bulb]}\n"
    )
    found = expanded(tmp_path, text)
    assert [s.index for s in found] == [0, 1, 2, 3]
    assert found[2].name == "warm [cooling_setpoint_c.occupied=25, economizer=off]"
    assert found[2].policy.cooling_setpoint_c == Setpoint(occupied=25, unoccupied=28)
    assert found[2].policy.economizer == "off"


def test_an_axis_into_a_key_that_the_policy_lacks_is_refused(tmp_path: Path) -> None:
    message = fault(tmp_path, HEAD + "matrix: {cooling_setpoint_c.occupied: [24, 25]}\n")
    assert "the policy has no 'cooling_setpoint_c' to vary" in message


def test_named_overrides_come_from_the_file_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "overrides.yaml").write_text(
        "heat_wave: {outdoor_temperature_shift_k: 5, policy: {economizer: 'off'}}\n"
    )
    (found,) = expanded(tmp_path, HEAD + "overrides: [heat_wave, {people_scale: 0.5}]\n")
    assert found.world.outdoor_temperature_shift_k == 5
    assert found.world.people_scale == 0.5
    assert found.policy.economizer == "off"


def test_an_unknown_override_is_named(tmp_path: Path) -> None:
    assert "there is no override 'flood'" in fault(tmp_path, HEAD + "overrides: [flood]\n")


def test_seeds_as_a_number_count_from_zero(tmp_path: Path) -> None:
    assert expanded(tmp_path, HEAD + "seeds: 3\n")[0].seeds == (0, 1, 2)


def test_a_baseline_runs_the_seeds_of_those_that_need_it(tmp_path: Path) -> None:
    base, warm = expanded(tmp_path, HEAD.replace("warm", "base"), HEAD + "seeds: [5, 7]\nbaseline: base\n")
    assert base.seeds == (0, 5, 7)
    assert warm.seeds == (5, 7)


def test_the_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD + "polcy: {}\nseeds: 0\n")
    (tmp_path / "b.yaml").write_text(HEAD)
    (tmp_path / "c.yaml").write_text("")
    with pytest.raises(BadInputError) as caught:
        read_scenarios([tmp_path])
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 faults:"
    assert [any(f"{name}.yaml" in line for line in lines) for name in "abc"] == [True, False, True]
    with pytest.raises(BadInputError, match=r"(?s)x\.yaml.*y\.yaml"):
        read_scenarios([tmp_path / "x.yaml", tmp_path / "y.yaml"])


def test_a_folder_without_scenarios_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="holds no scenario file"):
        scenario_files([tmp_path])


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such scenario file"):
        scenario_files([tmp_path / "none.yaml"])


def test_a_shell_pattern_that_catches_the_overrides_works(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD)
    (tmp_path / "overrides.yaml").write_text("heat_wave: {outdoor_temperature_shift_k: 5}\n")
    assert scenario_files(sorted(tmp_path.glob("*.yaml"))) == [tmp_path / "a.yaml"]
