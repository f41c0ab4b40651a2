"""The gate before a push and before every write: approvals counted anew, the rules, the hard envelope, calm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from connectors.governance.approvals import counted
from connectors.governance.identity import Identity
from connectors.governance.policy import Circumstances, PolicyBundle
from connectors.governance.rulebook import Rulebook
from connectors.governance.standing import Standing
from connectors.plan_store import PlanStore
from twin.plan import PlanState
from twin.plans.calm import Calm, calm_faults
from twin.plans.document import Plan, Step, Wave
from twin.plans.ensemble import vote_faults
from twin.plans.guardrails import approvers_needed, envelope_faults, plan_faults, risk_of
from twin.plans.premises import Ground, Stale, changed_premises
from twin.plans.records import PlanView


class GovernedGate:
    """Approvals with present roles, policy text, hard envelope, calm: an error in any of them refuses."""

    def __init__(
        self,
        store: PlanStore,
        identity: Identity,
        bundle: Callable[[], PolicyBundle],
        *,
        business_hours: Callable[[datetime], bool],
        calm: Calm | None = None,
        ground: Callable[[Plan], Ground] = lambda _: Ground(),
        rulebook: Rulebook | None = None,
        drift: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._store = store
        self._identity = identity
        self._bundle = bundle
        self._business_hours = business_hours
        self._calm = calm or Calm()
        self._ground = ground
        self._rulebook = rulebook
        self._drift = drift
        self._standing = Standing(store, identity)

    def plan_refusals(self, view: PlanView, now: datetime) -> Sequence[str]:
        """Why a plan may not be pushed, or go on to its next wave."""
        plan, now = view.plan, self._store.time_for(view.record.plan_id, now)
        found = [*plan_faults(plan), *self._approval_refusals(view, now), *self._risk_refusals(plan)]
        if now < plan.not_before:
            found.append(f"it may not start before {plan.not_before.isoformat()}")
        if now >= plan.expires_at:
            found.append(f"it expired at {plan.expires_at.isoformat()}")
        bundle = self._bundle()
        if self._rulebook is not None and (said := self._rulebook.refusal(bundle)):
            found.append(said)
        found += changed_premises(plan.evidence, replace(self._ground(plan), policy_digest=bundle.digest))
        around = self._around(view, self._people(view, now), now)
        found += [said for w in plan.waves for s in w.steps if (said := bundle.refusal(plan, w, s, around))]
        if view.record.state is PlanState.APPROVED:  # what is under way finishes or is rolled back by its guards
            found += [Stale(f"the twin that it rests on has drifted: {said}") for said in self._drift()]
            found += [fault for s in plan.steps() for fault in self._calm_faults(view, s, now)]
        return found

    def step_refusals(self, view: PlanView, wave: Wave, step: Step, now: datetime) -> Sequence[str]:
        """Why one forward write may not be made now; expiry is judged at the border of a wave."""
        people = self._people(view, now, by_time=False)
        around = self._around(view, people, now)
        said = self._bundle().refusal(view.plan, wave, step, around)
        found = [*envelope_faults(step.action), *([said] if said else [])]
        if people < approvers_needed(view.plan.risk_class):
            found.append("its approvals no longer count")
        return found

    def _approval_refusals(self, view: PlanView, now: datetime) -> list[str]:
        needed = approvers_needed(view.plan.risk_class)
        have = self._people(view, now)
        if have >= needed:
            return []
        _, reasons = counted(view, self._store.site, self._identity, now)
        why = f" ({'; '.join(reasons)})" if reasons else ""
        return [f"{have} approvals count now, {needed} are needed{why}"]

    def _people(self, view: PlanView, now: datetime, *, by_time: bool = True) -> int:
        people, _ = counted(view, self._store.site, self._identity, now, by_time=by_time)
        standing = view.plan.risk_class == 0 and self._standing.covers(view.plan, now)
        return max(len(people), 1 if standing else 0)

    @staticmethod
    def _risk_refusals(plan: Plan) -> list[str]:
        risk, reasons = risk_of(list(plan.steps()), rooms_in_site=plan.rooms_in_site, rehearsed=plan.rehearsal.ok)
        if risk > plan.risk_class:
            return [f"its risk class is {risk}, the document says {plan.risk_class}: {'; '.join(reasons)}"]
        if risk >= 3:
            return ["risk class 3 is forbidden"]
        return vote_faults(max(risk, plan.risk_class), plan.evidence.ensemble_saving_pct)

    def _around(self, view: PlanView, people: int, now: datetime) -> Circumstances:
        plan = view.plan
        return Circumstances.of(plan, plan.proposer, people, business_hours=self._business_hours(now))

    def _calm_faults(self, view: PlanView, step: Step, now: datetime) -> list[str]:
        touch = self._store.touch(step.action.connector, step.action.point)
        before = None if touch is None else self._store.prior_of(touch.plan_id, step.action.point)
        return calm_faults(self._calm, step, touch, view.record.plan_id, now, before=before)
