"""A calibrated twin as an immutable artefact: parameters, how sure they are, how good it is, what it was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from twin.building.parameters import Parameters
from twin.text.canonical import canonical, digest, plain, thing_from

CODE_VERSION = "1"
"""Raised when the physics changes so that old parameters mean something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterReport:
    """A fitted parameter with its interval: at 80 %, all parameters of a model lie within theirs at once."""

    name: str
    value: float
    low: float
    high: float
    unit: str
    at_bound: bool
    """The fit ran into a physical bound: look at the site file or the data."""
    identified: bool
    """The data narrowed the prior to less than half its width."""

    def holds(self, value: float) -> bool:
        """Whether a value lies within the interval."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """What a week of the record decides."""

    week: int
    """Since the start of the record."""
    parameter: str
    """The one that moves most where the week is left out."""
    reach: float
    """How far it moves, over half the width of its interval."""
    energy: float
    """Change of HVAC energy over the record without it, as a share."""
    peers: int
    """Other weeks of its season that were fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterFit:
    """How well a meter is met on weeks that no fit saw; fractions, NMBE positive where the twin is too low."""

    meter: str
    hourly_cvrmse: float
    monthly_cvrmse: float
    nmbe: float
    share: float
    """Its energy over that of all HVAC meters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """Weekly sums on the whole record, for the report page. [kWh]"""

    meter: str
    week: tuple[int, ...]
    measured_kwh: tuple[float, ...]
    simulated_kwh: tuple[float, ...]
    held_out: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A twin fitted to telemetry."""

    site: str
    site_digest: str
    data_digest: str
    code_version: str
    start: datetime
    end: datetime
    seed: int
    accepted: bool
    reasons: tuple[str, ...]
    """Why it is not accepted; empty if it is."""
    metrics: Mapping[str, float]
    """``zone_rmse_k``, ``zone_rmse_k/<zone>`` and ``<meter>/cvrmse_hourly|cvrmse_monthly|nmbe`` on hold-out weeks."""
    parameters: Parameters
    ensemble: tuple[Parameters, ...]
    """Draws of the parameters that fit the data about as well."""
    structural: Mapping[str, float]
    """Error of the twin by end use from weeks that no fit saw, relative, under ``<use>/week`` that of a week;
    ``discomfort`` likewise, its weeks in K·h."""
    hold_out_weeks: tuple[int, ...] = ()
    """Weeks since the start of the record."""
    meters: tuple[MeterFit, ...] = ()
    reports: tuple[ParameterReport, ...] = ()
    residuals: tuple[Residuals, ...] = ()
    findings: tuple[str, ...] = field(default=())
    """What the data could not tell, and what looks odd."""
    topology_digest: str = ""
    """Of zones, walls, neighbours and air handlers; a twin of another building is refused."""
    units_digest: str = ""
    """Of the points with their kinds and units."""
    influence: tuple[Influence, ...] = ()
    """The weeks that decide most, the heaviest first."""

    @property
    def model_id(self) -> str:
        """SHA-256 of the whole artefact."""
        return digest(self)

    def to_json(self) -> str:
        """The artefact as canonical JSON."""
        return canonical(self).decode()

    @classmethod
    def from_json(cls, text: str) -> Model:
        """The artefact that ``to_json`` wrote.

        Raises:
            BadInputError: it is not such an artefact.
        """
        return thing_from(cls, json.loads(text))

    def summary(self) -> Mapping[str, Any]:
        """What command line and dashboard show."""
        shown = {name: value for name, value in self.metrics.items() if not name.startswith("zone_rmse_k/")}
        return {
            "model_id": self.model_id,
            "accepted": self.accepted,
            "reasons": list(self.reasons),
            "metrics": dict(shown),
            "findings": list(self.findings),
            "meters": plain(self.meters),
        }
