"""The fault harness: seeds without violations, planted bugs that are found, real kills, two real processes."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from push_harness.kills import Office, in_child, kill_everywhere, prepare, push
from push_harness.planted import PLANTED, planted
from push_harness.story import Story

from connectors.change_control import SystemClock
from twin.errors import RefusedError
from twin.plan import PlanState


def test_seeded_faults_break_no_invariant_and_cover_many_states() -> None:
    outcomes = [Story(seed).run() for seed in range(80)]
    assert [(o.seed, o.violations) for o in outcomes if o.violations] == []
    assert len({covered for o in outcomes for covered in o.covered}) >= 100


def test_the_same_seed_tells_the_same_story() -> None:
    assert [Story(seed).run().digest for seed in (3, 18, 90)] == [Story(seed).run().digest for seed in (3, 18, 90)]


EARLY = [
    "trust the reply instead of the read-back",
    "record the prior value after the write",
    "no epoch check before the write",
    "retry a relative action",
    "treat a missing metric as 0",
    "swallow the exception of a guard",
    "accept an approval by plan id instead of digest",
    "count approvals, not people",
    "audit row in a second transaction",
    "verify once instead of after the settle time",
    "the stop flag is not asked before a write",
    "roles are not asked again",
    "journal after the act",
]
"""Those that few seeds show; the benchmark finds all."""


@pytest.mark.parametrize("name", EARLY)
def test_a_planted_bug_is_found(name: str) -> None:
    assert name in PLANTED
    with planted(name):
        assert any(Story(seed).run().violations for seed in range(150))


needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None and not os.environ.get("CI"), reason="strace is not installed"
)


@needs_strace
def test_a_kill_at_any_system_call_ends_in_the_same_state() -> None:
    found = kill_everywhere(every=16)
    assert found["kill_faults"] == []
    assert found["kill_points"] >= 20  # type: ignore[operator]


def test_of_two_processes_one_pushes_and_the_other_gets_its_outcome(tmp_path: Path) -> None:
    plan_id = prepare(tmp_path, pushed=False)
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                push(tmp_path, plan_id)
                code = 0
            except RefusedError:
                code = 3
            finally:
                os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    office = Office(tmp_path)
    assert set(codes) <= {0, 3}
    assert 0 in codes
    assert office.state() is PlanState.PUSHED
    assert [row.event for row in office.store.audit()].count("push started") == 1
    assert office.folder.verify(office.store) == []


def test_a_pusher_that_was_stopped_and_wakes_up_is_fenced(tmp_path: Path) -> None:
    """SIGSTOP in the middle of a push, another process finishes after the lease ran out, SIGCONT."""
    plan_id = prepare(tmp_path, pushed=False)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            office = Office(tmp_path)
            office.building.apply = _stop_before(office.building.apply)  # type: ignore[method-assign]
            office.control.push(plan_id, "olga")
            code = 0
        except RefusedError:
            code = 3
        finally:
            os._exit(code)
    os.waitpid(child, os.WUNTRACED)
    assert in_child(lambda: push(tmp_path, plan_id)) == 0
    os.kill(child, signal.SIGCONT)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    office = Office(tmp_path)
    assert office.state() is PlanState.PUSHED
    assert office.store.lease().epoch == 2  # type: ignore[union-attr]
    assert office.folder.verify(office.store) == []


def _stop_before(apply):  # type: ignore[no-untyped-def]
    def stopped(action):  # type: ignore[no-untyped-def]
        os.kill(os.getpid(), signal.SIGSTOP)
        return apply(action)

    return stopped


def test_a_second_pusher_is_told_who_holds_the_site() -> None:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        plan_id = prepare(folder, pushed=False)
        first, second = Office(folder), Office(folder)
        lease = first.control._lease()
        lease.acquire()
        pid = os.fork()
        if pid == 0:
            clock = SystemClock()
            for _ in range(30):
                time.sleep(0.1)
                first.store.beat(lease.epoch)
            os._exit(0 if clock else 1)
        with pytest.raises(RefusedError, match=r"is pushing since"):
            second.control.push(plan_id, "olga")
        os.waitpid(pid, 0)
