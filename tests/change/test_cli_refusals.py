"""Every misuse of the push that can be tried at the command line, each in processes of its own: exit code 3 and why."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from change_world import EVIDENCE, PASSWORD, make_plan, room_step

from connectors.governance import propose
from connectors.settings.template import TEMPLATE
from twin.cli import run
from twin.cli.control_room import ControlRoom, open_control_room, present_ground, principal_of
from twin.plan import PlanState
from twin.plans.document import Plan, Step

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("room-0", "room-1", "room-2")
POINTS = {f"{room}/cooling_setpoint_occupied_c": 24.0 for room in ROOMS}
PEOPLE = (("root", "admin"), ("paula", "proposer"), ("anna", "approver"), ("ben", "approver"), ("olga", "operator"))


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNDERSTUDY_PASSWORD", PASSWORD)
    monkeypatch.setenv("UNDERSTUDY_NEW_PASSWORD", PASSWORD)
    block = f"\nconnectors:\n  building: {{type: simulated_building, points: {json.dumps(POINTS)}}}\n"
    (tmp_path / "site.yaml").write_text(TEMPLATE + block, encoding="utf-8")
    for name, role in PEOPLE:
        who = [] if name == "root" else ["--as", "root"]
        assert run(["user", "add", name, "--role", role, *who, "--workspace", str(tmp_path)]) == 0
    return tmp_path


def command(workspace: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "twin", *arguments, "--workspace", str(workspace)]


def understudy(workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(workspace, *arguments), cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )


def begun(workspace: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(workspace, *arguments), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def room_of(workspace: Path) -> ControlRoom:
    return open_control_room(workspace)


def proposed(workspace: Path, steps: list[Step] | None = None, **changes: object) -> Plan:
    room = room_of(workspace)
    now = datetime.now(UTC).replace(microsecond=0)
    plan = make_plan(
        steps or [room_step("room-0")],
        **{
            "site": room.site.name,
            "created_at": now,
            "not_before": now,
            "expires_at": now + timedelta(hours=1),
            "hold_until": now + timedelta(days=1),
            "settle_s": 0.0,
            "guards": [],
            "evidence": replace(EVIDENCE, policy_digest=room.policies.bundle().digest, **present_ground(workspace)),
            **changes,
        },
    )
    propose(room.store, plan, principal_of(room, "paula"))
    return plan


def approved(workspace: Path, steps: list[Step] | None = None, **changes: object) -> Plan:
    plan = proposed(workspace, steps, **changes)
    assert run(["plan", "approve", plan.id, "--as", "anna", "--workspace", str(workspace)]) == 0
    return plan


def refused(workspace: Path, plan: Plan, sentence: str) -> None:
    """A push of the plan leaves with 3, says the sentence, and nothing was written to the building."""
    done = understudy(workspace, "plan", "push", plan.id, "--as", "olga")
    assert done.returncode == 3, done.stderr
    assert sentence in done.stderr
    assert held(workspace) == []


def held(workspace: Path) -> list[float | str]:
    readings = room_of(workspace).connectors["building"].read(list(POINTS))
    return [reading.own_value for reading in readings if reading.own_value is not None]


def edit_store(workspace: Path, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(workspace / "var" / "plans" / "plans.sqlite")) as db, db:
        db.execute(statement, values)


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "the condition never came true"
        time.sleep(0.1)


def is_settling(workspace: Path, plan: Plan) -> bool:
    room = room_of(workspace)
    return room.store.record(plan.id).state is PlanState.PUSHING and held(workspace) != []


def test_a_second_pusher_is_told_who_pushes_since_when(workspace: Path) -> None:
    first = approved(workspace, settle_s=25.0)
    second = approved(workspace, [room_step("room-1")])
    with begun(workspace, "plan", "push", first.id, "--as", "olga") as pusher:
        wait_for(lambda: is_settling(workspace, first))
        done = understudy(workspace, "plan", "push", second.id, "--as", "olga")
        assert done.returncode == 3, done.stderr
        assert f":{pusher.pid} is pushing since 20" in done.stderr
        pusher.wait(60)
    assert pusher.returncode == 0
    assert held(workspace) == [25.0]


@pytest.mark.slow
def test_a_paused_pusher_that_wakes_up_is_fenced(workspace: Path) -> None:
    plan = approved(workspace, settle_s=5.0)
    with begun(workspace, "plan", "push", plan.id, "--as", "olga") as sleeper:
        wait_for(lambda: is_settling(workspace, plan))
        os.kill(sleeper.pid, signal.SIGSTOP)
        done = understudy(workspace, "plan", "push", plan.id, "--as", "olga")
        assert done.returncode == 0, done.stderr
        os.kill(sleeper.pid, signal.SIGCONT)
        _, said = sleeper.communicate(timeout=60)
    assert sleeper.returncode == 3, said
    assert "the lease of epoch 1 is over" in said
    assert room_of(workspace).store.record(plan.id).state is PlanState.PUSHED
    assert understudy(workspace, "audit", "verify").returncode == 0


def test_an_approval_replayed_on_another_plan_does_not_count(workspace: Path) -> None:
    old, new = approved(workspace), proposed(workspace, [room_step("room-1")])
    room = room_of(workspace)
    copied = replace(room.store.approvals(old.id)[0], plan_id=new.id)
    room.store.add_approval(copied, room.store.record(new.id).version, PlanState.APPROVED, "replayed")
    refused(workspace, new, "anna: signed with another nonce")


def test_a_plan_is_pushed_once_however_often_it_is_asked_for(workspace: Path) -> None:
    plan = approved(workspace)
    assert understudy(workspace, "plan", "push", plan.id, "--as", "olga").returncode == 0
    assert understudy(workspace, "plan", "rollback", plan.id, "--as", "olga").returncode == 0
    done = understudy(workspace, "plan", "push", plan.id, "--as", "olga")
    assert done.returncode == 3
    assert "is rolled_back" in done.stdout
    assert held(workspace) == []


def test_an_expired_approval_is_refused(workspace: Path) -> None:
    plan = proposed(workspace)
    assert understudy(workspace, "plan", "approve", plan.id, "--as", "anna", "--valid-h", "0.0002").returncode == 0
    time.sleep(1.0)
    refused(workspace, plan, "anna: expired at 20")


def test_a_role_revoked_after_approval_is_refused(workspace: Path) -> None:
    plan = approved(workspace)
    assert understudy(workspace, "user", "disable", "anna", "--as", "root").returncode == 0
    refused(workspace, plan, "anna: has no approver role now")


def test_an_edited_plan_is_refused(workspace: Path) -> None:
    plan = approved(workspace)
    edit_store(
        workspace, "UPDATE record SET body = replace(body, '\"value\":25', '\"value\":26') WHERE kind = 'document'"
    )
    refused(workspace, plan, f"record document/{plan.id}: its content is not what its last audit row wrote")


def test_a_tampered_log_is_refused(workspace: Path) -> None:
    plan = approved(workspace)
    edit_store(workspace, "UPDATE audit SET actor = 'ben' WHERE event = 'approve'")
    refused(workspace, plan, "its content does not match its digest")
    done = understudy(workspace, "audit", "verify")
    assert done.returncode == 3
    assert "audit row " in done.stderr


def test_a_stale_world_is_refused_and_a_new_plan_offered(workspace: Path) -> None:
    plan = approved(workspace, [room_step("room-0", expected=23.0)])
    refused(workspace, plan, "room-0/cooling_setpoint_occupied_c: expected 23.0, shows 24.0")
    record = room_of(workspace).store.record(plan.id)
    assert record.state is PlanState.SUPERSEDED
