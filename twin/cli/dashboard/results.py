"""Results and models of a workspace for the pages: read when a file changed, else from memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboard.formats import unit_label
from dashboard.views import (
    BatchView,
    ForecastView,
    Kpi,
    MeterQuality,
    ModelView,
    ParameterView,
    ScenarioView,
    ZoneQuality,
)
from twin.errors import BadInputError, RefusedError
from twin.kpi import discomfort_by_zone
from twin.units import SECONDS_PER_HOUR, kwh
from twin.vocab import EndUse

if TYPE_CHECKING:
    import pandas as pd

    from twin.cli.workspace import Workspace
    from twin.model import Model
    from twin.ports import Clock

AGED_DAYS = 90
"""A model whose data ended longer ago than this before the newest telemetry should be made anew."""


class StoredResults:
    """Batches below ``var/results``."""

    def __init__(self, workspace: Workspace) -> None:
        self._folder = workspace.var("results", "x").parent
        self._workspace = workspace
        self._kept: dict[str, tuple[float, BatchView]] = {}

    def batches(self) -> Sequence[BatchView]:
        """All finished batches, newest first."""
        files = sorted(self._summaries(), key=lambda file: file.stat().st_mtime, reverse=True)
        return [batch for file in files if (batch := self._read(file)) is not None]

    def batch(self, batch_id: str) -> BatchView | None:
        """One batch; an id is a name of a folder here, never a path, and links lead nowhere."""
        known = {file.parent.name: file for file in self._summaries()}
        return self._read(known[batch_id]) if batch_id in known else None

    def _summaries(self) -> list[Path]:
        found = self._folder.glob("*/summary.json")
        return [file for file in found if not (file.is_symlink() or file.parent.is_symlink())]

    def _read(self, file: Path) -> BatchView | None:
        from scenarios.results import read_summary

        stamp, name = file.stat().st_mtime, file.parent.name
        if name not in self._kept or self._kept[name][0] != stamp:
            try:
                document = read_summary(file)
            except BadInputError:
                return None
            self._kept[name] = (
                stamp,
                batch_view(name, document, datetime.fromtimestamp(stamp, tz=UTC), self._workspace.site.tariff.currency),
            )
        return self._kept[name][1]

    def series(self, batch_id: str, scenario: str) -> pd.DataFrame | None:
        """Series of a scenario's first run."""
        place = self._place(batch_id, scenario)
        if place is None:
            return None
        file = self._folder / batch_id / "series" / f"{place:04d}.parquet"
        return _series(file, file.stat().st_mtime) if file.is_file() else None

    def _place(self, batch_id: str, scenario: str) -> int | None:
        """Position of a scenario in its batch, by which its files are named."""
        batch = self.batch(batch_id)
        names = [one.name for one in batch.scenarios] if batch else []
        return names.index(scenario) if scenario in names else None

    def energy(self, batch_id: str, scenario: str) -> Mapping[EndUse, float]:
        """Energy by end use. [kWh]"""
        frame = self.series(batch_id, scenario)
        if frame is None or len(frame) < 2:
            return {}
        step = (frame.index[1] - frame.index[0]).total_seconds()
        columns = {use: f"power_{use.value}_w" for use in EndUse} | {EndUse.IT: "power_hosts_w"}
        return {
            use: float(kwh(frame[column].sum(), step)) for use, column in columns.items() if column in frame.columns
        }

    def discomfort(self, batch_id: str, scenario: str) -> pd.DataFrame | None:
        """Discomfort by room and site date. [K·h]"""
        frame, site = self.series(batch_id, scenario), self._workspace.site
        rooms = [
            zone.id
            for zone in site.zones
            if frame is not None and {f"people.{zone.id}", f"temperature_c.{zone.id}"} <= set(frame.columns)
        ]
        if frame is None or not rooms:
            return None
        import pandas as pd

        temperature = frame[[f"temperature_c.{room}" for room in rooms]].to_numpy(dtype=float)
        people = frame[[f"people.{room}" for room in rooms]].to_numpy(dtype=float)
        values = discomfort_by_zone(temperature, people, site.comfort, site.step_s)
        return self._by_day(pd.DataFrame(values, index=frame.index, columns=rooms))

    def _by_day(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Sums by site date."""
        import pandas as pd

        days = pd.DatetimeIndex(frame.index).tz_convert(self._workspace.site.time_zone).date
        summed: pd.DataFrame = frame.groupby(days).sum()
        return summed

    def host_hours(self, batch_id: str, scenario: str) -> pd.DataFrame | None:
        """Hours that each host is on by site date. [h]"""
        frame, site = self.series(batch_id, scenario), self._workspace.site
        columns = {f"host_on.{host.id}": host.id for host in site.hosts}
        if frame is None or len(frame) < 2 or not set(columns) <= set(frame.columns) or not columns:
            return None
        step_h = (frame.index[1] - frame.index[0]).total_seconds() / SECONDS_PER_HOUR
        return self._by_day(frame[list(columns)].rename(columns=columns).astype(float) * step_h)

    def migrations(self, batch_id: str, scenario: str) -> pd.DataFrame | None:
        """Live migrations of a scenario's first run; None where they were not kept."""
        from scenarios.results import MIGRATION_COLUMNS, migrations_file

        place = self._place(batch_id, scenario)
        if place is None or self.host_hours(batch_id, scenario) is None:
            return None
        import pandas as pd

        file = self._folder / batch_id / migrations_file(place)
        return pd.read_parquet(file) if file.is_file() else pd.DataFrame(columns=["at", *MIGRATION_COLUMNS])


@lru_cache(maxsize=12)
def _series(file: Path, stamp: float) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(file).set_index("timestamp")


def batch_view(name: str, document: Mapping[str, Any], made_at: datetime, currency: str = "currency") -> BatchView:
    """A summary document as the pages show it, with the site's currency by its name."""
    model = document.get("model") or {}
    return BatchView(
        id=name,
        made_at=made_at,
        model_id=str(model.get("model_id", "")),
        model_accepted=bool(model.get("accepted", False)),
        scenarios=tuple(_scenario(entry, currency) for entry in document["scenarios"]),
    )


def _scenario(entry: Mapping[str, Any], currency: str) -> ScenarioView:
    delta = entry.get("delta_vs_baseline") or {}
    policy = entry.get("policy")
    period = entry.get("period") or {}
    return ScenarioView(
        name=str(entry["name"]),
        description=str(entry.get("description", "")),
        policy=policy if isinstance(policy, Mapping) else {},
        kpis={key: _kpi(value, _unit(value, currency)) for key, value in entry["kpis"].items()},
        baseline=entry.get("baseline"),
        delta={key: _kpi(value, _unit(value, currency)) for key, value in delta.items()},
        delta_percent={key: _kpi(value["percent"], "%") for key, value in delta.items() if "percent" in value},
        period=(period.get("from"), period.get("to")),
        drivers=str(entry.get("drivers", "")),
        findings=tuple(str(one) for one in entry.get("findings", ())),
    )


def _unit(value: Mapping[str, Any], currency: str) -> str:
    unit = str(value.get("unit", ""))
    return unit_label(unit, currency)


def _kpi(value: Mapping[str, Any], unit: str) -> Kpi:
    return Kpi(value=value["value"], low=value["low"], high=value["high"], unit=unit)


class StoredModels:
    """Models and forecasts of a workspace."""

    def __init__(self, workspace: Workspace, clock: Clock) -> None:
        self._workspace = workspace
        self._clock = clock
        self._kept: tuple[float, ModelView] | None = None

    def latest(self) -> ModelView | None:
        """The model in use."""
        store = self._workspace.models
        current = store.folder / "current"
        if not current.is_file():
            return None
        stamp = current.stat().st_mtime
        if self._kept is None or self._kept[0] != stamp:
            try:
                model = store.current()
            except RefusedError:
                return None
            view = model_view(model, datetime.fromtimestamp(stamp, tz=UTC), self._before(model), self._newest())
            self._kept = (stamp, view)
        return self._kept[1]

    def _newest(self) -> datetime | None:
        period = self._workspace.telemetry.period()
        return period[1] if period else None

    def _before(self, model: Model) -> Model | None:
        """The model made before this one."""
        store = self._workspace.models
        files = sorted(store.folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
        older = [file.stem for file in files if file.stem != model.model_id]
        try:
            return store.load(older[-1]) if older else None
        except RefusedError:
            return None

    def forecast_series(self) -> Sequence[str]:
        """Series of the newest forecasts."""
        return list(self._forecasts())

    def forecast(self, series: str) -> ForecastView | None:
        """The newest forecast of a series."""
        return self._forecasts().get(series)

    def _forecasts(self) -> Mapping[str, ForecastView]:
        from twin.cli.forecasts import kept_forecasts

        return {name: _forecast_view(row) for name, row in kept_forecasts(self._workspace.folder).items()}


def _forecast_view(row: Mapping[str, Any]) -> ForecastView:
    from twin.cli.forecasts import held

    errors = row["recent_mae"]
    drift = ", ".join(row["drift"])
    return ForecastView(
        series=row["name"],
        unit=row["unit"],
        model=row["forecaster"].replace("+", " + ").replace("_", " "),
        made_at=datetime.fromisoformat(row["made_at"]),
        history_at=tuple(datetime.fromisoformat(one["timestamp"]) for one in row["history"]),
        history=tuple(float("nan") if one["value"] is None else one["value"] for one in row["history"]),
        at=tuple(datetime.fromisoformat(one["timestamp"]) for one in row["values"]),
        median=tuple(one["median"] for one in row["values"]),
        low=tuple(one["low"] for one in row["values"]),
        high=tuple(one["high"] for one in row["values"]),
        errors={f"mean absolute error, {name}": value for name, value in sorted(errors.items(), key=lambda e: e[1])},
        drift=f"errors drifted at {drift} UTC; look at what changed then" if drift else "",
        held=held(row),
        judged=row.get("coverage_pct") is not None,
        findings=tuple(one["sentence"] for one in row.get("findings", ())),
    )


def model_view(model: Model, made_at: datetime, before: Model | None, newest: datetime | None) -> ModelView:
    """A model as the pages show it."""
    old = {report.name: report.value for report in before.reports} if before is not None else {}
    zones = {
        name.removeprefix("zone_rmse_k/"): value
        for name, value in model.metrics.items()
        if name.startswith("zone_rmse_k/")
    }
    return ModelView(
        model_id=model.model_id,
        made_at=made_at,
        accepted=model.accepted,
        reasons=(*model.reasons, *model.findings),
        zones=tuple(ZoneQuality(zone=zone, rmse_k=value) for zone, value in zones.items()),
        meters=tuple(
            MeterQuality(
                meter=fit.meter.replace("_", " "),
                hourly_cvrmse_pct=100 * fit.hourly_cvrmse,
                hourly_nmbe_pct=100 * fit.nmbe,
                monthly_cvrmse_pct=100 * fit.monthly_cvrmse,
            )
            for fit in model.meters
        ),
        parameters=tuple(
            ParameterView(
                name=r.name,
                value=r.value,
                low=r.low,
                high=r.high,
                unit=r.unit,
                before=old.get(r.name),
                drifted=_drifted(old.get(r.name), r.low, r.high),
            )
            for r in model.reports
        ),
        data_digest=model.data_digest,
        code_version=model.code_version,
        advice=_advice(model, newest),
    )


def _drifted(before: float | None, low: float | None, high: float | None) -> bool | None:
    return None if before is None or low is None or high is None else not low <= before <= high


def _advice(model: Model, newest: datetime | None) -> str:
    if newest is None:
        return ""
    days = (newest - model.end).days
    if days > AGED_DAYS:
        return f"Telemetry has grown by {days} days since this model's data ended; calibrate again."
    return (
        f"Calibrate again when telemetry has grown by {AGED_DAYS} days (now {max(days, 0)}), or when drift is reported."
    )
