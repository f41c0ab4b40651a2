"""Services kept in memory: for a first look without stores, for tests, and for measuring the pages alone."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dashboard.views import (
    BatchView,
    ConnectorView,
    FindingView,
    ForecastView,
    Mode,
    ModelView,
    Person,
    PointHealth,
    PolicyText,
    Role,
    Sample,
    SavingView,
)
from twin.errors import BadInputError, RefusedError
from twin.jobs import Job, JobState
from twin.plan import PlanState
from twin.plans.document import Plan
from twin.plans.records import Approval, AuditRow, Finding, PlanView
from twin.site import Site
from twin.vocab import EndUse, PointKind

if TYPE_CHECKING:
    import pandas as pd

FRESH = timedelta(hours=2)
"""A value older than this is no longer the value in force."""


@dataclass(slots=True)
class FixedClock:
    """A clock that stands until it is moved."""

    moment: datetime

    def now(self) -> datetime:
        """The moment."""
        return self.moment


class MemoryTelemetry:
    """Telemetry as one wide frame: index UTC, a column per point."""

    def __init__(self, site: Site, frame: pd.DataFrame, findings: Sequence[FindingView] = ()) -> None:
        self._site = site
        self._frame = frame.sort_index()
        self._findings = tuple(findings)

    def span(self) -> tuple[datetime, datetime] | None:
        """First and last moment with data."""
        if self._frame.empty:
            return None
        return self._frame.index[0].to_pydatetime(), self._frame.index[-1].to_pydatetime()

    def snapshot(self, kind: PointKind, at: datetime) -> Mapping[str, Sample]:
        """The last row at or before a moment."""
        place = int(self._frame.index.searchsorted(at, side="right")) - 1
        if place < 0:
            return {}
        row, moment = self._frame.iloc[place], self._frame.index[place].to_pydatetime()
        if at - moment > FRESH:
            return {}
        return {
            point.of: Sample(value=float(row[point.id]), at=moment)
            for point in self._site.points_of(kind)
            if point.id in row.index and row[point.id] == row[point.id]
        }

    def series(self, points: Sequence[str], since: datetime, until: datetime) -> pd.DataFrame:
        """The rows of a window."""
        known = [point for point in points if point in self._frame]
        inside = (self._frame.index >= since) & (self._frame.index < until)
        return self._frame.loc[inside, known]

    def append(self, rows: pd.DataFrame) -> int:
        """Adds rows; the number that were new."""
        wide = rows.pivot_table(index="timestamp", columns="point", values="value", aggfunc="last")
        before = int(self._frame.count().sum())
        self._frame = self._frame.combine_first(wide).sort_index()
        return int(self._frame.count().sum()) - before

    def findings(self) -> Sequence[FindingView]:
        """As given."""
        return self._findings

    def health(self) -> Sequence[PointHealth]:
        """Age and coverage of each point against the newest row."""
        newest = None if self._frame.empty else self._frame.index[-1]
        rows = []
        for point in self._site.points:
            column = self._frame[point.id].dropna() if point.id in self._frame else None
            last = None if column is None or column.empty else column.index[-1].to_pydatetime()
            age = None if last is None or newest is None else (newest - last).total_seconds()
            share = 0.0 if column is None or self._frame.empty else len(column) / len(self._frame)
            rows.append(
                PointHealth(
                    point=point.id,
                    kind=point.kind,
                    of=point.of,
                    last_at=last,
                    age_s=age,
                    coverage=share,
                    longest_gap_s=0.0
                    if column is None or len(column) < 2
                    else float(column.index.to_series().diff().max().total_seconds()) - self._site.step_s,
                )
            )
        return rows


@dataclass(slots=True)
class MemoryModels:
    """A model and forecasts as given."""

    model: ModelView | None = None
    forecasts: Mapping[str, ForecastView] = field(default_factory=dict)

    def latest(self) -> ModelView | None:
        """The model."""
        return self.model

    def forecast_series(self) -> Sequence[str]:
        """Names of the forecasts."""
        return list(self.forecasts)

    def forecast(self, series: str) -> ForecastView | None:
        """One forecast."""
        return self.forecasts.get(series)


@dataclass(slots=True)
class MemoryResults:
    """Results as given; series by (batch, scenario)."""

    kept: tuple[BatchView, ...] = ()
    frames: Mapping[tuple[str, str], pd.DataFrame] = field(default_factory=dict)
    energies: Mapping[tuple[str, str], Mapping[EndUse, float]] = field(default_factory=dict)
    rooms: Mapping[tuple[str, str], pd.DataFrame] = field(default_factory=dict)
    moved: Mapping[tuple[str, str], pd.DataFrame] = field(default_factory=dict)

    def batches(self) -> Sequence[BatchView]:
        """All batches."""
        return self.kept

    def batch(self, batch_id: str) -> BatchView | None:
        """One batch."""
        return next((one for one in self.kept if one.id == batch_id), None)

    def series(self, batch_id: str, scenario: str) -> pd.DataFrame | None:
        """Series of a scenario."""
        return self.frames.get((batch_id, scenario))

    def energy(self, batch_id: str, scenario: str) -> Mapping[EndUse, float]:
        """Energy by end use. [kWh]"""
        return self.energies.get((batch_id, scenario), {})

    def discomfort(self, batch_id: str, scenario: str) -> pd.DataFrame | None:
        """Discomfort by room and day. [K·h]"""
        return self.rooms.get((batch_id, scenario))

    def migrations(self, batch_id: str, scenario: str) -> pd.DataFrame | None:
        """Migrations of a scenario."""
        return self.moved.get((batch_id, scenario))


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


class MemoryJobs:
    """A job table in memory; a test or a caller plays the worker with ``update``."""

    def __init__(self, clock: FixedClock) -> None:
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        self._numbers = itertools.count(1)

    def submit(self, kind: str, request: Mapping[str, object], user: str) -> Job:
        """Queues work."""
        now = self._clock.now()
        job = Job(
            id=f"job-{next(self._numbers)}",
            kind=kind,
            request=dict(request),
            user=user,
            state=JobState.QUEUED,
            made_at=now,
            changed_at=now,
        )
        self._jobs[job.id] = job
        return job

    def update(self, job: Job) -> None:
        """Replaces a job by what the worker says of it."""
        self._jobs[job.id] = job

    def all(self) -> Sequence[Job]:
        """Newest first."""
        return list(reversed(self._jobs.values()))

    def get(self, job_id: str) -> Job | None:
        """One job."""
        return self._jobs.get(job_id)

    def cancel(self, job_id: str, user: str) -> Job:
        """Asks that a job ends; one that waits ends at once."""
        job = self._jobs.get(job_id)
        if job is None or job.state.final:
            raise RefusedError("the job has ended already")
        state = JobState.CANCELLED if job.state is JobState.QUEUED else JobState.CANCELLING
        self._jobs[job_id] = replace(job, state=state)
        return self._jobs[job_id]


@dataclass(slots=True)
class MemoryAudit:
    """A log as given."""

    log: tuple[AuditRow, ...] = ()
    faults: tuple[Finding, ...] = ()

    def rows(self) -> Sequence[AuditRow]:
        """The log."""
        return self.log

    def verify(self) -> Sequence[Finding]:
        """The faults."""
        return self.faults


@dataclass(slots=True)
class MemorySettings:
    """Configuration as given."""

    known: tuple[ConnectorView, ...] = ()
    texts: tuple[PolicyText, ...] = ()

    def connectors(self) -> Sequence[ConnectorView]:
        """Connectors."""
        return self.known

    def check(self, connector: str) -> ConnectorView:
        """The connector, checked."""
        one = next(one for one in self.known if one.name == connector)
        return replace(one, state="ok", detail="answers")

    def policies(self) -> Sequence[PolicyText]:
        """Policy files."""
        return self.texts


EPOCH = datetime(2023, 7, 12, 14, tzinfo=UTC)
"""Where a standing clock stands unless told otherwise."""
