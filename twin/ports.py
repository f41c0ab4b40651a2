"""The Protocols through which the product reaches what is not its own: one small contract each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from twin.plan import Action, Capability, Check, PointId, Reading, Receipt
from twin.plans.document import Plan
from twin.plans.records import Approval, AuditRow, Change, PlanRecord, StepRecord, StopRecord

if TYPE_CHECKING:
    import pandas as pd

    from twin.compute.live import LivePlacement


class Connector(Protocol):
    """A system of the world, real or simulated; the product cannot tell which."""

    name: str
    capabilities: frozenset[Capability]

    def read(self, points: Sequence[PointId]) -> Sequence[Reading]:
        """A reading per point, in order; an unreadable point has ``value`` None and quality BAD.

        Raises:
            OutsideWorldError: the system as a whole cannot be reached within its timeout.
        """
        ...

    def check(self, action: Action) -> Check:
        """Whether the action could be applied now, without applying it."""
        ...

    def apply(self, action: Action) -> Receipt:
        """Applies an action; idempotent by its absolute value. The reply is a hint: read back.

        Raises:
            OutsideWorldError: no answer, or an error answer; the world may or may not have changed.
            RefusedError: the hard envelope or the device forbids it; the world is unchanged.
        """
        ...

    def release(self, receipt: Receipt) -> None:
        """Undoes by receipt: relinquishes our slot, or restores the prior value if the world still shows ours."""
        ...


@runtime_checkable
class Settler(Protocol):
    """A connector whose broken actions can leave what a later look cannot read as one state: two copies of a guest."""

    def settle(self, action: Action) -> str:
        """Ends what such an action of ours left; what was done in a sentence, empty when there was nothing.

        Raises:
            OutsideWorldError: no answer; a later call takes it up.
        """
        ...


@runtime_checkable
class Keeper(Protocol):
    """A connector whose commands need looking after while they are in force: a heartbeat, a device that forgets."""

    def keep(self, actions: Sequence[Action]) -> Sequence[PointId]:
        """Looks after exactly these commands from now on; which of them the device has lost. Writes no command.

        Raises:
            OutsideWorldError: no answer.
        """
        ...


@runtime_checkable
class PlacementSource(Protocol):
    """A connector of hosts that can tell where VMs stand now."""

    def live_placement(self) -> LivePlacement:
        """All its hosts at this moment; one that cannot be asked is named, not an error."""
        ...


class Listening(Protocol):
    """Ears that are open until they are closed."""

    def close(self) -> None:
        """Stops listening."""
        ...


@runtime_checkable
class EventSource(Protocol):
    """A connector whose system tells of changes by itself."""

    def listen(self, heard: Callable[[str], object]) -> Listening:
        """Calls ``heard`` with a sentence at each change, from another thread; it hurries a look and proves nothing."""
        ...


class TelemetrySource(Protocol):
    """Something that telemetry can be fetched from."""

    name: str

    def fetch(self, since: datetime | None, until: datetime | None) -> pd.DataFrame:
        """Rows ``timestamp`` (UTC), ``point``, ``value`` in the product's units, as delivered, unrepaired."""
        ...


@runtime_checkable
class LiveSource(TelemetrySource, Protocol):
    """A source that stays connected until it is closed: the history of a system, or its values as of now."""

    def close(self) -> None:
        """Ends connections."""
        ...


class TelemetryStore(Protocol):
    """Long-form telemetry on disk: one writer, many readers."""

    def append(self, rows: pd.DataFrame) -> int:
        """Adds rows idempotently; the number that were new."""
        ...

    def read(
        self, points: Sequence[PointId] | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> pd.DataFrame:
        """Rows ``timestamp``, ``point``, ``value``, sorted by time and point."""
        ...


class Clock(Protocol):
    """Time as the change control needs it: of the world that it changes, real or simulated."""

    def now(self) -> datetime:
        """The moment by the calendar, aware UTC; it may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump and never go back."""
        ...

    def wait(self, seconds: float) -> None:
        """Lets at most this long pass; may return earlier, so that the caller can look whether to stop."""
        ...


class PlanJournal(Protocol):
    """Plans and audit log as one port, since a state change and its audit row are one transaction."""

    def add(self, plan: Plan) -> PlanRecord:
        """Stores a proposal; the same document twice gives the same record."""
        ...

    def plan(self, plan_id: str) -> Plan:
        """The document of a plan."""
        ...

    def record(self, plan_id: str) -> PlanRecord:
        """Where it stands."""
        ...

    def records(self) -> Sequence[PlanRecord]:
        """Where all plans stand, oldest first."""
        ...

    def steps(self, plan_id: str) -> Sequence[StepRecord]:
        """Its steps in the order of the push."""
        ...

    def approvals(self, plan_id: str) -> Sequence[Approval]:
        """What people said of it, in order."""
        ...

    def commit(self, change: Change) -> PlanRecord:
        """Makes one change and its audit row in one transaction, or neither.

        Raises:
            RefusedError: another version, another epoch, a used nonce, or a move that the table of states lacks.
            OutsideWorldError: the disk or the lock failed; whether the change was made is unknown.
        """
        ...

    def request_stop(self, plan_id: str, actor: str, reason: str, *, hold: bool) -> StopRecord:
        """Raises the stop flag, which needs no lease: a rollback, or a pause when ``hold``."""
        ...

    def audit(self, since: int = 0) -> Sequence[AuditRow]:
        """Rows of the log after a sequence number."""
        ...
