"""What change control works with: store, connectors, clock, gate, lock; sessions under a lease; the way back."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta

from connectors.change_control.lease import Lease, SiteLock
from connectors.change_control.rollback import Rollback
from connectors.change_control.session import Gate, Session
from connectors.change_control.settings import PushSettings
from connectors.plan_store import PlanStore
from twin.errors import OutsideWorldError, RefusedError, StoppedError
from twin.plan import PlanState
from twin.plans.document import Plan
from twin.plans.records import Finding, PlanRecord
from twin.ports import Clock, Connector

_S = PlanState
HOLDING = frozenset({_S.PUSHING, _S.PAUSED, _S.PUSHED, _S.CONFIRMED, _S.ROLLING_BACK, _S.STUCK})
"""States in which values of a plan may be in force."""


def process_name() -> str:
    """Host and process id, as the lease shows them."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Desk:
    """Store, world, clock, gate and lock of one site, and sessions on them."""

    def __init__(
        self,
        store: PlanStore,
        connectors: Mapping[str, Connector],
        clock: Clock,
        gate: Gate,
        lock: SiteLock,
        settings: PushSettings | None = None,
        *,
        holder: str | None = None,
        proof: Callable[[], Sequence[Finding]] | None = None,
        doubts: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._store = store
        self._connectors = connectors
        self._clock = clock
        self._gate = gate
        self._lock = lock
        self._settings = settings or PushSettings()
        self._holder = holder or process_name()
        self._proof = proof or store.verify
        self._doubts = doubts
        self._written_again: dict[tuple[str, str], int] = {}
        """Plan and action → how often this process wrote it once more after a device had lost it."""

    def records(self) -> Sequence[PlanRecord]:
        """Where all plans of the site stand."""
        return self._store.records()

    def rollback(self, plan_id: str, actor: str, reason: str = "rollback asked for") -> PlanRecord:
        """Stops a plan and undoes it; when another process pushes it, that process obeys and undoes it.

        Raises:
            RefusedError: nothing of the plan was ever pushed, or it is final.
        """
        record = self._store.record(plan_id)
        if record.state in {_S.PROPOSED, _S.APPROVED}:
            message = f"plan {plan_id[:12]} is {record.state}: nothing was pushed; 'plan reject' takes it off the table"
            raise RefusedError(message)
        if record.state is _S.CONFIRMED:
            return self._release_confirmed(plan_id, actor, reason)
        with self._store.urgent():
            self._store.request_stop(plan_id, actor, reason, hold=False)
            session = self._session_if_free(plan_id, actor)
            if session is None:
                return self._store.record(plan_id)
            try:
                return self._roll_back(session, f"{actor}: {reason}")
            finally:
                session.lease.release()

    def _roll_back(self, session: Session, reason: str) -> PlanRecord:
        """Turns and gives slots back at once; looks at the world when nothing can be on its way to it any more."""
        self._turn(session, reason)
        return Rollback(session).run()

    def _turn(self, session: Session, reason: str) -> None:
        if session.record().state is not _S.ROLLING_BACK:
            deadline = self._clock.now() + timedelta(seconds=session.plan.deadlines.rolling_back_s)
            session.commit("rolling back", state=_S.ROLLING_BACK, reason=reason, deadline=deadline)

    def _release_confirmed(self, plan_id: str, actor: str, reason: str) -> PlanRecord:
        """A confirmed plan is final; what it still holds is released without changing its state."""
        with self._store.urgent(), self._leased(at_once=True) as lease:
            session = self._session_back(lease, plan_id, actor)
            left = Rollback(session).release_only(reason)
        if left:
            message = f"plan {plan_id[:12]}: not known to be released: {', '.join(left)}"
            raise OutsideWorldError(message)
        return self._store.record(plan_id)

    def _holds(self, record: PlanRecord) -> bool:
        return any(step.touched for step in self._store.steps(record.plan_id))

    def _lease(self) -> Lease:
        return Lease(self._store, self._clock, self._settings, self._lock, self._holder)

    @contextmanager
    def _leased(self, *, at_once: bool = False) -> Iterator[Lease]:
        """The site for a while; ``at_once`` for what only gives back, before strays of a dead holder have landed."""
        lease = self._lease()
        lease.take() if at_once else lease.acquire()
        try:
            yield lease
        except RefusedError:
            lease.release()
            raise
        except BaseException:
            lease.drop()
            raise
        lease.release()

    def _session_if_free(self, plan_id: str, actor: str) -> Session | None:
        """A session when no live process holds the site; the holder obeys the stop flag by itself.

        It may turn the plan at once; strays must have landed before it looks at the world.
        """
        lease = self._lease()
        try:
            lease.take()
        except StoppedError:
            raise
        except RefusedError:
            return None
        return self._session_back(lease, plan_id, actor)

    def _session(self, lease: Lease, plan_id: str, actor: str) -> Session:
        return self._session_of(self._store.plan(plan_id), lease, plan_id, actor, salvaged=False)

    def _session_back(self, lease: Lease, plan_id: str, actor: str) -> Session:
        """A session for the way back, which is open even when the document was changed."""
        plan, salvaged = self._store.plan_for_the_way_back(plan_id)
        return self._session_of(plan, lease, plan_id, actor, salvaged=salvaged)

    def _session_of(self, plan: Plan, lease: Lease, plan_id: str, actor: str, *, salvaged: bool) -> Session:
        return Session(
            store=self._store,
            connectors=self._connectors,
            clock=self._clock,
            settings=self._settings,
            lease=lease,
            gate=self._gate,
            doubts=self._doubts,
            plan=plan,
            plan_id=plan_id,
            salvaged=salvaged,
            actor=actor,
        )

    @staticmethod
    def _require_state(record: PlanRecord, state: PlanState, what: str) -> None:
        if record.state is not state:
            message = f"plan {record.plan_id[:12]} is {record.state} and cannot {what}; it must be {state}"
            raise RefusedError(message)
