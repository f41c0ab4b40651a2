"""Long work as data: a job, its states, and which move between them is legal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

WHAT_IF = "run"
"""Kind of job that may be shed: its question can be asked again."""


class Lane(StrEnum):
    """Who does a job: pushes never wait behind questions, however many of these there are."""

    PUSHES = "pushes"
    WORK = "work"


def lane_of(kind: str) -> Lane:
    """The lane of a kind of job."""
    return Lane.PUSHES if kind == "push" else Lane.WORK


class JobState(StrEnum):
    """States of a job; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    """Somebody asked for its end; the worker stops at the next report of progress."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing more happens to the job."""
        return self in {JobState.DONE, JobState.FAILED, JobState.CANCELLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A piece of long work with its progress."""

    id: str
    kind: str
    request: Mapping[str, object]
    user: str
    state: JobState
    made_at: datetime
    changed_at: datetime
    done: float = 0.0
    total: float = 1.0
    what: str = ""
    attempts: int = 0
    """How often a worker took it up; a job whose worker died is taken up once more, then marked failed."""
    result: Mapping[str, object] = field(default_factory=dict)
    message: str = ""

    @property
    def share(self) -> float:
        """Progress from 0 to 1."""
        return min(self.done / self.total, 1.0) if self.total > 0 else 0.0
