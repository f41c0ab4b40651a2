"""Where a move stands, from what both hosts show: pure rules, no calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from connectors.libvirt_hosts.look import GuestState

BYTES_PER_GIB = 1024.0**3


class Outcome(StrEnum):
    """How a move stands, or ended."""

    ARRIVED = "arrived"
    """Runs at the target and nowhere else."""
    STAYED = "stayed"
    """Runs at the source and nowhere else."""
    MOVING = "moving"
    """Not decided yet."""
    DOWN = "down"
    """Runs on neither host; both were asked."""
    SPLIT = "split"
    """Runs on both, and which copy is surplus is not proved or it could not be taken away; a person must look."""
    ELSEWHERE = "elsewhere"
    """Runs on a third host."""
    CONFLICT = "conflict"
    """Another job runs on the guest; ours was not begun."""
    UNKNOWN = "unknown"
    """A host cannot be asked, or says nothing to end with."""


class Cause(StrEnum):
    """Why a copy of a guest is as it is, where that tells how a hand-over went."""

    CANCELLED = "cancelled"
    """Runs again because its host gave its move up."""
    ARRIVED = "arrived"
    """Runs because a move brought it."""
    SURPLUS = "surplus"
    """Stands still because we found it to be the surplus copy of a split."""
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A guest as one host shows it."""

    host: str
    reachable: bool
    state: GuestState | None = None
    """None where the host does not know the guest."""
    job: bool = False
    """Whether a job runs on it."""
    elapsed_s: float = 0.0
    """How long that job has run."""
    iterations: int = 0
    error: str = ""
    cause: Cause = Cause.OTHER
    stood_still_s: float | None = None
    """Of a copy that a move brought: how long the guest had stood still when this copy went on."""

    @property
    def runs(self) -> bool:
        """Whether it runs here."""
        return self.state in {GuestState.RUNNING, GuestState.PAUSED, GuestState.OTHER}

    def __str__(self) -> str:
        if not self.reachable:
            return f"{self.host} cannot be asked ({self.error})"
        return f"{self.host}: {self.state or 'absent'}{' with a job' if self.job else ''}"


def outcome_of(source: Sight, target: Sight) -> Outcome:
    """The state of the move that both sights together prove; one alone proves nothing."""
    if not (source.reachable and target.reachable):
        return Outcome.UNKNOWN
    halves = GuestState.MOVING in {source.state, target.state}
    if source.job or halves:
        return Outcome.MOVING
    if source.runs and target.runs:
        return Outcome.SPLIT
    if target.runs:
        return Outcome.ARRIVED
    return Outcome.STAYED if source.runs else Outcome.DOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Two copies of one guest after a broken hand-over, and which of them went on later."""

    keep: Sight
    surplus: Sight
    proved: bool
    """Whether the order is proved; if not, the surplus copy may be halted but not destroyed."""
    why: str


def split_of(sights: Sequence[Sight], gives_up_s: float) -> Split | None:
    """What to do with two copies of a guest; None when they are not the two ends of a broken hand-over.

    Both copies are forks of the moment when the guest stood still. The source goes on alone once it gave its silent
    target up, so a target that went on before that time was first, and one that went on after it was second.

    Args:
        sights: the guest as two hosts show it.
        gives_up_s: how long a source waits for a silent target. [s]
    """
    by_cause = {sight.cause: sight for sight in sights}
    running = [sight for sight in sights if sight.state is GuestState.RUNNING]
    marked = by_cause.get(Cause.SURPLUS)
    if marked is not None and len(running) == 1:
        return Split(keep=running[0], surplus=marked, proved=True, why="it was found to be surplus before")
    back, forth = by_cause.get(Cause.CANCELLED), by_cause.get(Cause.ARRIVED)
    if back is None or forth is None or len(running) != len(sights):
        return None
    waited_s = forth.stood_still_s
    if waited_s is not None and 0.0 <= waited_s < gives_up_s / 2.0:
        why = f"{forth.host} went on {waited_s:.1f} s after the hand-over and {back.host} later"
        return Split(keep=forth, surplus=back, proved=True, why=why)
    if waited_s is not None and waited_s >= gives_up_s:
        why = f"{forth.host} went on {waited_s:.1f} s after the hand-over and {back.host} before"
        return Split(keep=back, surplus=forth, proved=True, why=why)
    return Split(keep=back, surplus=forth, proved=False, why="which copy went on first is not known")


def deadline_s(memory_bytes: float, per_gib_s: float, shortest_s: float) -> float:
    """How long a move may take. [s]

    Args:
        memory_bytes: memory of the guest.
        per_gib_s: seconds allowed per GiB.
        shortest_s: floor for small guests.
    """
    return max(shortest_s, per_gib_s * memory_bytes / BYTES_PER_GIB)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveFacts:
    """Everything that decides whether a guest may move, read just before."""

    guest: str
    source: str
    target: str
    state: GuestState
    job: bool
    half_at_target: bool
    """Whether the target holds the waiting half of this very guest."""
    name_taken: bool
    uuid_taken: bool
    unshared_disks: tuple[str, ...]
    cpu_fits: bool
    free_bytes: float
    memory_bytes: float
    margin_bytes: float
    pinned: bool
    apart_from: tuple[str, ...]
    """Guests at the target that it must not share a host with."""
    busy: tuple[str, ...]
    """Hosts of the two that have as many moves under way as allowed."""

    @property
    def adoptable(self) -> bool:
        """Whether exactly this move is under way already."""
        return self.job and self.half_at_target


def objections(facts: MoveFacts) -> list[str]:
    """Why the guest may not move, empty when it may. A move under way to this target has none: it is adopted."""
    if facts.adoptable:
        return []
    gib = BYTES_PER_GIB
    rules = [
        (facts.job, f"another job runs on it at {facts.source}; wait until it ends"),
        (facts.state is not GuestState.RUNNING, f"it is {facts.state} at {facts.source}, not running"),
        (facts.uuid_taken, f"{facts.target} already defines a guest with its UUID"),
        (facts.name_taken, f"{facts.target} has another guest of that name"),
        (bool(facts.unshared_disks), f"{', '.join(facts.unshared_disks)} lies outside rules.shared_paths"),
        (not facts.cpu_fits, f"the CPU of {facts.target} lacks features that it uses"),
        (
            facts.free_bytes < facts.memory_bytes + facts.margin_bytes,
            f"{facts.target} has {facts.free_bytes / gib:.2f} GiB free; it needs {facts.memory_bytes / gib:.2f} GiB "
            f"and {facts.margin_bytes / gib:.2f} GiB must be left",
        ),
        (facts.pinned, "it is pinned to its host"),
        (bool(facts.apart_from), f"{', '.join(facts.apart_from)} at {facts.target} must not share a host with it"),
        (bool(facts.busy), f"{', '.join(facts.busy)} has as many moves under way as allowed; try later"),
    ]
    return [reason for holds, reason in rules if holds]
