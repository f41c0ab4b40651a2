"""Server and worker killed in the middle of long work: after a restart the pages show the truth, and work goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from browser import CHROMIUM, Watched, context_of
from demo_once import ROOT, told_by_the_demo
from live_site import PASSWORD, wait_for
from playwright.sync_api import Browser

from connectors.governance import propose
from twin.cli.control_room import ControlRoom
from twin.cli.dashboard.rooms import Rooms
from twin.cli.dashboard.services import job_table
from twin.jobs import JobState
from twin.plan import PlanState, StepState
from twin.plans.document import Plan, Wave

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium (see .ci/packages.txt)"),
    pytest.mark.skipif(
        find_spec("pyenergyplus") is None and not os.environ.get("CI"), reason="the extra 'emulator' is not installed"
    ),
]
SETTLE_S = 3.0
WAVES = 3


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return told_by_the_demo(tmp_path_factory)[0]


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(workspace: Path, port: int) -> Iterator[int]:
    """A dashboard with its worker in a process group of their own, which is killed in the end; its number."""
    command = [sys.executable, "-m", "twin", "dashboard", "--workspace", str(workspace), "--port", str(port), "--json"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    try:
        document = ""
        while not document.endswith("}\n"):
            line = process.stdout.readline()
            assert line, "the server ended before it served"
            document += line
        assert json.loads(document)["url"].endswith(f":{port}/")
        yield process.pid
    finally:
        kill(process.pid)
        process.wait()
        process.stdout.close()


def kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def signs_in_again(who: Watched, user: str) -> None:
    """The open page has noticed by itself that its session is over, and comes back to where it was."""
    who.page.wait_for_url("**/signin?next=**", timeout=30_000)
    who.page.fill("#user", user)
    who.page.fill("#password", PASSWORD)
    who.page.click("button")
    who.page.wait_for_selector("#page h1")


def plan_of_three_waves(room: ControlRoom) -> Plan:
    """Waves of the demo's own plan, two setpoints each, that settle in seconds."""
    given = room.store.view(room.store.records()[0].plan_id).plan
    now = room.clock.now()
    hold = now + timedelta(hours=8)
    waves = []
    for index, wave in enumerate(given.waves[:WAVES]):
        steps = [replace(step, action=replace(step.action, expires_at=hold)) for step in wave.steps[:2]]
        waves.append(Wave(index=index, steps=tuple(steps), settle_s=SETTLE_S))
    kept = {step.action.id for wave in waves for step in wave.steps}
    return replace(
        given,
        title="Six setpoints, interrupted",
        created_at=now,
        not_before=now,
        expires_at=now + timedelta(hours=1),
        hold_until=hold,
        waves=tuple(waves),
        rollback=tuple(undo for undo in given.rollback if undo.action_id in kept),
        guards=(),
    )


def test_a_batch_goes_on_after_a_kill_and_the_page_shows_it(workspace: Path, browser: Browser, port: int) -> None:
    table = job_table(Rooms(workspace))
    period = {"from": "2023-10-16", "to": "2023-10-30"}
    names = ("baseline", "wider", "widest")
    scenarios = [
        {
            "schema_version": 1,
            "name": name,
            "period": period,
            "drivers": "replay",
            "policy": {"cooling_setpoint_c": {"occupied": 24 + i, "unoccupied": 27}} if i else "baseline",
            **({"baseline": "baseline"} if i else {}),
        }
        for i, name in enumerate(names)
    ]
    context = context_of(browser, f"http://127.0.0.1:{port}", "light")
    who = Watched(context, f"http://127.0.0.1:{port}", patience_s=60.0)
    with server(workspace, port) as group:
        who.sign_in("planner", PASSWORD)
        who.see("/scenarios")
        job = table.submit("run", {"scenarios": scenarios}, "planner")
        wait_for(lambda: (found := table.get(job.id)) is not None and found.done >= 1, 90, "the first runs")
        kill(group)
    left = table.get(job.id)
    assert left is not None
    assert left.state is JobState.RUNNING
    with server(workspace, port):
        signs_in_again(who, "planner")
        who.page.get_by_role("button", name="Jobs (1)").click()
        who.page.get_by_text("running", exact=True).first.wait_for(timeout=60_000)
        who.page.get_by_role("link", name="Show the results").first.wait_for(timeout=180_000)
        who.page.get_by_role("link", name="Show the results").first.click()
        who.page.locator(".ag-row[row-id=widest]").first.wait_for()
    done = table.get(job.id)
    assert done is not None
    assert (done.state, done.attempts) == (JobState.DONE, 2)
    context.close()


def test_a_push_goes_on_after_a_kill_and_the_page_shows_it(workspace: Path, browser: Browser, port: int) -> None:
    rooms = Rooms(workspace)
    room, table = rooms.room(), job_table(rooms)
    planner, *others = (room.identity.authenticate(n, PASSWORD) for n in ("planner", "facility-lead", "platform-lead"))
    plan_id = propose(room.store, plan_of_three_waves(room), planner).plan_id
    for one in others:
        room.approvals.approve(plan_id, one, "small, and given back tonight")
    context = context_of(browser, f"http://127.0.0.1:{port}", "light")
    who = Watched(context, f"http://127.0.0.1:{port}", patience_s=60.0)
    with server(workspace, port) as group:
        who.sign_in("facility-lead", PASSWORD)
        who.see(f"/push/{plan_id}")
        who.page.get_by_role("button", name="Push", exact=True).click()
        who.page.fill("#push-reason", "approved by two")
        who.page.get_by_role("button", name="Do it").click()
        wait_for(lambda: room.store.record(plan_id).waves_passed >= 1, 60, "the first wave")
        kill(group)
    left = room.store.record(plan_id)
    assert left.state is PlanState.PUSHING
    assert left.waves_passed < WAVES
    with server(workspace, port):
        signs_in_again(who, "facility-lead")
        who.page.get_by_text("pushing", exact=True).first.wait_for(timeout=30_000)
        who.page.get_by_text(f"{WAVES} of {WAVES}").wait_for(timeout=120_000)
        who.page.get_by_text("pushed", exact=True).first.wait_for(timeout=30_000)
        wait_for(lambda: table.all()[0].state is JobState.DONE, 30, "the end of the job")
    view = room.store.view(plan_id)
    assert view.record.state is PlanState.PUSHED
    assert {step.state for step in view.steps} == {StepState.VERIFIED}
    assert max(step.writes for step in view.steps) == 1
    building = rooms.world().connectors["building"]
    wanted = {step.action.point: step.action.value for step in view.plan.steps()}
    assert {one.point: one.own_value for one in building.read(tuple(wanted))} == wanted
    assert table.all()[0].attempts == 2
    assert room.folder.verify(room.store) == []
    context.close()
