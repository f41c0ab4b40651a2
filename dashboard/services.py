"""The small ports through which the pages reach stores and engines; the composition root passes the real ones in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

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
from twin.jobs import Job
from twin.plans.document import Plan
from twin.plans.records import AuditRow, Finding, PlanView
from twin.site import Site
from twin.vocab import EndUse, PointKind

if TYPE_CHECKING:
    import pandas as pd


class Clock(Protocol):
    """The time as the pages show it."""

    def now(self) -> datetime:
        """The moment, aware UTC."""
        ...


class Telemetry(Protocol):
    """What was measured."""

    def span(self) -> tuple[datetime, datetime] | None:
        """First and last moment with data; None without any."""
        ...

    def snapshot(self, kind: PointKind, at: datetime) -> Mapping[str, Sample]:
        """The value in force of every point of a kind at a moment, by the id of its zone, unit, host or VM."""
        ...

    def series(self, points: Sequence[str], since: datetime, until: datetime) -> pd.DataFrame:
        """Wide frame: index UTC, one column per point id that has data."""
        ...

    def append(self, rows: pd.DataFrame) -> int:
        """Adds rows ``timestamp``, ``point``, ``value``; the number that were new."""
        ...

    def findings(self) -> Sequence[FindingView]:
        """What is wrong with the data, newest first."""
        ...

    def health(self) -> Sequence[PointHealth]:
        """How each point is doing."""
        ...


class Models(Protocol):
    """Calibrated twins and forecasts."""

    def latest(self) -> ModelView | None:
        """The model in use."""
        ...

    def forecast_series(self) -> Sequence[str]:
        """Names of the series that are forecast."""
        ...

    def forecast(self, series: str) -> ForecastView | None:
        """The newest forecast of a series."""
        ...


class Results(Protocol):
    """Batches of what-if runs."""

    def batches(self) -> Sequence[BatchView]:
        """All batches, newest first."""
        ...

    def batch(self, batch_id: str) -> BatchView | None:
        """One batch."""
        ...

    def series(self, batch_id: str, scenario: str) -> pd.DataFrame | None:
        """Series of a scenario's first run: index UTC, columns as the runner names them; None when not kept."""
        ...

    def energy(self, batch_id: str, scenario: str) -> Mapping[EndUse, float]:
        """Energy by end use of a scenario's first run; empty when its series were not kept. [kWh]"""
        ...

    def discomfort(self, batch_id: str, scenario: str) -> pd.DataFrame | None:
        """Distance outside the comfort band while a room has people: index site date, a column per room. [K·h]"""
        ...

    def host_hours(self, batch_id: str, scenario: str) -> pd.DataFrame | None:
        """Hours that each host is on: index site date, a column per host; None when not kept. [h]"""
        ...

    def migrations(self, batch_id: str, scenario: str) -> pd.DataFrame | None:
        """Live migrations of a scenario's first run: ``at``, ``vm``, ``source``, ``target``; None when not kept."""
        ...


class Plans(Protocol):
    """Plans and what people do with them; every method checks the actor's rights itself."""

    def mode(self) -> Mode:
        """How far the product may act by itself."""
        ...

    def all(self) -> Sequence[PlanView]:
        """All plans, newest first."""
        ...

    def get(self, plan_id: str) -> PlanView:
        """One plan.

        Raises:
            BadInputError: there is none of that id.
        """
        ...

    def approve(self, plan_id: str, user: str, password: str, reason: str) -> PlanView:
        """A signed approval after the password was checked afresh."""
        ...

    def reject(self, plan_id: str, user: str, password: str, reason: str) -> PlanView:
        """A signed rejection after the password was checked afresh."""
        ...

    def without(self, plan_id: str, user: str, action_ids: Sequence[str]) -> Plan:
        """A new proposal that leaves these actions out."""
        ...

    def pause(self, plan_id: str, user: str, reason: str) -> None:
        """Holds the push at the next step."""
        ...

    def roll_back(self, plan_id: str, user: str, reason: str) -> None:
        """Stops the push and takes the way back."""
        ...

    def release_all(self, user: str, password: str, reason: str) -> str:
        """Gives every point back to its own program; a sentence of what was done."""
        ...

    def dossier(self, plan_id: str) -> str | None:
        """The dossier as a self-contained HTML page; None when none is kept."""
        ...

    def savings(self) -> Sequence[SavingView]:
        """Predicted and realised savings of pushed plans."""
        ...


class Jobs(Protocol):
    """Long work in a table that survives restarts, done by a worker process."""

    def submit(self, kind: str, request: Mapping[str, object], user: str) -> Job:
        """Puts work into the queue; other jobs are not touched."""
        ...

    def all(self) -> Sequence[Job]:
        """All jobs, newest first."""
        ...

    def get(self, job_id: str) -> Job | None:
        """One job."""
        ...

    def cancel(self, job_id: str, user: str) -> Job:
        """Asks that a job ends early."""
        ...


class Audit(Protocol):
    """The log and its proof."""

    def rows(self) -> Sequence[AuditRow]:
        """The whole log, oldest first."""
        ...

    def verify(self) -> Sequence[Finding]:
        """What the proof finds wrong; nothing when the log is whole."""
        ...

    def trouble(self) -> str:
        """Why the journal may not take the next row, so that nothing is pushed; empty while it can."""
        ...


class Identity(Protocol):
    """Who people are and what they may do."""

    def sign_in(self, user: str, password: str, source: str) -> Person:
        """The person, after the password was checked.

        Raises:
            RefusedError: wrong user or password, locked out, or disabled.
        """
        ...

    def person(self, user: str) -> Person | None:
        """The person as of now; None when disabled or unknown."""
        ...

    def by_token(self, token: str) -> Person | None:
        """The person that an API token belongs to; None when it is unknown, expired or revoked."""
        ...

    def people(self) -> Sequence[Person]:
        """All people."""
        ...

    def add(self, admin: str, user: str, name: str, password: str, roles: frozenset[Role]) -> Person:
        """A new account."""
        ...

    def change_roles(self, admin: str, user: str, roles: frozenset[Role]) -> Person:
        """Other roles for a person; sessions of that person end."""
        ...

    def change_password(self, user: str, old: str, new: str) -> None:
        """Another password; sessions of that person end."""
        ...


class SingleSignOn(Protocol):
    """An identity provider through which people may sign in."""

    label: str

    def begin(self, after: str, now: datetime) -> tuple[str, str]:
        """Where the browser goes, and the state that must come back with it."""
        ...

    def finish(self, answer: Mapping[str, str], state: str, now: datetime) -> tuple[Person, str]:
        """Who came back, and where they wanted to go.

        Raises:
            RefusedError: the answer or its token does not hold.
        """
        ...

    def begin_signing(
        self, decision: str, plan_id: str, reason: str, user: str, session: str, now: datetime
    ) -> tuple[str, str]:
        """Where the browser goes so that a person signs ``approve`` or ``reject`` by a fresh sign-in, and the state.

        Args:
            decision: ``approve`` or ``reject``.
            plan_id: the plan.
            reason: why, in the person's words.
            user: who is signed in.
            session: digest of the token of that session.
            now: the moment.
        """
        ...

    def signed_by(self, state: str) -> str:
        """Id of the plan that the sign-in of this state is to sign for; empty when it only gets somebody in."""
        ...

    def finish_signing(
        self, answer: Mapping[str, str], state: str, now: datetime, stands: Callable[[str, str], bool]
    ) -> PlanView:
        """The plan with the word of who came back; the sign-in is used up, whatever comes of it.

        Args:
            answer: query of the address that the browser came back to.
            state: what its cookie brought.
            now: the moment.
            stands: whether the session of this digest is open and of this user.

        Raises:
            RefusedError: the answer or its token does not hold, or the word may not be given.
        """
        ...


class Settings(Protocol):
    """What the workspace is configured to do."""

    def connectors(self) -> Sequence[ConnectorView]:
        """Configured connectors."""
        ...

    def check(self, connector: str) -> ConnectorView:
        """Runs a connector's read-only self-test."""
        ...

    def policies(self) -> Sequence[PolicyText]:
        """Policy files, to read."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """All that the pages may use."""

    site: Site
    clock: Clock
    telemetry: Telemetry
    models: Models
    results: Results
    plans: Plans
    jobs: Jobs
    audit: Audit
    identity: Identity
    settings: Settings
    sso: SingleSignOn | None = None
    wall: Clock | None = None
    """By which sessions age, where the pages show a building's own time; None: the same clock."""

    def real_now(self) -> datetime:
        """The moment for sessions, aware UTC."""
        return (self.wall or self.clock).now()
