"""What the pages are shown: frozen facts that services hand over, with units, and nothing left to compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from twin.kpi import KPIS
from twin.vocab import PointKind


class Role(StrEnum):
    """What a person may do; a person may have several."""

    VIEWER = "viewer"
    PROPOSER = "proposer"
    APPROVER = "approver"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Mode(StrEnum):
    """How far the product may act by itself."""

    SHADOW = "SHADOW"
    """Nothing is pushed; plans are shown only."""
    APPROVAL = "APPROVAL"
    """A plan is pushed after people approved it."""
    AUTO = "AUTO"
    """Plans inside a standing approval are pushed without asking."""


class Severity(StrEnum):
    """How urgent a finding is."""

    INFO = "info"
    WARNING = "warning"
    SERIOUS = "serious"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who is signed in."""

    user: str
    name: str
    roles: frozenset[Role]
    session_version: int = 0
    """Grows when roles or password change; older sessions are then dead."""
    external: bool = False
    """Whether the person has no password here and signs by a fresh sign-in at the identity provider."""

    def may(self, role: Role) -> bool:
        """Whether this person has a role; anyone signed in may view."""
        return role is Role.VIEWER or role in self.roles


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The last value of a point at or before a moment, with the time it was measured."""

    value: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """Something that is wrong with the data or the site, as a sentence."""

    id: str
    severity: Severity
    subject: str
    sentence: str
    since: datetime | None = None
    until: datetime | None = None
    """None: it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointHealth:
    """How a point is doing."""

    point: str
    kind: PointKind
    of: str
    last_at: datetime | None
    age_s: float | None
    """Against the newest row of the whole store or the present time, as the service says."""
    coverage: float
    """Share of the expected rows that are there."""
    longest_gap_s: float
    stuck: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneQuality:
    """Hold-out error of a zone's temperature. [K]"""

    zone: str
    rmse_k: float
    bias_k: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterQuality:
    """Hold-out error of a meter, after ASHRAE Guideline 14. [%]"""

    meter: str
    hourly_cvrmse_pct: float
    hourly_nmbe_pct: float
    monthly_cvrmse_pct: float | None = None
    monthly_nmbe_pct: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterView:
    """A fitted parameter with its interval and its value in the model before."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    unit: str = ""
    before: float | None = None
    drifted: bool | None = None
    """Whether the value before lies outside this interval; None where either is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """A calibrated twin."""

    model_id: str
    made_at: datetime | None
    accepted: bool
    reasons: tuple[str, ...]
    zones: tuple[ZoneQuality, ...]
    meters: tuple[MeterQuality, ...]
    parameters: tuple[ParameterView, ...] = ()
    data_digest: str = ""
    code_version: str = ""
    advice: str = ""
    """When to calibrate again, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastView:
    """A forecast of a series with its history and how it did lately."""

    series: str
    unit: str
    model: str
    made_at: datetime | None
    history_at: tuple[datetime, ...]
    history: tuple[float, ...]
    at: tuple[datetime, ...]
    median: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    errors: Mapping[str, float] = field(default_factory=dict)
    """Recent errors by name, e.g. ``mae`` in the series' unit, ``mae_ratio`` to the seasonal-naive forecast."""
    drift: str = ""
    """Empty while there is none, else a sentence."""
    held: str = ""
    """How often the interval held lately, in words."""
    judged: bool = False
    """Whether there was enough telemetry to tell."""
    findings: tuple[str, ...] = ()
    """Intervals that held too seldom, as sentences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kpi:
    """Median and 80 % interval of a KPI."""

    value: float
    low: float
    high: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioView:
    """One scenario of a batch of results."""

    name: str
    description: str
    policy: Mapping[str, object]
    kpis: Mapping[str, Kpi]
    baseline: str | None
    delta: Mapping[str, Kpi]
    """Scenario − baseline, from paired runs."""
    delta_percent: Mapping[str, Kpi]
    period: tuple[str | None, str | None] = (None, None)
    drivers: str = ""
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchView:
    """A batch of results."""

    id: str
    made_at: datetime | None
    model_id: str
    model_accepted: bool
    scenarios: tuple[ScenarioView, ...]

    def scenario(self, name: str) -> ScenarioView | None:
        """The scenario of that name."""
        return next((one for one in self.scenarios if one.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavingView:
    """What a pushed plan was predicted to save and what it saved; positive is a saving."""

    plan_id: str
    title: str
    month: str
    """``2023-07``"""
    kpi: str
    predicted: Kpi
    realised: Kpi | None
    """None while the data for it is not there."""
    verdict: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorView:
    """A configured connector."""

    name: str
    kind: str
    capabilities: tuple[str, ...]
    state: str = "not checked"
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyText:
    """A policy file of the workspace, to read."""

    name: str
    digest: str
    text: str


_WRITTEN = {"co2": "CO₂", "hvac": "HVAC", "it": "IT", "vm": "VM", "pue": "PUE", "ppm": "above the limit"} | {
    word: word.upper() for word in ("slav", "slatah", "pdm", "esv")
}


def kpi_label(name: str) -> str:
    """A KPI's name for people, without its unit."""
    for unit in ("_kwh", "_kw", "_kg", "_kh", "_ms", "_h"):
        name = name.removesuffix(unit)
    return " ".join(_WRITTEN.get(word, word) for word in name.split("_"))


def kpi_unit(name: str) -> str:
    """A KPI's unit; nothing for counts."""
    unit = KPIS[name].unit if name in KPIS else ""
    return "" if unit == "1" else unit
