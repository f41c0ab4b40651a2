"""The life of a plan from the command line: exit codes, refusals, one JSON document."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from change_world import EVIDENCE, PASSWORD, make_plan, room_step

from connectors.governance import propose
from connectors.settings.template import TEMPLATE
from twin.cli import run
from twin.cli.control_room import ControlRoom, open_control_room, present_ground, principal_of
from twin.plans.document import Plan

POINTS = {f"{room}/cooling_setpoint_occupied_c": 24.0 for room in ("room-0", "room-1", "room-2")}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNDERSTUDY_PASSWORD", PASSWORD)
    block = f"\nconnectors:\n  building: {{type: simulated_building, points: {json.dumps(POINTS)}}}\n"
    (tmp_path / "site.yaml").write_text(TEMPLATE + block, encoding="utf-8")
    for name, role in (("paula", "proposer"), ("anna", "approver"), ("ben", "approver"), ("olga", "operator")):
        assert run(["user", "add", name, "--role", role, "--workspace", str(tmp_path)]) == 0
    return tmp_path


def room_of(workspace: Path) -> ControlRoom:
    return open_control_room(workspace)


def proposed(
    workspace: Path,
    *,
    scenario: str = EVIDENCE.scenario,
    outdoor_mean_c: Mapping[str, float] | None = None,
    **changes: object,
) -> Plan:
    room = room_of(workspace)
    evidence = replace(
        EVIDENCE,
        scenario=scenario,
        outdoor_mean_c=outdoor_mean_c or {},
        policy_digest=room.policies.bundle().digest,
        **present_ground(workspace),
    )
    now = datetime.now(UTC).replace(microsecond=0)
    plan = make_plan(
        [room_step("room-0")],
        **{
            "site": room.site.name,
            "created_at": now,
            "not_before": now,
            "expires_at": now + timedelta(hours=1),
            "hold_until": now + timedelta(days=1),
            "settle_s": 0.0,
            "guards": [],
            "evidence": evidence,
            **changes,
        },
    )
    propose(room.store, plan, principal_of(room, "paula"))
    return plan


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def test_propose_approve_push_roll_back_and_prove(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, at = proposed(workspace), ["--workspace", str(workspace), "--json"]
    assert run(["plan", "approve", plan.id[:10], "--as", "anna", *at]) == 0
    capsys.readouterr()
    assert run(["plan", "push", plan.id[:10], "--as", "olga", *at]) == 0
    document = said(capsys)
    assert document["state"] == "pushed"
    assert document["steps"] == {"set-room-0": "verified"}
    assert run(["plan", "rollback", plan.id[:10], "--as", "olga", *at]) == 0
    assert said(capsys)["state"] == "rolled_back"
    assert run(["audit", "verify", *at]) == 0
    assert said(capsys)["ok"] is True


def test_refusals_leave_with_three(workspace: Path) -> None:
    plan, at = proposed(workspace), ["--workspace", str(workspace)]
    assert run(["plan", "approve", plan.id, "--as", "paula", *at]) == 3
    assert run(["plan", "push", plan.id, "--as", "olga", *at]) == 3
    assert run(["plan", "push", plan.id, "--as", "paula", *at]) == 3
    assert run(["plan", "push", plan.id, *at]) == 3
    assert run(["plan", "push", "feed", "--as", "olga", *at]) == 2


def test_a_plan_changed_in_the_store_is_refused(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, at = proposed(workspace), ["--workspace", str(workspace)]
    assert run(["plan", "approve", plan.id, "--as", "anna", *at]) == 0
    with sqlite3.connect(workspace / "var" / "plans" / "plans.sqlite") as db:
        db.execute("UPDATE record SET body = replace(body, '\"value\":25', '\"value\":26') WHERE kind = 'document'")
    db.close()
    capsys.readouterr()
    assert run(["plan", "push", plan.id, "--as", "olga", *at]) == 3
    assert f"document/{plan.id}" in capsys.readouterr().err


def test_one_changed_byte_in_the_log_is_found_with_its_row(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proposed(workspace)
    with sqlite3.connect(workspace / "var" / "plans" / "plans.sqlite") as db:
        db.execute("UPDATE audit SET actor = 'pAula' WHERE seq = 5")
    db.close()
    capsys.readouterr()
    assert run(["audit", "verify", "--workspace", str(workspace), "--json"]) == 3
    captured = capsys.readouterr()
    assert [finding["row"] for finding in json.loads(captured.out)["findings"]] == ["audit row 5"]
    assert "audit row 5" in captured.err


def test_list_show_and_the_log_are_readable(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, at = proposed(workspace), ["--workspace", str(workspace)]
    capsys.readouterr()
    assert run(["plan", "list", *at]) == 0
    assert run(["plan", "show", plan.id[:8], *at]) == 0
    assert run(["audit", "show", *at]) == 0
    assert run(["connector", "list", *at]) == 0
    assert run(["connector", "check", "building", *at]) == 0
    out = capsys.readouterr().out
    assert "Warmer rooms" in out
    assert "3 of 3 points" in out


def test_the_log_is_exported_and_checkpoints_can_live_elsewhere(workspace: Path, tmp_path: Path) -> None:
    plan, at = proposed(workspace), ["--workspace", str(workspace)]
    copy, key = tmp_path / "copy.jsonl", tmp_path / "audit.pub"
    assert run(["audit", "checkpoint", "--to", str(copy), *at]) == 0
    assert run(["audit", "export", str(tmp_path / "log.jsonl"), *at]) == 0
    assert plan.id in (tmp_path / "log.jsonl").read_text(encoding="utf-8")
    key.write_bytes((workspace / "var" / "plans" / "keys" / "audit.pub").read_bytes())
    assert run(["audit", "verify", "--checkpoints", str(copy), "--public-key", str(key), *at]) == 0


def test_release_all_gives_everything_back(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, at = proposed(workspace), ["--workspace", str(workspace), "--json"]
    run(["plan", "approve", plan.id, "--as", "anna", *at])
    run(["plan", "push", plan.id, "--as", "olga", *at])
    capsys.readouterr()
    assert run(["plan", "release-all", "--as", "anna", *at]) == 0
    assert said(capsys)["plans"][0]["state"] == "rolled_back"  # type: ignore[index]
    building = room_of(workspace).connectors["building"]
    assert [reading.own_value for reading in building.read(list(POINTS))] == [None, None, None]


def test_a_wrong_password_is_refused(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = proposed(workspace)
    monkeypatch.setenv("UNDERSTUDY_PASSWORD", "something else")
    assert run(["plan", "approve", plan.id, "--as", "anna", "--workspace", str(workspace)]) == 3


def test_a_site_file_changed_after_approval_makes_the_plan_stale(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, at = proposed(workspace), ["--workspace", str(workspace)]
    assert run(["plan", "approve", plan.id, "--as", "anna", *at]) == 0
    site = workspace / "site.yaml"
    site.write_text(
        site.read_text(encoding="utf-8").replace("floor_area_m2: 150", "floor_area_m2: 151"), encoding="utf-8"
    )
    assert run(["plan", "push", plan.id, "--as", "olga", *at]) == 3
    assert "site file changed since the plan was made" in capsys.readouterr().err


def test_the_agent_takes_up_what_was_left_and_enforces_deadlines(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, at = proposed(workspace), ["--workspace", str(workspace), "--json"]
    run(["plan", "approve", plan.id, "--as", "anna", *at])
    run(["plan", "push", plan.id, "--as", "olga", *at])
    room_of(workspace).store.request_stop(plan.id, "gina", "smells odd", hold=False)
    capsys.readouterr()
    assert run(["agent", "--rounds", "1", *at]) == 0
    assert "rolled_back" in str(said(capsys)["told"])


def test_the_agent_proves_the_log_when_it_starts_and_says_what_is_wrong(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proposed(workspace)
    at = ["--workspace", str(workspace)]
    assert run(["agent", "--rounds", "1", *at]) == 0
    with sqlite3.connect(workspace / "var" / "plans" / "plans.sqlite") as db:
        db.execute("UPDATE audit SET actor = 'pAula' WHERE seq = 5")
    db.close()
    capsys.readouterr()
    assert run(["agent", "--rounds", "1", *at]) == 0
    assert "ALARM the audit log does not hold: audit row 5" in capsys.readouterr().err
    events = [row.event for row in room_of(workspace).store.audit() if row.subject == "audit"]
    assert events == ["log proved", "log does not hold"]


def test_a_dossier_is_written_as_a_page_and_a_document(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, at = proposed(workspace), ["--workspace", str(workspace), "--json"]
    capsys.readouterr()
    assert run(["plan", "dossier", plan.id, *at]) == 0
    assert said(capsys)["plan_id"] == plan.id
    assert (workspace / "var" / "dossiers" / f"{plan.id[:12]}.html").read_text(encoding="utf-8").startswith("<!doctype")


def test_a_plan_that_was_never_pushed_saved_nothing_to_measure(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = proposed(workspace)
    assert run(["plan", "verify", plan.id, "--as", "olga", "--workspace", str(workspace)]) == 3
    assert "was never pushed in whole" in capsys.readouterr().err
