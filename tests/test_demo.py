"""The whole loop on the bundled site, as a newcomer runs it."""

from __future__ import annotations

import json
import os
import shutil
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from demo_once import told_by_the_demo, understudy

from twin.cli.control_room import open_control_room
from twin.cli.savings import verified
from twin.cli.telemetry import reopened_reports
from twin.cli.workspace import Workspace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("pyenergyplus") is None and not os.environ.get("CI"), reason="the extra 'emulator' is not installed"
    ),
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    return told_by_the_demo(tmp_path_factory)


@pytest.fixture(scope="module")
def workspace(demo: tuple[Path, dict[str, Any]]) -> Path:
    return demo[0]


@pytest.fixture(scope="module")
def story(demo: tuple[Path, dict[str, Any]]) -> dict[str, Any]:
    return demo[1]


def test_the_document_has_every_part_of_the_loop(story: dict[str, Any]) -> None:
    parts = {"calibration", "scenarios", "plan", "push", "predicted_saving_pct", "realised_saving_pct", "audit_ok"}
    assert parts <= set(story)


def test_the_saving_came_true_in_a_building_that_is_not_the_twin(story: dict[str, Any]) -> None:
    assert story["realised_saving_pct"] > 0.0


def test_the_predicted_interval_is_an_interval(story: dict[str, Any]) -> None:
    predicted = story["predicted_saving_pct"]
    assert predicted["low"] <= predicted["value"] <= predicted["high"]


def test_the_twin_is_accepted_on_weeks_that_it_never_saw(story: dict[str, Any]) -> None:
    assert story["calibration"]["accepted"]
    assert story["calibration"]["hold_out_weeks"]


def test_every_step_is_verified_by_read_back(story: dict[str, Any]) -> None:
    assert set(story["push"]["steps"]) == {"verified"}
    assert sum(story["push"]["steps"].values()) == len(story["plan"]["steps"])


def test_the_proposer_may_not_approve(story: dict[str, Any]) -> None:
    assert story["approval"]["by_proposer_refused"]


def test_nothing_of_ours_is_left_after_release_all(story: dict[str, Any]) -> None:
    assert story["push"]["points_still_held"] == 0


def test_the_audit_log_is_proved(story: dict[str, Any], workspace: Path) -> None:
    assert story["audit_ok"]
    assert understudy("audit", "verify", "--workspace", str(workspace)).returncode == 0


def test_meters_and_twin_find_the_saving_that_the_untouched_building_proves(story: dict[str, Any]) -> None:
    """A real site has no untouched twin building; its own reckoning must agree with the one that has."""
    hvac = story["verification"]["hvac_kwh"]
    assert hvac["measured_verdict"] == "saved"
    assert hvac["measured_pct"]["low"] <= hvac["realised_pct"] <= hvac["measured_pct"]["high"]


def test_measuring_again_makes_a_new_version(
    story: dict[str, Any], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_PASSWORD", story["accounts"]["password"])
    command = ("plan", "verify", story["plan"]["id"], "--as", "facility-lead", "--workspace", str(workspace), "--json")
    done = understudy(*command)
    assert done.returncode == 0, done.stderr
    assert {one["version"] for one in json.loads(done.stdout)["savings"]} == {2}


def test_rows_that_come_late_open_a_measured_period_again_as_a_new_version(
    story: dict[str, Any], workspace: Path, tmp_path: Path
) -> None:
    """Six hours of a meter are withheld, measured without, and then delivered: the old version stays as it was."""
    copy = tmp_path / "late"
    shutil.copytree(workspace, copy)
    here, room = Workspace.at(copy), open_control_room(copy, connectors={})
    plan_id = story["plan"]["id"]
    end = room.store.verifications(plan_id)[0].end
    file = copy / "var" / "telemetry" / f"{end:%Y-%m}.parquet"
    rows = pq.read_table(file)
    stamps = rows["timestamp"].to_pandas()
    late = (rows["point"].to_pandas() == "hvac_electric_power") & (stamps >= end - timedelta(hours=6)) & (stamps < end)
    pq.write_table(rows.filter(pa.array(~late)), file)
    before = {one.meter: one for one in verified(Workspace.at(copy), room, plan_id, "facility-lead", end)}
    assert reopened_reports(copy) == []
    here.telemetry.append(rows.filter(pa.array(late)).to_pandas())
    told = {str(one["meter"]): one for one in reopened_reports(copy)}
    assert told["hvac_kwh"]["version"] == before["hvac_kwh"].version + 1
    assert told["hvac_kwh"]["why"] == f"+6 hours of telemetry since version {before['hvac_kwh'].version}"
    kept = [one for one in room.store.verifications(plan_id) if one.meter == "hvac_kwh"]
    assert before["hvac_kwh"] in kept
    assert kept[-1].points == before["hvac_kwh"].points + 6
    assert reopened_reports(copy) == []
    assert room.folder.verify(room.store) == []


def test_forecasts_are_kept_for_the_dashboard(story: dict[str, Any], workspace: Path) -> None:
    kept = json.loads((workspace / "var" / "forecasts" / "latest.json").read_text(encoding="utf-8"))
    assert set(kept) == {one["name"] for one in story["forecast"]["series"]}


def test_the_report_needs_nothing_from_elsewhere(story: dict[str, Any]) -> None:
    text = Path(story["report"]).read_text(encoding="utf-8")
    assert "<script src=" not in text
    assert "Predicted and realised saving" in text


def test_somebodys_own_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    done = understudy("demo", "--workspace", str(tmp_path))
    assert (done.returncode, (tmp_path / "thesis.txt").exists()) == (2, True)
