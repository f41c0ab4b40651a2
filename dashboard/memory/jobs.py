"""A job table in memory."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dashboard.memory.clock import FixedClock
from twin.errors import RefusedError
from twin.jobs import Job, JobState


class MemoryJobs:
    """A job table in memory; a test or a caller plays the worker with ``update``."""

    def __init__(self, clock: FixedClock) -> None:
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        self._numbers = itertools.count(1)

    def submit(self, kind: str, request: Mapping[str, object], user: str) -> Job:
        """Queues work."""
        now = self._clock.now()
        job = Job(
            id=f"job-{next(self._numbers)}",
            kind=kind,
            request=dict(request),
            user=user,
            state=JobState.QUEUED,
            made_at=now,
            changed_at=now,
        )
        self._jobs[job.id] = job
        return job

    def update(self, job: Job) -> None:
        """Replaces a job by what the worker says of it."""
        self._jobs[job.id] = job

    def all(self) -> Sequence[Job]:
        """Newest first."""
        return list(reversed(self._jobs.values()))

    def get(self, job_id: str) -> Job | None:
        """One job."""
        return self._jobs.get(job_id)

    def cancel(self, job_id: str, user: str) -> Job:
        """Asks that a job ends; one that waits ends at once."""
        job = self._jobs.get(job_id)
        if job is None or job.state.final:
            raise RefusedError("the job has ended already")
        state = JobState.CANCELLED if job.state is JobState.QUEUED else JobState.CANCELLING
        self._jobs[job_id] = replace(job, state=state)
        return self._jobs[job_id]
