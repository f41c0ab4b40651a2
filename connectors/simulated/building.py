"""A simulated building with slots: its own program, an operator above us, and our slot with an expiry.

It behaves like a device of BACnet's priority array: the highest filled slot is in force, and a relinquished slot
gives the point back to the one below.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from twin.errors import OutsideWorldError, RefusedError
from twin.plan import (
    Action,
    ActionKind,
    Capability,
    Check,
    CheckVerdict,
    PointId,
    Quality,
    Reading,
    Receipt,
    Value,
)
from twin.plans.guardrails import OWN, envelope_faults
from twin.ports import Clock
from twin.text.canonical import canonical, plain, thing_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """What each party wants of one point."""

    program: Value
    operator: Value | None = None
    own: Value | None = None
    own_until: datetime | None = None
    writable: bool = True


def save(path: Path, document: object) -> None:
    """Replaces a state file in one step."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(canonical(document))
    fresh.replace(path)


def load(path: Path) -> Mapping[str, object]:
    """A state file's document; empty when there is none yet.

    Raises:
        OutsideWorldError: it cannot be read.
    """
    if not path.exists():
        return {}
    try:
        document: Mapping[str, object] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        message = f"{path}: the simulated world's state cannot be read: {error}"
        raise OutsideWorldError(message) from error
    return document


class SimulatedBuilding:
    """Points with slots; the state may live in a file, so that it outlasts the process."""

    capabilities = frozenset({Capability.READ, Capability.WRITE, Capability.RELEASE, Capability.EXPIRY})

    def __init__(
        self, name: str, points: Mapping[PointId, Value], clock: Clock, *, state_file: Path | None = None
    ) -> None:
        self.name = name
        self._clock = clock
        self._file = state_file
        self._slots = {point: Slots(program=value) for point, value in points.items()}
        if state_file is not None:
            self._slots |= {p: thing_from(Slots, body) for p, body in load(state_file).items()}

    def points(self) -> tuple[PointId, ...]:
        """All points, sorted."""
        return tuple(sorted(self._slots))

    def read(self, points: Sequence[PointId]) -> Sequence[Reading]:
        """What is in force, who commands it, and what stands in our slot."""
        return [self._read(point) for point in points]

    def _read(self, point: PointId) -> Reading:
        now = self._clock.now()
        if point not in self._slots:
            return Reading(point=point, value=None, at=now, quality=Quality.BAD)
        slots = self._present(point)
        value, holder = slots.program, None
        if slots.own is not None:
            value, holder = slots.own, OWN
        if slots.operator is not None:
            value, holder = slots.operator, "operator"
        return Reading(point=point, value=value, at=now, held_by=holder, own_value=slots.own)

    def _present(self, point: PointId) -> Slots:
        """The slots after what has expired was dropped."""
        slots = self._slots[point]
        if slots.own_until is not None and slots.own_until <= self._clock.now():
            slots = replace(slots, own=None, own_until=None)
            self._put(point, slots)
        return slots

    def _put(self, point: PointId, slots: Slots) -> None:
        self._slots[point] = slots
        if self._file is not None:
            save(self._file, {name: plain(body) for name, body in self._slots.items()})

    def check(self, action: Action) -> Check:
        """Whether the point exists, may be written, and the value is inside the hard envelope."""
        faults = envelope_faults(action)
        if action.kind is not ActionKind.SET_POINT:
            faults.append(f"{self.name} sets points; it cannot {action.kind}")
        elif action.point not in self._slots:
            faults.append(f"{self.name} has no point {action.point}")
        elif not self._slots[action.point].writable:
            faults.append(f"{action.point} is read-only")
        if faults:
            return Check(verdict=CheckVerdict.REFUSED, reason="; ".join(faults))
        done = self._present(action.point).own == action.value
        return Check(verdict=CheckVerdict.ALREADY_DONE if done else CheckVerdict.READY)

    def apply(self, action: Action) -> Receipt:
        """Writes our slot with its expiry."""
        check = self.check(action)
        if check.verdict is CheckVerdict.REFUSED:
            raise RefusedError(check.reason)
        before = self._read(action.point)
        slots = self._present(action.point)
        self._put(action.point, replace(slots, own=action.value, own_until=action.expires_at))
        return Receipt(
            action_id=action.id,
            connector=self.name,
            kind=action.kind,
            point=action.point,
            value=action.value,
            prior=before.value,
            prior_held_by=before.held_by,
            slot=OWN,
        )

    def release(self, receipt: Receipt) -> None:
        """Relinquishes our slot."""
        if receipt.point in self._slots:
            self._put(receipt.point, replace(self._present(receipt.point), own=None, own_until=None))

    # ---- what others do at the site ----------------------------------------------------------------------------

    def operate(self, point: PointId, value: Value | None) -> None:
        """An operator takes a point over, or lets it go with None."""
        self._put(point, replace(self._present(point), operator=value))

    def program(self, point: PointId, value: Value) -> None:
        """The building's own program wants another value; a measured point shows it."""
        self._put(point, replace(self._slots.get(point, Slots(program=value)), program=value))

    def lock(self, point: PointId) -> None:
        """Makes a point read-only."""
        self._put(point, replace(self._slots[point], writable=False))

    def drop(self, point: PointId) -> None:
        """The device restarts and forgets our slot."""
        self._put(point, replace(self._slots[point], own=None, own_until=None))
