"""Rules for writing one point of a real system: the allow-list, and the verdict that every such connector gives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from twin.errors import BadInputError
from twin.plan import Action, ActionKind, Check, CheckVerdict, Quality, Reading

OURS = "understudy"
"""The holder that a reading names when our own command is in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What may be written to a point; a point without one is never written. Values in the product's unit."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    min: float
    max: float
    max_step: float | None = None
    """Largest change against the present value, None for no limit."""
    allowed_from: time = time(0)
    allowed_to: time = time(0)
    """Local hours in which writing is allowed; equal hours mean all day."""
    time_zone: str = "UTC"
    fallback: float | None = None
    """What the point returns to where there is nothing to release and the prior value is unknown."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.min) and math.isfinite(self.max) and self.min <= self.max):
            message = f"write limits {self.min} to {self.max} are not an interval; give finite min <= max"
            raise BadInputError(message)

    def covers(self, now: datetime) -> bool:
        """Whether ``now`` lies in the allowed hours."""
        if self.allowed_from == self.allowed_to:
            return True
        local = now.astimezone(ZoneInfo(self.time_zone)).time()
        if self.allowed_from < self.allowed_to:
            return self.allowed_from <= local < self.allowed_to
        return local >= self.allowed_from or local < self.allowed_to


def refused(reason: str) -> Check:
    """A refusal with its reason."""
    return Check(verdict=CheckVerdict.REFUSED, reason=reason)


def judge(action: Action, allowance: Allowance | None, reading: Reading, now: datetime, *, slotted: bool) -> Check:
    """The verdict on setting a point.

    Args:
        action: what is wanted, in the product's unit.
        allowance: the point's line on the allow-list.
        reading: a fresh look at the point.
        now: the present moment, for expiry and allowed hours.
        slotted: whether our command has a slot of its own, so that done means "in our slot".
    """
    fault = _fault_of_request(action, allowance, now) or _fault_of_point(action, reading)
    if fault:
        return refused(f"{action.point}: {fault}")
    value = float(action.value)
    shown = reading.own_value if slotted else reading.value
    if isinstance(shown, float) and abs(shown - value) <= action.tolerance:
        return Check(verdict=CheckVerdict.ALREADY_DONE, reason=f"{action.point} already shows {value:g}")
    step = allowance.max_step if allowance else None
    if step is not None and isinstance(reading.value, float) and abs(reading.value - value) > step + action.tolerance:
        return refused(
            f"{action.point}: from {reading.value:g} to {value:g} is more than the largest step {step:g}; go in steps"
        )
    return Check(verdict=CheckVerdict.READY)


def _fault_of_request(action: Action, allowance: Allowance | None, now: datetime) -> str | None:
    if action.kind is not ActionKind.SET_POINT:
        return f"a point cannot do {action.kind}"
    if allowance is None:
        return "is not on the allow-list; give it 'write: {min, max}' in site.yaml if it may be written"
    if isinstance(action.value, str) or not math.isfinite(action.value):
        return f"value {action.value!r} is not a finite number"
    if not allowance.min <= action.value <= allowance.max:
        return f"value {action.value:g} is outside its limits {allowance.min:g} to {allowance.max:g}"
    return _fault_of_time(action, allowance, now)


def _fault_of_time(action: Action, allowance: Allowance, now: datetime) -> str | None:
    if action.expires_at is not None and action.expires_at <= now:
        return f"the action expired at {action.expires_at.isoformat()}"
    if not allowance.covers(now):
        return f"may be written only from {allowance.allowed_from} to {allowance.allowed_to} {allowance.time_zone}"
    return None


def _fault_of_point(action: Action, reading: Reading) -> str | None:
    if reading.value is None or reading.quality is not Quality.GOOD:
        return "cannot be read, so it is not written"
    if reading.held_by not in {None, OURS}:
        return f"is held by {reading.held_by}; value {action.value} waits until it is given back"
    return None
