"""``understudy run``, ``compare`` and ``forecast`` on the bundled site: results, refusals and exit codes."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.files import FileSource
from connectors.model_store import ModelStore
from connectors.settings import load_site
from connectors.telemetry_store import ParquetTelemetryStore
from twin.building.parameters import Parameters
from twin.cli import run
from twin.model import Model
from twin.text.canonical import digest

OFFICE = Path(__file__).parents[2] / "data" / "office"
HEAD = "schema_version: 1\nperiod: {from: 2023-10-23, to: 2023-10-25}\n"
BASE = HEAD + "name: base\n"
WARM = HEAD + "name: warm\npolicy: {cooling_setpoint_c: {occupied: 26, unoccupied: 28}}\nbaseline: base\n"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with three weeks of telemetry and no model."""
    folder = tmp_path_factory.mktemp("office")
    shutil.copy(OFFICE / "site.yaml", folder)
    store = ParquetTelemetryStore(folder / "var" / "telemetry")
    span = datetime(2023, 10, 9, 6, tzinfo=UTC), datetime(2023, 10, 30, 6, tzinfo=UTC)
    for source in load_site(folder / "site.yaml").sources.values():
        store.append(FileSource(source, OFFICE).fetch(*span))
    return folder


@pytest.fixture(scope="module")
def workspace(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a model of first guesses."""
    folder = tmp_path_factory.mktemp("modelled") / "office"
    shutil.copytree(fresh, folder)
    site = load_site(folder / "site.yaml").site
    model = Model(
        site=site.name,
        site_digest=digest(site),
        data_digest="0" * 64,
        code_version="1",
        start=datetime(2023, 10, 9, tzinfo=UTC),
        end=datetime(2023, 10, 30, tzinfo=UTC),
        seed=0,
        accepted=False,
        reasons=("these are first guesses",),
        metrics={},
        parameters=Parameters(),
        ensemble=(),
        structural={"cooling": 0.1, "fan": 0.1, "heating_electric": 0.1},
    )
    ModelStore(folder / "var" / "models", Model.from_json).save(model)
    return folder


def ask(folder: Path, *texts: str) -> list[str]:
    """Scenario files as arguments of the command."""
    questions = folder / "questions"
    shutil.rmtree(questions, ignore_errors=True)
    questions.mkdir(parents=True)
    for number, text in enumerate(texts):
        (questions / f"{number}.yaml").write_text(text)
    return ["run", str(questions), "--json"]


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_run_prints_the_summary_with_paired_deltas(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The baseline's file comes last; the model that was not accepted is told, not hidden."""
    assert run([*ask(tmp_path, WARM, BASE), "--workspace", str(workspace)]) == 0
    told = document(capsys)
    warm, base = told["scenarios"]
    assert set(warm["delta_vs_baseline"]) == set(base["kpis"])
    assert warm["delta_vs_baseline"]["cooling_kwh"]["value"] < 0
    assert told["model"]["accepted"] is False
    assert (Path(told["folder"]) / "report.html").is_file()


def test_without_a_model_run_is_refused_and_names_the_way_out(
    fresh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*ask(tmp_path, BASE), "--workspace", str(fresh)]) == 3
    assert "understudy calibrate" in document(capsys)["error"]["message"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BASE + "site: nowhere/site.yaml\n", "there is no site 'nowhere/site.yaml'"),
        (BASE.replace("2023-10-2", "2024-10-2"), "choose a"),
        (BASE + "baseline: bass\n", "'bass' is not among"),
        (BASE + "drivers: {forecast: {samples: 2}}\n".replace("2}", "0}"), "samples"),
        (
            BASE.replace("2023-10-23", "2023-11-20").replace("2023-10-25", "2023-11-25") + "drivers: forecast\n",
            "14 days",
        ),
    ],
)
def test_bad_input_ends_with_two_and_a_sentence(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    assert run([*ask(tmp_path, text), "--workspace", str(workspace)]) == 2
    assert words in document(capsys)["error"]["message"]


@pytest.mark.parametrize("site", ["{folder}", "{folder}/site.yaml", "office"])
def test_a_scenario_may_name_its_site_by_path_or_name(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], site: str
) -> None:
    named = BASE + f"site: {site.format(folder=workspace)}\n"
    assert run([*ask(tmp_path, named), "--workspace", str(workspace)]) == 0
    assert document(capsys)["site"] == "office"


@pytest.mark.parametrize("drivers", ["forecast", "synthetic"])
def test_days_ahead_and_drawn_days_run_too(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], drivers: str
) -> None:
    ahead = BASE.replace("2023-10-23", "2023-10-30").replace("2023-10-25", "2023-11-01")
    options = {"forecast": "{forecast: {samples: 3}}", "synthetic": "synthetic\nseeds: 3"}[drivers]
    assert run([*ask(tmp_path, ahead + f"drivers: {options}\n"), "--workspace", str(workspace)]) == 0
    (entry,) = document(capsys)["scenarios"]
    assert entry["runs"] == 3
    assert entry["kpis"]["it_kwh"]["value"] > 0


def test_compare_finds_results_by_id(workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run([*ask(tmp_path, WARM, BASE), "--workspace", str(workspace)])
    result = document(capsys)["id"]
    assert run(["compare", result, "--baseline", "warm", "--workspace", str(workspace), "--json"]) == 0
    by_name = {entry["name"]: entry for entry in document(capsys)["scenarios"]}
    assert by_name["base"]["delta_vs_baseline"]["cooling_kwh"]["value"] > 0


def test_compare_of_an_unknown_result_names_those_there_are(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", "nothing", "--workspace", str(workspace), "--json"]) == 2
    assert "there is no result 'nothing'" in document(capsys)["error"]["message"]


def test_forecast_gives_bounds_around_the_median(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["forecast", "--workspace", str(fresh), "--series", "people", "--horizon", "24h", "--json"]) == 0
    (series,) = document(capsys)["series"]
    assert len(series["values"]) == 24
    assert series["at"] == "2023-10-30T06:00:00+00:00"
    assert all(0 <= item["low"] <= item["median"] <= item["high"] for item in series["values"])


def test_backtest_prints_errors_against_the_baselines(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["forecast", "backtest", "--workspace", str(fresh), "--series", "people", "--horizon", "24h", "--json"]
    assert run(arguments) == 0
    (series,) = document(capsys)["series"]
    assert {"weekly_profile", "regression", "prophet"} <= set(series["others_mae"])
    assert series["mae"] < 1.2 * series["seasonal_naive_mae"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--series", "peeple"], "there is no series 'peeple'"),
        (["--horizon", "48"], "between 1h and 14d"),
        (["--at", "2023-10-20T06:00"], "has no time zone"),
        (["--at", "2020-01-01"], "no telemetry"),
    ],
)
def test_a_wrong_forecast_request_ends_with_two(
    fresh: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run(["forecast", "--workspace", str(fresh), *arguments, "--json"]) == 2
    assert words in document(capsys)["error"]["message"]
