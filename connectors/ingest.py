"""Telemetry from the sources of a site into its store, with the findings of the delivery and of the data."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from connectors.files import FileSource
from connectors.files.cells import in_product_unit
from connectors.settings import SiteFile, SourceMapping
from connectors.telemetry_store import Appended, Collector, ParquetTelemetryStore
from twin.errors import BadInputError
from twin.health.arrival import ArrivalClocks
from twin.health.examine import COMPANIONS, examine, future_rows, missing_points
from twin.health.finding import Finding, FindingKind, finding_from_json
from twin.ports import TelemetrySource
from twin.vocab import PointKind

EXAMINED_ROWS = 2_500_000
"""Rows of one kind that are examined at once, the newest ones, which bounds memory."""
EXAMINE_EVERY_S = 3600.0
"""How often data health is looked at anew while connectors are followed."""
Told = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What an ingest did."""

    sources: Mapping[str, Appended]
    quarantined: int
    findings: tuple[Finding, ...]

    @property
    def total(self) -> Appended:
        """All sources together."""
        return sum(self.sources.values(), Appended())

    def to_json(self) -> dict[str, object]:
        """The document of ``understudy ingest --json``."""
        told = self.total
        return {
            "rows": told.rows,
            "new_rows": told.new,
            "duplicates": told.duplicates,
            "conflicting": told.conflicting,
            "late": told.late,
            "quarantined": self.quarantined,
            "sources": {
                name: {"rows": one.rows, "new_rows": one.new, "duplicates": one.duplicates}
                for name, one in self.sources.items()
            },
            "findings": [finding.to_json() for finding in self.findings],
        }


class Telemetry:
    """The telemetry folder of a workspace: store, quarantine and health record."""

    def __init__(self, folder: Path) -> None:
        self.store = ParquetTelemetryStore(folder)
        self.quarantine = ParquetTelemetryStore(folder / "quarantine")
        self.health_file = folder / "health.json"

    def findings(self) -> list[Finding]:
        """The findings of the last ingest.

        Raises:
            BadInputError: the record is damaged.
        """
        if not self.health_file.exists():
            return []
        try:
            document = json.loads(self.health_file.read_text(encoding="utf-8"))
            return [finding_from_json(record) for record in document["findings"]]
        except (ValueError, KeyError, TypeError) as error:
            message = f"{self.health_file}: damaged ({error}); run 'understudy ingest' again to renew it"
            raise BadInputError(message) from None

    def record(self, findings: Sequence[Finding]) -> None:
        """Keeps findings, by an atomic replacement."""
        self.health_file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.health_file.with_suffix(".writing")
        document = {"schema_version": 1, "findings": [finding.to_json() for finding in findings]}
        temporary.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(self.health_file)


def ingest(
    site_file: SiteFile,
    telemetry: Telemetry,
    *,
    now: datetime,
    names: Sequence[str] = (),
    files: Sequence[Path] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    histories: Mapping[str, TelemetrySource] | None = None,
    anew: bool = False,
    progress: Told | None = None,
) -> Ingested:
    """Reads sources into the store and examines the whole store.

    Args:
        site_file: the site with its sources.
        telemetry: where it goes.
        now: later rows are quarantined (aware).
        names: sources to read; all where empty.
        files: files to read instead of those of the site file; they belong to the single source that is named.
        since: leaves out earlier rows.
        until: leaves out this moment and later.
        histories: connectors to fetch from, for sources that name one.
        anew: what the store holds of the sources' points goes first, as after a corrected unit.
        progress: told how far it is.

    Raises:
        BadInputError: a source is unknown, or one of its files is not acceptable.
    """
    wanted = _wanted(site_file, names, files)
    done: dict[str, Appended] = {}
    findings: list[Finding] = []
    quarantined = 0
    for i, name in enumerate(wanted):
        batches, source = _batches(
            site_file, name, files, since, until, histories or {}, _tell(progress, i, len(wanted), name)
        )
        if anew:
            telemetry.store.remove([point.id for point in site_file.sources[name].points], now)
        with telemetry.store.collecting() as collector:
            quarantined += _collect(batches, collector, telemetry, now, site_file.site.step_s, findings)
        done[name] = collector.total
        if source is not None:  # a connector is asked for some of the past again on purpose
            findings += [*source.delivery.findings(), *_of_delivery(name, collector.total)]
    findings += health(site_file, telemetry.store, progress)
    telemetry.record(findings)
    return Ingested(sources=done, quarantined=quarantined, findings=tuple(findings))


class LiveIntake:
    """Takes rows of connectors into the store as they come; those from the future are set apart."""

    def __init__(self, site_file: SiteFile, telemetry: Telemetry, names: Sequence[str] = ()) -> None:
        """Begins with the health as the last ingest left it.

        Args:
            site_file: the site with its sources.
            telemetry: where rows go.
            names: sources that are wanted; all where empty.
        """
        self._site_file = site_file
        self._telemetry = telemetry
        self._mappings = [mapping for name, mapping in site_file.sources.items() if not names or name in names]
        self._examined = time.monotonic()
        self._clocks = ArrivalClocks(site_file.site.step_s)

    def take(self, connector: str, rows: pd.DataFrame, now: datetime) -> None:
        """Rows of a connector that have just come."""
        for mapping in self._mappings:
            if mapping.block.connector == connector:
                self._keep(renamed(rows, mapping), now)
        if time.monotonic() - self._examined >= EXAMINE_EVERY_S:
            placed = [one for one in self._telemetry.findings() if one.kind is FindingKind.PLACEMENT]
            of_clocks = self._clocks.findings()
            self._telemetry.record([*health(self._site_file, self._telemetry.store), *of_clocks, *placed])
            self._examined = time.monotonic()

    def _keep(self, rows: pd.DataFrame, now: datetime) -> None:
        future, found = future_rows(rows, now, self._site_file.site.step_s)
        self._telemetry.quarantine.append(future)
        rows = rows.drop(index=future.index)
        self._telemetry.store.append(rows)
        if self._clocks.arrived(rows, found, now):
            mine = {one.id for one in self._clocks.findings()}
            others = [one for one in self._telemetry.findings() if one.id not in mine]
            self._telemetry.record([*others, *self._clocks.findings()])


def health(site_file: SiteFile, store: ParquetTelemetryStore, progress: Told | None = None) -> list[Finding]:
    """Findings about everything in a store, kind by kind."""
    counts = store.counts()
    findings = missing_points(site_file.site, counts)
    by_kind: dict[PointKind, list[str]] = {}
    for point in site_file.site.points:
        if point.id in counts:
            by_kind.setdefault(point.kind, []).append(point.id)
    for i, (kind, points) in enumerate(sorted(by_kind.items())):
        if progress is not None:
            progress(float(i), float(len(by_kind)), f"examining {kind}")
        together = points + [point for other in COMPANIONS.get(kind, ()) for point in by_kind.get(other, [])]
        frame = store.read(together, since=_since(store, sum(counts[point] for point in together)))
        findings += examine(site_file.site, frame, only=kind)
    return sorted(findings, key=lambda one: (one.point, one.start.timestamp() if one.start else 0.0, one.kind))


def _since(store: ParquetTelemetryStore, rows: int) -> datetime | None:
    """From when on rows are examined, so that they fit into memory."""
    period = store.period()
    if rows <= EXAMINED_ROWS or period is None:
        return None
    first, last = period
    return last - timedelta(seconds=(last - first).total_seconds() * EXAMINED_ROWS / rows)


def _wanted(site_file: SiteFile, names: Sequence[str], files: Sequence[Path]) -> list[str]:
    known = list(site_file.sources)
    for name in names:
        if name not in known:
            raise BadInputError(
                f"source {name!r} is not in {site_file.path.name}; its sources: {', '.join(known) or 'none'}"
            )
    wanted = list(names) or known
    if not wanted:
        message = f"{site_file.path.name} has no sources; add one under 'sources:', see docs/site.md"
        raise BadInputError(message)
    if files and len(wanted) != 1:
        message = f"--file needs to know its layout; name one source of {', '.join(known)} with --source"
        raise BadInputError(message)
    return wanted


def _batches(
    site_file: SiteFile,
    name: str,
    files: Sequence[Path],
    since: datetime | None,
    until: datetime | None,
    histories: Mapping[str, TelemetrySource],
    progress: Callable[[float], None],
) -> tuple[Iterator[pd.DataFrame], FileSource | None]:
    """Rows of a source, and the source where it is made of files."""
    mapping = site_file.sources[name]
    if mapping.block.connector is None:
        source = FileSource(mapping, site_file.folder)
        return source.batches(since, until, files=files or None, progress=progress), source
    history = histories.get(mapping.block.connector)
    if history is None:
        message = (
            f"source {name}: nothing can be fetched from connector {mapping.block.connector!r}; use 'files:' instead"
        )
        raise BadInputError(message)
    rows = renamed(history.fetch(since, until), mapping)
    return iter([rows[_within(rows["timestamp"], since, until)]]), None


def _within(stamps: pd.Series[pd.Timestamp], since: datetime | None, until: datetime | None) -> pd.Series[bool]:
    """Which stamps lie in a span; a system without history answers with now whatever was asked."""
    first, last = pd.Timestamp.min.tz_localize("UTC"), pd.Timestamp.max.tz_localize("UTC")
    return stamps.between(since or first, until or last, inclusive="left")


def renamed(rows: pd.DataFrame, mapping: SourceMapping) -> pd.DataFrame:
    """Rows of a connector with the site's points and units: ``column`` names the connector's point."""
    parts = []
    for column in mapping.columns:
        own = rows[rows["point"] == column.column]
        values = in_product_unit(own["value"].to_numpy(dtype=float), column, mapping.step_s)
        parts += [own.assign(point=point, value=values) for point in column.points.values()]
    if mapping.block.timestamp.label == "right":
        parts = [part.assign(timestamp=part["timestamp"] - pd.Timedelta(seconds=mapping.step_s)) for part in parts]
    return pd.concat(parts, ignore_index=True) if parts else rows.iloc[:0]


def _collect(
    batches: Iterator[pd.DataFrame],
    collector: Collector,
    telemetry: Telemetry,
    now: datetime,
    step_s: float,
    findings: list[Finding],
) -> int:
    """Rows into the collector, those from the future into quarantine; how many those were."""
    quarantined = 0
    for frame in batches:
        future, found = future_rows(frame, now, step_s)
        if len(future):
            telemetry.quarantine.append(future)
            frame = frame.drop(index=future.index)  # noqa: PLW2901 - the rest goes on
            quarantined += len(future)
            findings += found
        collector.add(frame)
    return quarantined


def _of_delivery(name: str, told: Appended) -> Iterator[Finding]:
    """What the store noticed about a delivery."""
    if told.duplicates:
        sentence = f"source {name}: {told.duplicates} rows were already there with the same value; not counted twice"
        yield Finding(kind=FindingKind.DUPLICATE, point=name, sentence=sentence, numbers={"rows": told.duplicates})
    if told.late:
        sentence = f"source {name}: {told.late} rows are older than what was already there; sorted in"
        yield Finding(
            kind=FindingKind.OUT_OF_ORDER, point=f"{name}:late", sentence=sentence, numbers={"rows": told.late}
        )


def _tell(progress: Told | None, done: int, total: int, name: str) -> Callable[[float], None]:
    def tell(share: float) -> None:
        if progress is not None:
            progress(done + share, float(total), f"reading {name}")

    return tell
