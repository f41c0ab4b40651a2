"""Faults for any connector: replies that are lost, late, doubled or lies, and devices that are away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum

from twin.errors import OutsideWorldError, RefusedError
from twin.plan import Action, Capability, Check, PointId, Quality, Reading, Receipt
from twin.ports import Clock, Connector


class Fault(StrEnum):
    """What may go wrong with one call."""

    NONE = "none"
    LOST_REPLY = "lost_reply"
    """Applied, then no answer."""
    LOST_REQUEST = "lost_request"
    """Not applied, and the same error."""
    LIE = "lie"
    """The device says ok and does nothing."""
    LATE = "late"
    """No answer now; applied after a while."""
    DOUBLED = "doubled"
    """Delivered twice."""
    OFFLINE = "offline"
    """The whole device does not answer."""
    BAD_READING = "bad_reading"
    """A read answers with a value that is marked bad."""


Decide = Callable[[str, str], Fault]
"""(operation ``read|check|apply|release``, point) → fault of this call."""


class FaultyConnector:
    """A connector whose calls go wrong as a function decides; late writes land when time has passed."""

    def __init__(self, inner: Connector, clock: Clock, decide: Decide, *, late_s: float = 5.0) -> None:
        self.name = inner.name
        self.capabilities: frozenset[Capability] = inner.capabilities
        self._inner = inner
        self._clock = clock
        self._decide = decide
        self._late_s = late_s
        self._pending: list[tuple[float, Callable[[], object]]] = []

    def deliver(self) -> None:
        """Lets late writes land whose time has come."""
        now = self._clock.monotonic()
        due = [call for at, call in self._pending if at <= now]
        self._pending = [(at, call) for at, call in self._pending if at > now]
        for call in due:
            with suppress(RefusedError, OutsideWorldError):  # nobody hears a device that refuses late
                call()

    def _fault(self, operation: str, point: str) -> Fault:
        self.deliver()
        fault = self._decide(operation, point)
        if fault is Fault.OFFLINE:
            self._no_answer()
        return fault

    def _no_answer(self) -> None:
        message = f"{self.name}: no answer within its timeout"
        raise OutsideWorldError(message)

    def read(self, points: Sequence[PointId]) -> Sequence[Reading]:
        """The inner reading, or none."""
        fault = self._fault("read", points[0] if points else "")
        readings = self._inner.read(points)
        if fault is Fault.BAD_READING:
            return [replace(reading, value=None, quality=Quality.BAD) for reading in readings]
        return readings

    def check(self, action: Action) -> Check:
        """The inner check, or no answer."""
        self._fault("check", action.point)
        return self._inner.check(action)

    def apply(self, action: Action) -> Receipt:
        """The inner write, or what the fault makes of it."""
        fault = self._fault("apply", action.point)
        before = self._inner.read([action.point])[0]
        if fault in {Fault.LOST_REPLY, Fault.DOUBLED, Fault.NONE}:
            receipt = self._inner.apply(action)
            if fault is Fault.DOUBLED:
                self._inner.apply(action)
            if fault is Fault.LOST_REPLY:
                self._no_answer()
            return receipt
        self._defer(fault, lambda: self._inner.apply(action))
        return Receipt(
            action_id=action.id,
            connector=self.name,
            kind=action.kind,
            point=action.point,
            value=action.value,
            prior=before.value,
            prior_held_by=before.held_by,
        )

    def release(self, receipt: Receipt) -> None:
        """The inner release, or what the fault makes of it."""
        fault = self._fault("release", receipt.point)
        if fault in {Fault.LOST_REPLY, Fault.DOUBLED, Fault.NONE}:
            self._inner.release(receipt)
            if fault is Fault.DOUBLED:
                self._inner.release(receipt)
            if fault is Fault.LOST_REPLY:
                self._no_answer()
            return
        self._defer(fault, lambda: self._inner.release(receipt))

    def _defer(self, fault: Fault, call: Callable[[], object]) -> None:
        """Nothing happens for a lie; a late call happens later; the caller hears nothing in the other cases."""
        if fault is Fault.LIE:
            return
        if fault is Fault.LATE:
            self._pending.append((self._clock.monotonic() + self._late_s, call))
        self._no_answer()
