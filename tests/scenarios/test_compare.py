"""Results side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from fake_twin import drivers_for

from scenarios.compare import compared
from scenarios.expand import expand
from scenarios.runner import BatchResult, Twin, run_scenarios
from scenarios.spec import read_scenario
from twin.errors import BadInputError

HEAD = "schema_version: 1\nperiod: {from: 2023-07-03, to: 2023-07-05}\n"


def run(folder: Path, twin: Twin, name: str, setpoint: float) -> BatchResult:
    file = folder / f"{name}.yaml"
    setting = f"{{occupied: {setpoint}, unoccupied: 28}}"
    file.write_text(f"{HEAD}name: {name}\npolicy: {{cooling_setpoint_c: {setting}}}\n")
    return run_scenarios(expand([read_scenario(file)], twin.site), twin, drivers_for, folder / "results")


def delta(document: dict[str, object], name: str) -> dict[str, Any]:
    entries = cast("list[dict[str, Any]]", document["scenarios"])
    return next(entry for entry in entries if entry["name"] == name)["delta_vs_baseline"]["cooling_kwh"]


def test_results_of_the_same_days_are_compared_in_pairs(tmp_path: Path, twin: Twin) -> None:
    """Two results, 24 and 26 °C: members 0.9, 1, 1.1 give −86.4, −96, −105.6 kWh, not the wider unpaired spread."""
    twin = replace(twin, structural={})
    base, warm = run(tmp_path, twin, "base", 24.0), run(tmp_path, twin, "warm", 26.0)
    document = compared([base.folder, warm.folder], "base")
    found = delta(document, "warm")
    assert (found["low"], found["value"], found["high"]) == pytest.approx((-105.6, -96.0, -86.4))
    assert document["notes"] == []


def test_results_of_different_models_are_compared_unpaired_and_say_so(tmp_path: Path, twin: Twin) -> None:
    base = run(tmp_path, twin, "base", 24.0)
    warm = run(tmp_path, replace(twin, about={"model_id": "other"}), "warm", 26.0)
    document = compared([base.folder, warm.folder], "base")
    assert delta(document, "warm")["low"] < -105.6
    assert "not paired" in cast("list[str]", document["notes"])[0]


def test_an_unknown_baseline_is_refused(tmp_path: Path, twin: Twin) -> None:
    with pytest.raises(BadInputError, match="in none of the results"):
        compared([run(tmp_path, twin, "base", 24.0).folder], "bass")


def test_an_unfinished_result_is_refused(tmp_path: Path, twin: Twin) -> None:
    result = run(tmp_path, twin, "base", 24.0)
    (result.folder / "summary.json").unlink()
    with pytest.raises(BadInputError, match="--resume"):
        compared([result.folder], None)
