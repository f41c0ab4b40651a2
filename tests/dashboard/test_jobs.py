"""The job table: progress outlives processes, jobs leave each other alone, a dead worker's job is not lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.change_control import ManualClock
from connectors.job_table import MOST_ATTEMPTS, MOST_WAITING, SILENCE, JobTable
from twin.errors import RefusedError
from twin.jobs import JobState, Lane


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2023, 7, 1, tzinfo=UTC))


@pytest.fixture
def table(tmp_path: Path, clock: ManualClock) -> Iterator[JobTable]:
    return JobTable(tmp_path / "jobs.sqlite", clock)


def test_progress_is_there_for_another_process(table: JobTable, tmp_path: Path, clock: ManualClock) -> None:
    job = table.submit("run", {"scenarios": [1]}, "pia")
    table.take("worker-1")
    assert table.beat(job.id, "worker-1", 3, 10, "warm")
    seen = JobTable(tmp_path / "jobs.sqlite", clock).get(job.id)
    assert seen is not None
    assert (seen.state, seen.share, seen.what, seen.request) == (JobState.RUNNING, 0.3, "warm", {"scenarios": [1]})


def test_a_second_job_waits_and_cancels_nothing(table: JobTable) -> None:
    first, second = table.submit("run", {}, "pia"), table.submit("run", {}, "otto")
    taken = table.take("worker-1")
    assert taken is not None
    assert taken.id == first.id
    states = {job.id: job.state for job in table.all()}
    assert states == {first.id: JobState.RUNNING, second.id: JobState.QUEUED}


def test_two_workers_never_hold_the_same_job(table: JobTable) -> None:
    table.submit("run", {}, "pia")
    assert table.take("worker-1") is not None
    assert table.take("worker-2") is None


def test_cancelling_ends_a_waiting_job_at_once_and_a_running_one_at_its_next_report(table: JobTable) -> None:
    running, waiting = table.submit("run", {}, "pia"), table.submit("run", {}, "pia")
    table.take("worker-1")
    assert table.cancel(waiting.id, "pia").state is JobState.CANCELLED
    assert table.cancel(running.id, "pia").state is JobState.CANCELLING
    assert not table.beat(running.id, "worker-1", 1, 2, "")
    table.finish(running.id, "worker-1", JobState.CANCELLED, {}, "")
    with pytest.raises(RefusedError, match="ended already"):
        table.cancel(running.id, "pia")


def test_the_job_of_a_dead_worker_is_taken_up_once_more_then_marked(table: JobTable, clock: ManualClock) -> None:
    job = table.submit("run", {}, "pia")
    for attempt in range(1, MOST_ATTEMPTS + 1):
        taken = table.take(f"worker-{attempt}")
        assert taken is not None
        assert (taken.id, taken.attempts) == (job.id, attempt)
        clock.wait(SILENCE.total_seconds() + 1)
    assert table.take("worker-9") is None
    ended = table.get(job.id)
    assert ended is not None
    assert ended.state is JobState.FAILED
    assert "died 2 times" in ended.message


def test_a_worker_that_wakes_up_late_cannot_end_the_job_of_its_successor(table: JobTable, clock: ManualClock) -> None:
    job = table.submit("run", {}, "pia")
    table.take("sleeper")
    clock.wait((SILENCE + timedelta(seconds=1)).total_seconds())
    table.take("successor")
    assert not table.beat(job.id, "sleeper", 1, 1, "")
    table.finish(job.id, "sleeper", JobState.DONE, {}, "")
    now = table.get(job.id)
    assert now is not None
    assert now.state is JobState.RUNNING


def test_a_job_cancelled_while_its_worker_died_is_cancelled(table: JobTable, clock: ManualClock) -> None:
    job = table.submit("run", {}, "pia")
    table.take("worker-1")
    table.cancel(job.id, "pia")
    clock.wait(SILENCE.total_seconds() + 1)
    table.take("worker-2")
    ended = table.get(job.id)
    assert ended is not None
    assert ended.state is JobState.CANCELLED


def test_a_full_queue_sheds_its_oldest_what_if_and_says_so(table: JobTable) -> None:
    """1,000 scenarios queued: 200 wait, the newest ones; 800 were told why they do not."""
    made = [table.submit("run", {}, "pia") for _ in range(1000)]
    ends = [table.get(made[place].id) for place in (0, 1000 - MOST_WAITING - 1, 1000 - MOST_WAITING, 999)]
    assert [job.state for job in ends if job] == [JobState.CANCELLED] * 2 + [JobState.QUEUED] * 2
    assert "it was the oldest what-if; ask it again later" in ends[0].message  # type: ignore[union-attr]


def test_a_full_queue_never_sheds_a_push_nor_makes_it_wait(table: JobTable) -> None:
    push = table.submit("push", {"plan": "p"}, "otto")
    for _ in range(MOST_WAITING + 50):
        table.submit("run", {}, "pia")
    second = table.submit("push", {"plan": "q"}, "otto")
    taken = [table.take("pusher", Lane.PUSHES), table.take("worker", Lane.WORK), table.take("pusher-2", Lane.PUSHES)]
    assert [job and job.kind for job in taken] == ["push", "run", "push"]
    assert [taken[0] and taken[0].id, taken[2] and taken[2].id] == [push.id, second.id]


def test_a_queue_of_what_may_not_be_shed_is_bounded_too(table: JobTable) -> None:
    for _ in range(MOST_WAITING):
        table.submit("calibrate", {}, "pia")
    with pytest.raises(RefusedError, match="wait already"):
        table.submit("run", {}, "pia")
