"""What the journal remembers of a plan beside its document, and what one commit changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from twin.plan import PlanState, Receipt, StepState, Value
from twin.plans.document import Plan
from twin.text.canonical import LATER


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRecord:
    """Where a plan stands."""

    plan_id: str
    state: PlanState
    version: int
    since: datetime
    reason: str
    nonce: str
    """Leaves APPROVED once: the push that consumes it is the only one."""
    deadline: datetime | None = None
    """When the declared action of this state is taken."""
    attempts: int = 0
    """How often a process took the plan up; after three crashes it is stuck."""
    consumed: str = ""
    """Who consumed the nonce, and when."""
    waves_passed: int = 0
    """Waves that were applied, settled and judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """Where one step stands."""

    plan_id: str
    action_id: str
    position: int
    wave: int
    state: StepState = StepState.PENDING
    prior_known: bool = False
    prior: Value | None = None
    """What the world showed before our first write; written once."""
    prior_held_by: str | None = None
    receipt: Receipt | None = None
    writes: int = 0
    reverts: int = 0
    unanswered: int = 0
    """Writes and releases without a good reply; one of them may still be on its way."""
    note: str = ""

    @property
    def touched(self) -> bool:
        """Whether a write of ours may have reached the world and was not undone."""
        return self.prior_known and self.state not in {
            StepState.ALREADY_DONE,
            StepState.REVERTED,
            StepState.RELEASED,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person's signed word on one plan."""

    plan_id: str
    site: str
    decision: str
    """``approve`` or ``reject``."""
    nonce: str
    expires_at: datetime
    approver: str
    person: str
    reason: str
    at: datetime
    signature: str = ""
    """Ed25519 over the canonical JSON of all other fields, in hex."""
    key: str = field(default="", metadata=LATER)
    """Public half of the key that a fresh sign-in made for this one signature; empty: the account's own key signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """All that one transaction changes: plan state, steps, and the audit row that says why."""

    plan_id: str
    actor: str
    event: str
    version: int
    """Version that the caller has seen; another one in the journal refuses the change."""
    state: PlanState | None = None
    reason: str = ""
    deadline: datetime | None = None
    steps: tuple[StepRecord, ...] = ()
    consume_nonce: str | None = None
    evidence: Mapping[str, object] = field(default_factory=dict)
    epoch: int | None = None
    """Epoch of the site's lease that the writer holds; None for changes that need no lease."""
    attempts: int | None = None
    waves_passed: int | None = None
    touches: tuple[str, ...] = ()
    """Targets (``connector/point``) that are about to be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRecord:
    """Somebody wants a plan stopped; no intent is journaled while it is active."""

    plan_id: str
    actor: str
    reason: str
    hold: bool
    """A pause, not a rollback."""
    active: bool = True

    @property
    def stops(self) -> bool:
        """Whether it asks for the way back."""
        return self.active and not self.hold


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One line of the log; ``digest`` covers all other fields and the digest before."""

    seq: int
    at: str
    actor: str
    event: str
    subject: str
    payload: str
    previous: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that a proof found wrong, with the row that shows it."""

    row: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """A plan with all that is known of it."""

    plan: Plan
    record: PlanRecord
    steps: tuple[StepRecord, ...]
    approvals: tuple[Approval, ...]
