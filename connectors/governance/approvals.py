"""Approvals: a person's signature over plan digest, site, decision, nonce and expiry; counted anew whenever used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from connectors.governance.identity import Identity
from connectors.governance.people import Principal, Role, User
from connectors.plan_store import PlanStore
from twin.errors import RefusedError
from twin.plan import PlanState
from twin.plans.document import Plan
from twin.plans.guardrails import approvers_needed, plan_faults
from twin.plans.records import Approval, PlanRecord, PlanView
from twin.ports import Clock
from twin.text.canonical import canonical, plain

APPROVE, REJECT = "approve", "reject"


def signed_text(approval: Approval) -> bytes:
    """What a person signs."""
    body: dict[str, object] = plain(approval)
    return canonical({key: value for key, value in body.items() if key != "signature"})


def counted(
    view: PlanView, site: str, identity: Identity, now: datetime, *, by_time: bool = True
) -> tuple[list[str], list[str]]:
    """Distinct people whose approval counts now, and why others do not.

    Expiry is judged at the border of a wave (``by_time``), so that no wave ends half done; roles and signatures always.
    """
    people: list[str] = []
    reasons: list[str] = []
    for approval in view.approvals:
        fault = _fault(approval, view, site, identity, now, by_time=by_time)
        if fault:
            reasons.append(f"{approval.approver}: {fault}")
        elif approval.person not in people:
            people.append(approval.person)
    return people, reasons


def _fault(approval: Approval, view: PlanView, site: str, identity: Identity, now: datetime, *, by_time: bool) -> str:
    user = identity.user(approval.approver)
    checks = (
        (approval.decision == APPROVE, "no approval"),
        (approval.plan_id == view.record.plan_id, "signed for another plan"),
        (approval.site == site, f"signed for site {approval.site}"),
        (approval.nonce == view.record.nonce, "signed with another nonce"),
        (not by_time or now < approval.expires_at, f"expired at {approval.expires_at.isoformat()}"),
        (user is not None and not user.service and user.person == approval.person, "no such person"),
        (Role.APPROVER in identity.roles_of(user, now), "has no approver role now"),
        (approval.person != identity.person_of(view.plan.proposer), "proposed the plan"),
        (user is not None and _is_signed(approval, _key_of(approval, user, identity)), "the signature is wrong"),
    )
    return next((fault for holds, fault in checks if not holds), "")


def _key_of(approval: Approval, user: User, identity: Identity) -> str:
    """Whose signature counts: the account's own key, or the one that a fresh sign-in made for this very decision."""
    if not approval.key:
        return user.public_key
    proof = identity.fresh_sign_in(approval.key)
    if proof is None or not user.external:
        return ""
    made_for = (proof.user, proof.subject, proof.plan_id, proof.decision)
    fits = made_for == (user.name, user.external, approval.plan_id, approval.decision)
    return proof.public_key if fits else ""


def _is_signed(approval: Approval, public_key: str) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(
            bytes.fromhex(approval.signature), signed_text(approval)
        )
    except (InvalidSignature, ValueError):
        return False
    return True


class Approvals:
    """Takes people's words on plans."""

    def __init__(
        self,
        store: PlanStore,
        identity: Identity,
        clock: Clock,
        *,
        drift: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._store = store
        self._identity = identity
        self._clock = clock
        self._drift = drift

    def approve(self, plan_id: str, who: Principal, reason: str, *, expires_at: datetime | None = None) -> PlanRecord:
        """Signs an approval; with the last of the quorum the plan is approved.

        Raises:
            RefusedError: the proposer, a second word of the same person, a token or service account, no approver role,
                an expired plan, a plan that the hard envelope forbids, one that rests on a drifted twin, or one that is
                no longer proposed.
        """
        view = self._store.view(plan_id)
        self._require_may_approve(view, who)
        now = self._clock.now()
        approval = self._signed(
            view, who, APPROVE, reason, min(expires_at or view.plan.expires_at, view.plan.expires_at)
        )
        after = replace(view, approvals=(*view.approvals, approval))
        people, _ = counted(after, self._store.site, self._identity, now)
        needed = approvers_needed(view.plan.risk_class)
        state = PlanState.APPROVED if len(people) >= needed else None
        why = f"{len(people)} of {needed} approvals"
        return self._store.add_approval(approval, view.record.version, state, why)

    def reject(self, plan_id: str, who: Principal, reason: str) -> PlanRecord:
        """Takes a proposal off the table; its proposer may withdraw it too, also after approval."""
        view = self._store.view(plan_id)
        own = who.person == self._identity.person_of(view.plan.proposer)
        if not own:
            who.require(Role.APPROVER, scope="reject")
        if view.record.state is PlanState.PROPOSED:
            state = PlanState.SUPERSEDED if own else PlanState.REJECTED
        elif view.record.state is PlanState.APPROVED:
            state = PlanState.SUPERSEDED
        else:
            message = f"plan {plan_id[:12]} is {view.record.state}; only a proposed or approved plan can be rejected"
            raise RefusedError(message)
        decision = self._signed(view, who, REJECT, reason, view.plan.expires_at)
        return self._store.add_approval(decision, view.record.version, state, f"{who.name}: {reason}")

    def _signed(self, view: PlanView, who: Principal, decision: str, reason: str, expires_at: datetime) -> Approval:
        unsigned = Approval(
            plan_id=view.record.plan_id,
            site=self._store.site,
            decision=decision,
            nonce=view.record.nonce,
            expires_at=expires_at,
            approver=who.name,
            person=who.person,
            reason=reason,
            at=self._clock.now(),
            key=who.one_time_key,
        )
        if who.key is None:
            message = f"{who.name} gave no password; a signature needs it, and a token never approves"
            raise RefusedError(message)
        return replace(unsigned, signature=who.key.sign(signed_text(unsigned)).hex())

    def _require_may_approve(self, view: PlanView, who: Principal) -> None:
        plan, now = view.plan, self._clock.now()
        known = {approval.person for approval in view.approvals if approval.decision == APPROVE}
        checks = (
            (view.record.state is PlanState.PROPOSED, f"it is {view.record.state}, not proposed"),
            (now < plan.expires_at, f"it expired at {plan.expires_at.isoformat()}"),
            (who.person != self._identity.person_of(plan.proposer), f"{who.name} proposed it; another person must"),
            (not who.service, f"{who.name} is a service account; only people approve"),
            (who.person not in known, f"{who.person} has approved it already; another person must"),
            (plan.risk_class < 3, f"its risk class 3 is forbidden: {'; '.join(plan.risk_reasons)}"),
            (not plan_faults(plan), "; ".join(plan_faults(plan))),
            (not (drift := self._drift()), f"the twin that it rests on has drifted: {'; '.join(drift)}"),
        )
        faults = [fault for holds, fault in checks if not holds]
        if faults:
            self._store.note(who.name, "approval refused", plan.id, {"reasons": faults})
            message = f"plan {plan.id[:12]} is not approved: {'; '.join(faults)}"
            raise RefusedError(message)
        who.require(Role.APPROVER, scope="approve")


def propose(store: PlanStore, plan: Plan, who: Principal) -> PlanRecord:
    """Stores a proposal in the name of the person who makes it.

    Raises:
        RefusedError: no proposer role, the document names another proposer, or the hard envelope forbids the plan.
    """
    who.require(Role.PROPOSER, scope="propose")
    if plan.proposer != who.name:
        message = f"the plan names {plan.proposer} as proposer, not {who.name}"
        raise RefusedError(message)
    if faults := plan_faults(plan):
        message = f"the plan is outside the hard envelope: {'; '.join(faults)}"
        raise RefusedError(message)
    return store.add(plan)
