"""Standing approvals: a signed envelope of points, ranges and hours with an expiry, for plans of the lowest risk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from connectors.governance.identity import Identity
from connectors.governance.people import Principal, Role
from connectors.plan_store import PlanStore
from twin.errors import RefusedError
from twin.plan import ActionKind
from twin.plans.document import Plan
from twin.text.canonical import canonical, digest, plain, thing_from


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingApproval:
    """What may be pushed without a single approval."""

    site: str
    points: Mapping[str, tuple[float, float]]
    """Pattern of points (``*`` within the name) → least and greatest value."""
    from_hour_utc: float
    to_hour_utc: float
    expires_at: datetime
    approver: str
    person: str
    reason: str
    signature: str = ""
    revoked: bool = False

    def text(self) -> bytes:
        """What was signed."""
        body: dict[str, object] = plain(self)
        return canonical({key: value for key, value in body.items() if key not in {"signature", "revoked"}})


class Standing:
    """The standing approvals of a site."""

    def __init__(self, store: PlanStore, identity: Identity) -> None:
        self._store = store
        self._identity = identity

    def grant(self, approval: StandingApproval, who: Principal) -> str:
        """Signs and stores an envelope; its id.

        Raises:
            RefusedError: no approver, no password, or an envelope without points.
        """
        who.require(Role.APPROVER, scope="approve")
        if who.key is None or who.service:
            message = f"{who.name} gave no password; a signature needs it"
            raise RefusedError(message)
        if not approval.points:
            message = "a standing approval without points; empty never means all"
            raise RefusedError(message)
        own = replace(approval, approver=who.name, person=who.person, site=self._store.site, signature="")
        signed = replace(own, signature=who.key.sign(own.text()).hex())
        key = digest(signed)[:16]
        with self._store.ledger.transaction(who.name, "standing approval", f"standing {key}", plain(own)) as t:
            t.put("standing", key, signed)
        return key

    def revoke(self, key: str, who: Principal) -> None:
        """Takes an envelope back."""
        who.require(Role.APPROVER, scope="approve")
        body = self._store.ledger.get("standing", key)
        if body is None:
            message = f"standing approval {key!r} does not exist"
            raise RefusedError(message)
        with self._store.ledger.transaction(who.name, "standing revoked", f"standing {key}", {}) as t:
            t.put("standing", key, replace(thing_from(StandingApproval, body), revoked=True))

    def all(self) -> Sequence[StandingApproval]:
        """All envelopes, also those that no longer count."""
        return [thing_from(StandingApproval, body) for body in self._store.ledger.all("standing")]

    def covers(self, plan: Plan, now: datetime) -> bool:
        """Whether one envelope that counts now covers every step of a plan."""
        return any(self._counts(envelope, plan, now) and _within(envelope, plan) for envelope in self.all())

    def _counts(self, envelope: StandingApproval, plan: Plan, now: datetime) -> bool:
        user = self._identity.user(envelope.approver)
        hour = now.hour + now.minute / 60.0
        return (
            user is not None
            and not envelope.revoked
            and now < envelope.expires_at
            and envelope.site == plan.site
            and envelope.from_hour_utc <= hour < envelope.to_hour_utc
            and Role.APPROVER in self._identity.roles_of(user, now)
            and user.person != self._identity.person_of(plan.proposer)
            and _is_signed(envelope, user.public_key)
        )


def _within(envelope: StandingApproval, plan: Plan) -> bool:
    for step in plan.steps():
        value = step.action.value
        if step.action.kind is not ActionKind.SET_POINT or isinstance(value, str):
            return False
        limits = [span for pattern, span in envelope.points.items() if fnmatchcase(step.action.point, pattern)]
        if not any(low <= value <= high for low, high in limits):
            return False
    return True


def _is_signed(envelope: StandingApproval, public_key: str) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(envelope.signature), envelope.text())
    except (InvalidSignature, ValueError):
        return False
    return True
