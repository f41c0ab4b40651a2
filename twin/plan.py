"""What a connector exchanges with the product: readings, actions, checks, receipts; and the states of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from twin.errors import IllegalTransitionError

PointId = str
Value = float | str


class Quality(StrEnum):
    """How far a reading may be trusted."""

    GOOD = "good"
    STALE = "stale"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A value of a point with its age and who holds it."""

    point: PointId
    value: Value | None
    at: datetime
    quality: Quality = Quality.GOOD
    held_by: str | None = None
    """Who commands the point now: None its own program, else e.g. ``operator``, ``understudy``, ``priority 8``."""
    own_value: Value | None = None
    """What stands in our own slot, whether or not it is in force."""


class Capability(StrEnum):
    """What a connector can do."""

    READ = "read"
    WRITE = "write"
    RELEASE = "release"
    """Gives a point back to its own program (a slot to relinquish), not by writing the old value."""
    EXPIRY = "expiry"
    """The device itself drops a value after its hold time."""
    HISTORY = "history"
    MIGRATE = "migrate"
    POWER = "power"


class ActionKind(StrEnum):
    """Closed list of what may be done to the world."""

    SET_POINT = "set_point"
    LIVE_MIGRATE = "live_migrate"
    RESIZE_VM = "resize_vm"
    START_VM = "start_vm"
    SHUT_DOWN_VM = "shut_down_vm"
    POWER_OFF_HOST = "power_off_host"
    POWER_ON_HOST = "power_on_host"


class Reversibility(StrEnum):
    """How an action is undone."""

    REVERSIBLE = "reversible"
    COMPENSABLE = "compensable"
    IRREVERSIBLE = "irreversible"


REVERSIBILITY: Mapping[ActionKind, Reversibility] = {
    ActionKind.SET_POINT: Reversibility.REVERSIBLE,
    ActionKind.LIVE_MIGRATE: Reversibility.COMPENSABLE,
    ActionKind.RESIZE_VM: Reversibility.COMPENSABLE,
    ActionKind.START_VM: Reversibility.COMPENSABLE,
    ActionKind.SHUT_DOWN_VM: Reversibility.COMPENSABLE,
    ActionKind.POWER_OFF_HOST: Reversibility.COMPENSABLE,
    ActionKind.POWER_ON_HOST: Reversibility.COMPENSABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One absolute, idempotent change of one target."""

    id: str
    kind: ActionKind
    connector: str
    point: PointId
    """The point to set; for VMs and hosts its state point, e.g. ``vm/web-1/host`` or ``host/h3/power``."""
    value: Value
    expected: Value | None
    """What the world shows before; a different reading makes the plan stale."""
    expires_at: datetime | None = None
    tolerance: float = 1e-6
    why: str = ""
    unit: str = ""


class CheckVerdict(StrEnum):
    """What a connector says of an action before it is tried."""

    READY = "ready"
    ALREADY_DONE = "already_done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Verdict and reason."""

    verdict: CheckVerdict
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What is needed to undo an action, and what the device said (a hint, never proof)."""

    action_id: str
    connector: str
    kind: ActionKind
    point: PointId
    value: Value
    prior: Value | None
    prior_held_by: str | None
    slot: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)


class PlanState(StrEnum):
    """States of a plan; those that are not keys of ``NEXT`` are final."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    PUSHING = "pushing"
    PAUSED = "paused"
    PUSHED = "pushed"
    CONFIRMED = "confirmed"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    STUCK = "stuck"
    CLOSED_BY_HAND = "closed_by_hand"


_P = PlanState
NEXT: Mapping[PlanState, frozenset[PlanState]] = {
    _P.PROPOSED: frozenset({_P.APPROVED, _P.REJECTED, _P.SUPERSEDED}),
    _P.APPROVED: frozenset({_P.PUSHING, _P.SUPERSEDED}),
    _P.PUSHING: frozenset({_P.PUSHED, _P.PAUSED, _P.ROLLING_BACK}),
    _P.PAUSED: frozenset({_P.PUSHING, _P.ROLLING_BACK}),
    _P.PUSHED: frozenset({_P.CONFIRMED, _P.ROLLING_BACK}),
    _P.ROLLING_BACK: frozenset({_P.ROLLED_BACK, _P.STUCK}),
    _P.STUCK: frozenset({_P.ROLLING_BACK, _P.CLOSED_BY_HAND}),
}


def require_transition(before: PlanState, after: PlanState) -> None:
    """Nothing when the table allows the move.

    Raises:
        IllegalTransitionError: it doesn't.
    """
    allowed = NEXT.get(before, frozenset())
    if after not in allowed:
        ways = ", ".join(sorted(allowed)) or "nothing: it is final"
        message = f"a plan that is {before} cannot become {after}; from here it can become {ways}"
        raise IllegalTransitionError(message)


class StepState(StrEnum):
    """States of one action of a plan while it is pushed or rolled back."""

    PENDING = "pending"
    INTENT = "intent"
    VERIFIED = "verified"
    ALREADY_DONE = "already_done"
    OVERRIDDEN = "overridden"
    MISMATCH = "mismatch"
    UNKNOWN = "unknown"
    FAILED = "failed"
    REVERT_INTENT = "revert_intent"
    REVERTED = "reverted"
    RELEASED = "released"
    REVERT_FAILED = "revert_failed"
