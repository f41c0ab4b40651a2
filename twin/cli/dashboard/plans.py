"""Plans, people, audit and configuration of a workspace for the pages; every act goes through the control room."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from dashboard.formats import unit_label
from dashboard.views import ConnectorView, Kpi, Mode, Person, PolicyText, Role, SavingView
from twin.cli.dashboard.rooms import Rooms
from twin.cli.dashboard.throttle import MOST_FAILURES, Throttle
from twin.errors import BadInputError, OutsideWorldError, RefusedError
from twin.plans.document import Plan
from twin.plans.priced import priced
from twin.plans.records import AuditRow, Finding, PlanView
from twin.text.canonical import canonical

if TYPE_CHECKING:
    from connectors.governance import Principal
    from connectors.governance.people import User
    from twin.cli.control_room import ControlRoom
    from twin.plans.document import Interval
    from twin.plans.verification import Verification
    from twin.site import Tariff

WHOLE = 0.9
"""Share of a plan's time that must be measured before its saving is held against the promise."""
MOST_AT_ONCE = 3
"""So many times an approval is tried when somebody else's word comes in between."""
TOKEN_ROLES = {"propose": Role.PROPOSER, "ingest": Role.OPERATOR}
"""Scope of a token → role that it may use here; approving and pushing are never among them."""


class StoredPlans:
    """The plan store with the change control behind it."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def mode(self) -> Mode:
        """SHADOW without connectors, AUTO while a standing approval holds, else by approval."""
        from connectors.governance import Standing

        if not self._rooms.workspace.site_file.connectors:
            return Mode.SHADOW
        room = self._rooms.room()
        now = room.clock.now()
        standing = Standing(room.store, room.identity).all()
        return Mode.AUTO if any(one.expires_at > now for one in standing) else Mode.APPROVAL

    def all(self) -> Sequence[PlanView]:
        """All plans, newest first."""
        store = self._rooms.room().store
        views = [store.view(record.plan_id) for record in store.records()]
        return sorted(views, key=lambda one: one.plan.created_at, reverse=True)

    def get(self, plan_id: str) -> PlanView:
        """One plan by its id or first characters."""
        store = self._rooms.room().store
        return store.view(store.resolve(plan_id))

    def approve(self, plan_id: str, user: str, password: str, reason: str) -> PlanView:
        """A signed approval."""
        return self.signed("approve", plan_id, self._proved(user, password), reason)

    def reject(self, plan_id: str, user: str, password: str, reason: str) -> PlanView:
        """A signed rejection."""
        return self.signed("reject", plan_id, self._proved(user, password), reason)

    def signed(self, decision: str, plan_id: str, who: Principal, reason: str) -> PlanView:
        """The plan with the word of somebody who has just proved who they are.

        Args:
            decision: ``approve`` or ``reject``.
            plan_id: the plan.
            who: with the key that signs.
            reason: why, in the person's words.
        """
        room = self._rooms.room()
        if decision == "approve":
            self._approve(room, plan_id, who, spoken(reason))
        else:
            room.approvals.reject(plan_id, who, spoken(reason))
        return room.store.view(plan_id)

    @staticmethod
    def _approve(room: ControlRoom, plan_id: str, who: Principal, reason: str) -> None:
        """Approves; a word that meets another person's at the same moment is put after it."""
        from connectors.plan_store import StaleVersionError

        for left in reversed(range(MOST_AT_ONCE)):
            try:
                room.approvals.approve(plan_id, who, reason)
                break
            except StaleVersionError:  # the document is the same, only the number of words on it has changed
                if not left:
                    raise

    def _proved(self, user: str, password: str) -> Principal:
        identity = self._rooms.room().identity
        if (account := self._external(user)) is not None:
            raise RefusedError(account.no_password)
        return identity.authenticate(user, password)

    def _external(self, user: str) -> User | None:
        """The account of somebody who signs in through an identity provider; None: it has a password here."""
        account = self._rooms.room().identity.user(user)
        return account if account is not None and account.external else None

    def without(self, plan_id: str, user: str, action_ids: Sequence[str]) -> Plan:
        """A new proposal with fewer actions, which says that its effects were rehearsed for all of them."""
        from connectors.governance import propose

        room = self._rooms.room()
        plan = reduced(room.store.plan(plan_id), action_ids, user)
        plan = replace(plan, created_at=room.clock.now())
        propose(room.store, plan, self._rooms.signed_in(user))
        return plan

    def pause(self, plan_id: str, user: str, reason: str) -> None:
        """Holds a push before its next write."""
        self._rooms.world().control.pause(plan_id, self._stopper(user), spoken(reason))

    def roll_back(self, plan_id: str, user: str, reason: str) -> None:
        """Stops a push and undoes it."""
        self._rooms.world().control.rollback(plan_id, self._stopper(user), spoken(reason))

    def release_all(self, user: str, password: str, reason: str) -> str:
        """Stops every plan and gives every point back; whoever has no password here may stop without one."""
        from connectors.governance.people import STOPPERS

        who = self._rooms.signed_in(user) if self._external(user) else self._proved(user, password)
        who.require(*STOPPERS, scope="release")
        records = self._rooms.world().control.release_all(who.name, spoken(reason))
        states = ", ".join(f"{record.plan_id[:12]} is {record.state}" for record in records)
        return f"{len(records)} plans held points: {states}" if records else "No plan held any point."

    def _stopper(self, user: str) -> str:
        from connectors.governance.people import STOPPERS

        who = self._rooms.signed_in(user)
        who.require(*STOPPERS, scope="stop")
        return who.name

    def dossier(self, plan_id: str) -> str | None:
        """The plan as a page to keep."""
        from twin.plans.dossier import dossier
        from twin.plans.dossier_page import dossier_page

        store = self._rooms.room().store
        try:
            view = self.get(plan_id)
            rows = [row for row in store.audit() if row.subject == view.record.plan_id]
            return dossier_page(dossier(view, rows, store.verifications(view.record.plan_id)))
        except (BadInputError, RefusedError):
            return None

    def savings(self) -> Sequence[SavingView]:
        """Predicted savings of pushed plans, and realised ones where 'plan verify' has measured them."""
        store, tariff = self._rooms.room().store, self._rooms.site.tariff
        return [saving for view in self.all() for saving in _savings(view, store.verifications(view.plan.id), tariff)]


def spoken(text: str) -> str:
    """A reason without blanks around it.

    Raises:
        BadInputError: there is none.
    """
    if len(text.strip()) < 3:
        raise BadInputError("a reason is missing; say why in a few words, it stays in the audit log")
    return text.strip()


def reduced(plan: Plan, action_ids: Sequence[str], proposer: str) -> Plan:
    """A plan without some actions.

    Raises:
        BadInputError: nothing would be left, or nothing would change.
    """
    left_out = set(action_ids)
    waves = tuple(
        replace(wave, steps=tuple(step for step in wave.steps if step.action.id not in left_out)) for wave in plan.waves
    )
    kept = tuple(replace(wave, index=i) for i, wave in enumerate(wave for wave in waves if wave.steps))
    if not kept or len(list(plan.steps())) == sum(len(wave.steps) for wave in kept):
        raise BadInputError("select some actions to leave out, but not all of them")
    words = f"{len(left_out)} actions of plan {plan.id[:12]} were left out by hand; effects and rehearsal are of all."
    return replace(
        plan,
        title=f"{plan.title} (without {len(left_out)})",
        proposer=proposer,
        waves=kept,
        rollback=tuple(undo for undo in plan.rollback if undo.action_id not in left_out),
        evidence=replace(plan.evidence, assumptions=(*plan.evidence.assumptions, words)),
    )


def _savings(view: PlanView, reports: Sequence[Verification], tariff: Tariff) -> list[SavingView]:
    """A row per KPI; of several reports on one the newest counts. Cost and CO₂ follow from the measured energy."""
    if not (view.record.waves_passed or reports):
        return []
    saved_kwh = {report.meter: report.saving_kwh for report in reports}
    measured = {**saved_kwh, **priced(saved_kwh, tariff)}
    early = early_words(view.plan, reports)
    rows = []
    for kpi in view.plan.kpis:
        real = measured.get(kpi.name)
        realised = Kpi(value=real.value, low=real.low, high=real.high, unit=real.unit) if real else None
        predicted = _negated(kpi.delta, tariff.currency)
        rows.append(
            SavingView(
                plan_id=view.plan.id,
                title=view.plan.title,
                month=f"{view.plan.not_before:%Y-%m}",
                kpi=kpi.name,
                predicted=predicted,
                realised=realised,
                verdict=(early if realised else "") or _verdict(kpi.name, predicted, realised, measured=bool(reports)),
            )
        )
    return rows


def early_words(plan: Plan, reports: Sequence[Verification]) -> str:
    """Why a measured saving is not held against the promise yet, which is one of the plan's whole time; else empty."""
    measured = max((report.end - report.start for report in reports), default=timedelta())
    promised = plan.hold_until - plan.not_before
    if measured >= WHOLE * promised:
        return ""
    hour = timedelta(hours=1)
    return f"measured for {measured / hour:.0f} of {promised / hour:.0f} h: too early to compare"


def _negated(delta: Interval, currency: str) -> Kpi:
    """A saving is the difference with its sign turned, so that more is better."""
    return Kpi(value=-delta.value, low=-delta.high, high=-delta.low, unit=unit_label(delta.unit, currency))


def _verdict(kpi: str, predicted: Kpi, realised: Kpi | None, *, measured: bool) -> str:
    if realised is None:
        return "no meter shows it" if measured else "not measured yet"
    if kpi == "cost":
        return "of energy alone; the prediction has the charge for the peak too"
    if predicted.low <= realised.value <= predicted.high:
        return "inside the predicted interval"
    short = realised.value < predicted.low
    return "less than predicted" if short else "more than predicted"


class StoredAudit:
    """The audit log of the plan store."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def rows(self) -> Sequence[AuditRow]:
        """The whole log."""
        return self._rooms.room().store.audit()

    def verify(self) -> Sequence[Finding]:
        """The full proof."""
        room = self._rooms.room()
        return room.folder.verify(room.store)

    def trouble(self) -> str:
        """Why the journal may not take the next row."""
        return self._rooms.room().folder.trouble()


class StoredIdentity:
    """Accounts of the workspace."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._throttle = Throttle()

    def sign_in(self, user: str, password: str, source: str) -> Person:
        """The person of a right password; failures are counted and lock the account, and their source too."""
        room = self._rooms.room()
        self._throttle.require_open(source, room.clock.now())
        try:
            room.identity.authenticate(user, password)
        except RefusedError:
            if self._throttle.failed(source, room.clock.now()):
                room.store.note("sign-in", "source locked", f"source {source}", {"failures": MOST_FAILURES})
            raise
        person = self.person(user)
        if person is None:
            message = f"{user!r} and this password do not fit"
            raise RefusedError(message)
        return person

    def person(self, user: str) -> Person | None:
        """The person as of now."""
        account = self._rooms.room().identity.user(user)
        return None if account is None or account.disabled else self._person(account)

    def _person(self, account: User) -> Person:
        room = self._rooms.room()
        roles = room.identity.roles_of(account, room.clock.now())
        return Person(
            user=account.name,
            name=account.person,
            roles=frozenset(Role(role) for role in roles),
            session_version=_version(account),
            external=bool(account.external),
        )

    def by_token(self, token: str) -> Person | None:
        """The person of a token, with the roles that its scopes allow."""
        try:
            who = self._rooms.room().identity.authenticate_token(token)
        except RefusedError:
            return None
        person = self.person(who.name)
        if person is None:
            return None
        allowed = {role for scope, role in TOKEN_ROLES.items() if scope in (who.scopes or ())}
        return replace(person, roles=person.roles & frozenset(allowed))

    def people(self) -> Sequence[Person]:
        """All people whose account is open."""
        users = self._rooms.room().identity.users()
        return [self._person(account) for account in users if not account.disabled]

    def add(self, admin: str, user: str, name: str, password: str, roles: frozenset[Role]) -> Person:
        """A new account."""
        from connectors.governance import Role as Granted

        identity = self._rooms.room().identity
        by = self._rooms.signed_in(admin)
        made = identity.add(user, password, [Granted(role.value) for role in sorted(roles)], person=name, by=by)
        return self._person(made)

    def change_roles(self, admin: str, user: str, roles: frozenset[Role]) -> Person:
        """Other roles; they count after the cooling-off time."""
        from connectors.governance import Role as Granted

        identity = self._rooms.room().identity
        by = self._rooms.signed_in(admin)
        return self._person(identity.set_roles(user, [Granted(role.value) for role in sorted(roles)], by))

    def change_password(self, user: str, old: str, new: str) -> None:
        """Another password; sessions and tokens end."""
        self._rooms.room().identity.change_password(user, old, new)


def _version(account: User) -> int:
    """A number that changes with password, roles and tokens' session, so that older browser sessions are dead."""
    text = canonical([account.session, account.password_hash, dict(account.roles)])
    return int.from_bytes(hashlib.sha256(text).digest()[:6], "big")


class StoredSettings:
    """Connectors and policy files of a workspace."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def connectors(self) -> Sequence[ConnectorView]:
        """What the site file configures."""
        blocks = self._rooms.workspace.site_file.connectors
        return [ConnectorView(name=name, kind=block.kind, capabilities=()) for name, block in blocks.items()]

    def check(self, connector: str) -> ConnectorView:
        """Reads every point of a connector once."""
        room = self._rooms.world()
        if connector not in room.connectors:
            message = f"connector {connector!r} is not configured; see the site file"
            raise BadInputError(message)
        one = room.connectors[connector]
        kind = self._rooms.workspace.site_file.connectors[connector].kind
        can = tuple(sorted(capability.value for capability in one.capabilities))
        try:
            readings = one.read(tuple(getattr(one, "points", lambda: ())()))
        except OutsideWorldError as error:
            return ConnectorView(name=connector, kind=kind, capabilities=can, state="failed", detail=str(error))
        bad = [reading.point for reading in readings if reading.value is None]
        words = f"{len(readings) - len(bad)} of {len(readings)} points can be read"
        return ConnectorView(name=connector, kind=kind, capabilities=can, state="failed" if bad else "ok", detail=words)

    def policies(self) -> Sequence[PolicyText]:
        """The policy files."""
        files = sorted((self._rooms.workspace.folder / "policies").glob("*.cedar"))
        texts = [(file.name, file.read_text(encoding="utf-8")) for file in files]
        return [PolicyText(name=n, digest=hashlib.sha256(t.encode()).hexdigest(), text=t) for n, t in texts]
