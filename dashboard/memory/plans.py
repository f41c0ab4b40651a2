"""Accounts and plans in memory, with the rules that matter to the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dashboard.memory.clock import FixedClock
from dashboard.views import Mode, Person, Role, SavingView
from twin.errors import BadInputError, RefusedError
from twin.plan import PlanState
from twin.plans.document import Plan
from twin.plans.records import Approval, PlanView


class MemoryIdentity:
    """Accounts in memory, with passwords as given."""

    def __init__(self, people: Mapping[Person, str], tokens: Mapping[str, str] | None = None) -> None:
        self._people = {person.user: person for person in people}
        self._passwords = {person.user: password for person, password in people.items()}
        self._tokens = dict(tokens or {})

    def sign_in(self, user: str, password: str, source: str) -> Person:
        """The person of a right password."""
        person = self._people.get(user)
        if person is None or not password or self._passwords[user] != password:
            raise RefusedError("user or password is wrong")
        return person

    def person(self, user: str) -> Person | None:
        """The person as of now."""
        return self._people.get(user)

    def by_token(self, token: str) -> Person | None:
        """The person of a token."""
        return self._people.get(self._tokens.get(token, ""))

    def people(self) -> Sequence[Person]:
        """All people."""
        return list(self._people.values())

    def add(self, admin: str, user: str, name: str, password: str, roles: frozenset[Role]) -> Person:
        """A new account."""
        if not user or user in self._people or len(password) < 8:
            message = f"user {user!r} cannot be added: it needs a new name and a password of 8 characters"
            raise BadInputError(message)
        self._people[user] = Person(user=user, name=name, roles=roles)
        self._passwords[user] = password
        return self._people[user]

    def change_roles(self, admin: str, user: str, roles: frozenset[Role]) -> Person:
        """Other roles; older sessions end."""
        if admin == user:
            raise RefusedError("nobody changes the own roles; ask another admin")
        person = self._people[user]
        self._people[user] = replace(person, roles=roles, session_version=person.session_version + 1)
        return self._people[user]

    def change_password(self, user: str, old: str, new: str) -> None:
        """Another password; older sessions end."""
        self.sign_in(user, old, "")
        if len(new) < 8:
            raise BadInputError("the new password has fewer than 8 characters")
        person = self._people[user]
        self._passwords[user] = new
        self._people[user] = replace(person, session_version=person.session_version + 1)

    def disable(self, user: str) -> None:
        """Ends an account."""
        self._people.pop(user, None)


class MemoryPlans:
    """Plans in memory with the rules that matter to the pages; nothing is pushed anywhere."""

    def __init__(
        self, views: Sequence[PlanView], identity: MemoryIdentity, clock: FixedClock, savings: Sequence[SavingView] = ()
    ) -> None:
        self._views = {one.plan.id: one for one in views}
        self._identity = identity
        self._clock = clock
        self._savings = tuple(savings)
        self.calls: list[tuple[str, str, str]] = []
        """What was asked for: verb, plan, user."""

    def mode(self) -> Mode:
        """Always by approval."""
        return Mode.APPROVAL

    def all(self) -> Sequence[PlanView]:
        """Newest first."""
        return sorted(self._views.values(), key=lambda one: one.plan.created_at, reverse=True)

    def get(self, plan_id: str) -> PlanView:
        """One plan."""
        if plan_id not in self._views:
            message = f"there is no plan {plan_id[:12]!r}; the queue shows all plans"
            raise BadInputError(message)
        return self._views[plan_id]

    def approve(self, plan_id: str, user: str, password: str, reason: str) -> PlanView:
        """An approval; enough of them approve the plan."""
        one = self._signed(plan_id, user, password, reason, "approve")
        people = {approval.person for approval in one.approvals if approval.decision == "approve"}
        if len(people) >= one.plan.risk_class:
            one = self._moved(one, PlanState.APPROVED)
        self._views[plan_id] = one
        return one

    def reject(self, plan_id: str, user: str, password: str, reason: str) -> PlanView:
        """A rejection, which is final."""
        one = self._moved(self._signed(plan_id, user, password, reason, "reject"), PlanState.REJECTED)
        self._views[plan_id] = one
        return one

    def _signed(self, plan_id: str, user: str, password: str, reason: str, decision: str) -> PlanView:
        self._identity.sign_in(user, password, "")
        one = self.get(plan_id)
        if user == one.plan.proposer:
            raise RefusedError("the proposer never approves; ask somebody else")
        if one.record.state is not PlanState.PROPOSED:
            message = f"the plan is already {one.record.state}; nothing was signed"
            raise RefusedError(message)
        if not reason.strip():
            raise BadInputError("a reason is missing; say why in a sentence")
        now = self._clock.now()
        word = Approval(
            plan_id=plan_id,
            site=one.plan.site,
            decision=decision,
            nonce=one.record.nonce,
            expires_at=one.plan.expires_at,
            approver=user,
            person=user,
            reason=reason,
            at=now,
        )
        return replace(one, approvals=(*one.approvals, word))

    def _moved(self, one: PlanView, state: PlanState) -> PlanView:
        record = replace(one.record, state=state, version=one.record.version + 1, since=self._clock.now())
        return replace(one, record=record)

    def without(self, plan_id: str, user: str, action_ids: Sequence[str]) -> Plan:
        """A plan with fewer actions."""
        one = self.get(plan_id)
        waves = tuple(
            replace(wave, steps=tuple(step for step in wave.steps if step.action.id not in action_ids))
            for wave in one.plan.waves
        )
        plan = replace(one.plan, waves=tuple(wave for wave in waves if wave.steps), proposer=user)
        if not plan.waves:
            raise BadInputError("no action would be left; reject the plan instead")
        self._views[plan.id] = PlanView(plan=plan, record=replace(one.record, plan_id=plan.id), steps=(), approvals=())
        return plan

    def pause(self, plan_id: str, user: str, reason: str) -> None:
        """Notes the wish."""
        self.calls.append(("pause", self.get(plan_id).plan.id, user))

    def roll_back(self, plan_id: str, user: str, reason: str) -> None:
        """Notes the wish."""
        self.calls.append(("roll back", self.get(plan_id).plan.id, user))

    def release_all(self, user: str, password: str, reason: str) -> str:
        """Notes the wish after the password was checked."""
        self._identity.sign_in(user, password, "")
        self.calls.append(("release all", "", user))
        return "Nothing was held."

    def dossier(self, plan_id: str) -> str | None:
        """None are kept."""
        return None

    def savings(self) -> Sequence[SavingView]:
        """As given."""
        return self._savings
