"""Batches: paired deltas, intervals, the same bytes whatever the number of workers, resume after a kill."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_twin import drivers_for

from scenarios.expand import Scenario, expand
from scenarios.runner import BatchResult, Twin, run_scenarios
from scenarios.spec import read_scenario, scenario_files
from twin.errors import BadInputError
from twin.site import Site


def scenarios_in(folder: Path, site: Site) -> tuple[Scenario, ...]:
    return expand([read_scenario(path) for path in scenario_files([folder])], site)


def run(folder: Path, twin: Twin, to: str = "results", **how: object) -> BatchResult:
    return run_scenarios(scenarios_in(folder, twin.site), twin, drivers_for, folder / to, **how)  # type: ignore[arg-type]


def entry(result: BatchResult, name: str) -> dict[str, dict[str, dict[str, float]]]:
    return next(item for item in result.summary["scenarios"] if item["name"] == name)  # type: ignore[attr-defined]


def test_the_delta_is_scenario_minus_baseline(folder: Path, twin: Twin) -> None:
    """1 kW/K × (25 − 24) K × 48 h = 48 kWh less; the baseline's file comes second."""
    delta = entry(run(folder, twin), "warmer")["delta_vs_baseline"]["cooling_kwh"]
    assert delta["value"] == pytest.approx(-48.0)
    assert delta["unit"] == "kWh"
    assert delta["percent"]["value"] == pytest.approx(-100 / 6)


def test_the_interval_holds_ensemble_and_structural_error(folder: Path, twin: Twin) -> None:
    """Members 0.9, 1, 1.1 alone spread by less than ±4.8 kWh at 80 %; a structural 10 % of 48 kWh widens it."""
    narrow = entry(run(folder, replace(twin, structural={})), "warmer")["delta_vs_baseline"]["cooling_kwh"]
    wide = entry(run(folder, twin), "warmer")["delta_vs_baseline"]["cooling_kwh"]
    assert narrow["low"] == pytest.approx(-52.8)
    assert wide["low"] < narrow["low"] < -48 < narrow["high"] < wide["high"]


def test_a_policy_equal_to_the_baseline_saves_exactly_nothing(folder: Path, twin: Twin) -> None:
    text = (
        (folder / "a_warmer.yaml")
        .read_text()
        .replace("{occupied: 25, unoccupied: 28}", "{occupied: 24, unoccupied: 27}")
    )
    (folder / "a_warmer.yaml").write_text(text)
    deltas = entry(run(folder, twin), "warmer")["delta_vs_baseline"]
    assert {(d["value"], d["low"], d["high"]) for d in deltas.values()} == {(0.0, 0.0, 0.0)}


def test_every_kpi_has_value_bounds_and_unit(folder: Path, twin: Twin) -> None:
    kpis = entry(run(folder, twin), "as operated")["kpis"]
    assert {"electricity_kwh", "hvac_kwh", "peak_kw", "cost", "co2_kg", "occupied_discomfort_kh"} <= set(kpis)
    assert all({"value", "low", "high", "unit"} <= set(kpi) for kpi in kpis.values())
    assert all(kpi["low"] <= kpi["value"] <= kpi["high"] for kpi in kpis.values())


def test_two_workers_write_the_same_bytes_as_one(folder: Path, twin: Twin) -> None:
    one, two = run(folder, twin, "one", workers=1), run(folder, twin, "two", workers=2)
    for name in ("summary.json", "report.html", "manifest.json", "series/0000.parquet"):
        assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes(), name


def test_a_resumed_batch_equals_an_uninterrupted_one(folder: Path, twin: Twin) -> None:
    whole = run(folder, twin, "whole")
    broken = run(folder, twin, "broken")
    (broken.folder / "summary.json").unlink()
    (broken.folder / "parts" / "0001.npz").write_bytes(b"PK\x03\x04 cut off")
    (broken.folder / "series" / "0001.parquet").unlink()
    resumed = run(folder, twin, "broken", resume=True)
    assert resumed.run_id == whole.run_id
    assert (resumed.folder / "summary.json").read_bytes() == (whole.folder / "summary.json").read_bytes()


def test_resume_does_not_repeat_what_is_done(folder: Path, twin: Twin) -> None:
    run(folder, twin)
    told: list[str] = []
    run(folder, twin, resume=True, progress=lambda done, total, what: told.append(what))
    assert told == []


def test_what_ran_can_be_run_again_from_its_own_folder(folder: Path, twin: Twin) -> None:
    first = run(folder, twin)
    again = run_scenarios(scenarios_in(first.folder / "scenarios", twin.site), twin, drivers_for, folder / "again")
    assert again.summary["scenarios"] == first.summary["scenarios"]


def test_a_period_without_telemetry_is_refused(folder: Path, twin: Twin) -> None:
    for path in scenario_files([folder]):
        path.write_text(path.read_text().replace("2023-07", "2031-07"))
    with pytest.raises(BadInputError, match="no telemetry from 2031-07-03"):
        run(folder, twin)


def test_forecast_samples_widen_the_interval(folder: Path, twin: Twin) -> None:
    for path in scenario_files([folder]):
        path.write_text(path.read_text().replace("drivers: replay", "drivers: {forecast: {samples: 5}}"))
    kpi = entry(run(folder, replace(twin, structural={})), "as operated")["kpis"]["cooling_kwh"]
    assert kpi["value"] == pytest.approx(8 * 48)
    assert kpi["low"] < 7 * 48 < 9 * 48 < kpi["high"]


def test_the_report_fetches_nothing(folder: Path, twin: Twin) -> None:
    html = (run(folder, twin).folder / "report.html").read_text()
    assert "<script src" not in html
    assert "<link" not in html.split("<script>")[0]
    assert "warmer" in html


def test_the_summary_on_disk_is_what_is_returned(folder: Path, twin: Twin) -> None:
    result = run(folder, twin)
    assert json.loads((result.folder / "summary.json").read_text()) == result.summary
