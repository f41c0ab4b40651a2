"""What the pages only read: model and forecasts, results, the log and the configuration, each as given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dashboard.views import BatchView, ConnectorView, ForecastView, ModelView, PolicyText
from twin.plans.records import AuditRow, Finding
from twin.vocab import EndUse

if TYPE_CHECKING:
    import pandas as pd


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
    hours: Mapping[tuple[str, str], pd.DataFrame] = field(default_factory=dict)

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

    def host_hours(self, batch_id: str, scenario: str) -> pd.DataFrame | None:
        """Hours of hosts by day. [h]"""
        return self.hours.get((batch_id, scenario))

    def migrations(self, batch_id: str, scenario: str) -> pd.DataFrame | None:
        """Migrations of a scenario."""
        return self.moved.get((batch_id, scenario))


@dataclass(slots=True)
class MemoryAudit:
    """A log as given."""

    log: tuple[AuditRow, ...] = ()
    faults: tuple[Finding, ...] = ()
    full: str = ""

    def rows(self) -> Sequence[AuditRow]:
        """The log."""
        return self.log

    def verify(self) -> Sequence[Finding]:
        """The faults."""
        return self.faults

    def trouble(self) -> str:
        """What is given as its trouble."""
        return self.full


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
