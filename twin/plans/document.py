"""The plan as an immutable document: what changes, in which waves, why, until when, and how it is undone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from twin.plan import Action, PointId, Value
from twin.text.canonical import LATER, digest, plain, thing_from

SCHEMA_VERSION = 1


class TargetKind(StrEnum):
    """What a step changes, which decides how it may be grouped into waves."""

    ZONE = "zone"
    UNIT = "unit"
    """An air handler or other plant that serves several rooms at once and cannot be changed in part."""
    HOST = "host"
    VM = "vm"
    SITE = "site"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom a step reaches."""

    kind: TargetKind
    id: str
    rooms: tuple[str, ...] = ()
    people: float = 0.0
    """Most people expected in those rooms while the change holds."""
    production: bool = False
    redundant_with: str | None = None
    group: str = ""
    """Steps of one group share a wave: the unit's id, or the host that is emptied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An action with its target."""

    action: Action
    target: Target
    inside_calibrated_range: bool
    """False when the wanted value lies outside what the calibration data showed, or when they showed none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Steps that are applied, settled and judged together; the first is the canary."""

    index: int
    steps: tuple[Step, ...]
    settle_s: float

    @property
    def rooms(self) -> tuple[str, ...]:
        """Rooms that any step of the wave reaches, sorted."""
        return tuple(sorted({room for step in self.steps for room in step.target.rooms}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A hard limit on a measured point; one breach fails the wave, a missing or stale reading makes it inconclusive."""

    name: str
    connector: str
    point: PointId
    unit: str = ""
    low: float | None = None
    high: float | None = None
    max_age_s: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomTest:
    """Canary rooms against the others by difference in differences and permutation."""

    connector: str
    points: Mapping[str, PointId]
    """Room → measured point."""
    harm: Literal["higher", "lower", "either"] = "either"
    tolerated: float = 1.0
    """Effect in the point's unit below which a difference is no harm."""
    level: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Median and 80 % interval of a KPI."""

    value: float
    low: float
    high: float
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KpiForecast:
    """What the twin predicts for a KPI with and without the plan; the difference comes from paired runs."""

    name: str
    baseline: Interval
    candidate: Interval
    delta: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A candidate that was weighed and not taken."""

    name: str
    reason: str
    kpis: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Digests and names of all that the plan was derived from; the same inputs and seed give the same plan."""

    scenario: str
    seed: int
    model_id: str
    data_digest: str
    site_digest: str
    policy_digest: str
    code_version: str
    forecast_id: str = ""
    candidate_policy: Mapping[str, str] = field(default_factory=dict)
    data_health: tuple[str, ...] = ()
    calibration: Mapping[str, float] = field(default_factory=dict)
    outdoor_mean_c: Mapping[str, float] = field(default_factory=dict)
    """Day of the site → mean outdoor temperature that the plan counts on; empty when a weather service gave it."""
    assumptions: tuple[str, ...] = ()
    """Sentences a reader must know: what was held constant, which forecast, what the twin leaves out."""
    ensemble_saving_pct: tuple[float, ...] = field(default=(), metadata=LATER)
    """Saving of the goal by each calibration that was asked. [%]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What the twin showed when the rollback recipe was run in it."""

    ok: bool
    summary: str
    digest: str = ""


class Undo(StrEnum):
    """How a step is undone."""

    RELEASE = "release"
    """Relinquish our slot; the local program takes over."""
    RESTORE = "restore"
    """No slot: the prior value, and only if the world still shows ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoStep:
    """One line of the rollback recipe."""

    action_id: str
    undo: Undo
    prior: Value | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long each state may last before its declared action is taken. [s]"""

    pushing_s: float = 6 * 3600.0
    """Then the push is rolled back."""
    paused_s: float = 3600.0
    """Then the push is rolled back."""
    soak_s: float = 24 * 3600.0
    """Then a pushed plan whose guards hold is confirmed."""
    rolling_back_s: float = 1800.0
    """Then the plan is stuck and a person must look."""
    stuck_s: float = 3600.0
    """Then the alarm is raised again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A proposal, complete and final: any edit is another plan with another id."""

    site: str
    title: str
    question: str
    proposer: str
    created_at: datetime
    not_before: datetime
    expires_at: datetime
    """No wave may start after this moment."""
    hold_until: datetime
    """The values are released then."""
    waves: tuple[Wave, ...]
    rollback: tuple[UndoStep, ...]
    rehearsal: Rehearsal
    guards: tuple[Guard, ...]
    kpis: tuple[KpiForecast, ...]
    evidence: Evidence
    rooms_in_site: int
    risk_class: int
    risk_reasons: tuple[str, ...]
    room_test: RoomTest | None = None
    deadlines: Deadlines = Deadlines()
    alternatives: tuple[Alternative, ...] = ()
    schema_version: int = SCHEMA_VERSION

    @property
    def id(self) -> str:
        """SHA-256 of the canonical document."""
        return digest(self)

    def steps(self) -> Iterator[Step]:
        """All steps in the order of the push."""
        for wave in self.waves:
            yield from wave.steps

    def to_json(self) -> dict[str, object]:
        """The document as JSON knows it."""
        document: dict[str, object] = plain(self)
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, object]) -> Plan:
        """The plan of a document.

        Raises:
            BadInputError: the document is no plan of this schema version.
        """
        return thing_from(cls, document)
