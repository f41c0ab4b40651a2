"""Planner, worker, pusher and agent are killed for real: the plan at hand comes to its end, and a restart is clean."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from change_world import room_step
from drifting_building import DAYS, changed, fill
from test_cli_refusals import ROOMS, ROOT, approved, begun, command, held, is_settling, room_of, wait_for, workspace

from connectors.change_control import ManualClock
from connectors.job_table import SILENCE, JobTable
from dashboard.pages.what_if import scenario_request
from twin.cli.dashboard.rooms import Rooms
from twin.cli.dashboard.services import job_table
from twin.cli.workspace import Workspace
from twin.jobs import JobState, Lane
from twin.plan import PlanState
from twin.plans.document import Plan

__all__ = ["workspace"]
pytestmark = pytest.mark.slow
MEMORY_BYTES = 450 * 1024 * 1024
"""Address space in which Python starts, and a twin does not fit."""


def state_of(workspace: Path, plan: Plan) -> PlanState:
    return room_of(workspace).store.record(plan.id).state


def events_of(workspace: Path) -> list[str]:
    return [row.event for row in room_of(workspace).store.audit()]


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_agents_end_what_a_killed_pusher_left_even_when_one_of_them_is_killed_too(workspace: Path) -> None:
    """Pusher killed in its first wave, agent killed while it takes over; the next agent ends it by the world."""
    plan = approved(workspace, [room_step(room) for room in ROOMS[:2]], settle_s=3.0)
    with begun(workspace, "plan", "push", plan.id, "--as", "olga") as pusher:
        wait_for(lambda: is_settling(workspace, plan))
        killed(pusher)
    with begun(workspace, "agent", "--every-s", "0.5") as first:
        wait_for(lambda: events_of(workspace).count("lease taken") == 2)
        killed(first)
    assert state_of(workspace, plan) is PlanState.PUSHING
    with begun(workspace, "agent", "--every-s", "0.5") as second:
        wait_for(lambda: state_of(workspace, plan) is PlanState.PUSHED, 60.0)
        killed(second)
    assert held(workspace) == [25.0] * 2
    assert all(step.prior == 24.0 for step in room_of(workspace).store.steps(plan.id))
    room = room_of(workspace)
    assert room.folder.verify(room.store) == []


def test_when_pusher_and_agent_are_dead_the_hold_time_gives_the_room_back(workspace: Path) -> None:
    """The device drops the value by itself; an agent that is started later finds it so and closes the plan."""
    now = datetime.now(UTC).replace(microsecond=0)
    until = now + timedelta(seconds=35)
    plan = approved(
        workspace, [room_step("room-0", hold=until)], settle_s=60.0, created_at=now, expires_at=until, hold_until=until
    )
    with begun(workspace, "plan", "push", plan.id, "--as", "olga") as pusher, begun(workspace, "agent") as agent:
        wait_for(lambda: is_settling(workspace, plan), 34.0)
        killed(pusher)
        killed(agent)
    assert held(workspace) == [25.0]
    wait_for(lambda: held(workspace) == [], 40.0)
    assert datetime.now(UTC) >= until
    with begun(workspace, "agent", "--every-s", "0.5") as later:
        wait_for(lambda: state_of(workspace, plan) in {PlanState.ROLLED_BACK, PlanState.PAUSED}, 60.0)
        killed(later)
    assert held(workspace) == []


def in_the_twin(process: subprocess.Popen[str]) -> bool:
    """Whether the compiled kernels are loaded: the search has begun."""
    return "llvmlite" in Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hanging"])
def test_a_planner_that_dies_or_hangs_makes_no_plan_and_the_one_under_way_is_pushed(
    workspace: Path, number: signal.Signals
) -> None:
    fill(workspace, changed(Workspace.at(workspace).site, days=DAYS))
    plan = approved(workspace, [room_step(room) for room in ROOMS[:2]], settle_s=4.0)
    planning = ["plan", "propose", "--as", "paula", "--trials", "100000"]
    with begun(workspace, *planning) as planner, begun(workspace, "plan", "push", plan.id, "--as", "olga") as pusher:
        wait_for(lambda: in_the_twin(planner), 60.0)
        os.kill(planner.pid, number)
        pusher.communicate(timeout=90)
        killed(planner)
    assert pusher.returncode == 0
    assert held(workspace) == [25.0] * 2
    room = room_of(workspace)
    assert [record.plan_id for record in room.store.records()] == [plan.id]
    assert room.folder.verify(room.store) == []


def little_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def worker(workspace: Path, lane: Lane, before: Callable[[], None] | None = None) -> int:
    """Exit code of a worker process that ends when no job of its lane waits."""
    done = subprocess.run(
        command(workspace, "worker", "--once", "--lane", lane),
        cwd=ROOT,
        preexec_fn=before,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode


def test_a_worker_that_runs_out_of_memory_twice_fails_its_job_and_pushes_go_on(workspace: Path) -> None:
    """The address space is limited for real; the what-if is tried twice, then told as failed; the push lane works."""
    fill(workspace, changed(Workspace.at(workspace).site, days=DAYS))
    plan, table = approved(workspace), job_table(Rooms(workspace))
    policy = {"cooling_setpoint_c.occupied": 25, "cooling_setpoint_c.unoccupied": 28}
    what_if = table.submit("run", scenario_request("warm", "replay", ["2023-05-02", "2023-05-05"], policy), "paula")
    push = table.submit("push", {"plan": plan.id}, "olga")
    assert worker(workspace, Lane.WORK, little_memory) != 0
    assert worker(workspace, Lane.PUSHES) == 0
    assert (table.get(push.id).state, state_of(workspace, plan)) == (JobState.DONE, PlanState.PUSHED)  # type: ignore[union-attr]
    later = later_table(workspace)
    assert later.take("second", Lane.WORK).id == what_if.id  # type: ignore[union-attr]
    assert later_table(workspace, 3 * SILENCE).take("third", Lane.WORK) is None
    ended = table.get(what_if.id)
    assert ended is not None
    assert (ended.state, "died 2 times" in ended.message) == (JobState.FAILED, True)


def later_table(workspace: Path, after: timedelta = 1.5 * SILENCE) -> JobTable:
    """The table as workers see it some time later."""
    return JobTable(workspace / "var" / "jobs" / "jobs.sqlite", ManualClock(datetime.now(UTC) + after))
