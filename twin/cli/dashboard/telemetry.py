"""Telemetry for the pages: whole months of a point kind as arrays, kept in memory within a limit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from connectors.telemetry_block import Block, joined, read_block
from dashboard.views import FindingView, PointHealth, Sample, Severity
from twin.health.finding import Finding, FindingKind
from twin.people_shown import shown_counts
from twin.site import Point, Site
from twin.vocab import PointKind

if TYPE_CHECKING:
    import pandas as pd

    from connectors.ingest import Telemetry
    from twin.ports import Clock

FRESH = timedelta(hours=2)
"""A value older than this is no longer shown as the value in force."""
MOST_BYTES = 200 * 1024 * 1024
"""Limit of the months that are kept in memory."""
HEALTH_WINDOW = timedelta(days=2)
"""Time before the newest row over which coverage and gaps are counted."""
_SERIOUS = frozenset({FindingKind.SILENCE, FindingKind.WRONG_UNIT, FindingKind.CLOCK, FindingKind.STUCK})


def _for_display(kind: PointKind, block: Block) -> Block:
    """The block as pages may show it: few people are not told apart from a few more."""
    return replace(block, values=shown_counts(block.values)) if kind is PointKind.ZONE_OCCUPANCY else block


class StoredTelemetry:
    """The telemetry of a workspace as the pages ask for it; thread-safe."""

    def __init__(
        self,
        site: Site,
        telemetry: Telemetry,
        clock: Clock,
        *,
        further: Callable[[], Sequence[Finding]] = tuple,
    ) -> None:
        self._site = site
        self._further = further
        self._telemetry = telemetry
        self._clock = clock
        self._blocks: OrderedDict[tuple[PointKind, str], tuple[float, Block]] = OrderedDict()
        self._span: tuple[tuple[float, ...], tuple[datetime, datetime] | None] | None = None
        self._health: tuple[float, list[PointHealth]] | None = None
        self._lock = Lock()
        self._reading = Lock()
        self._kinds = {point.id: point.kind for point in site.points}
        self._of_kind: dict[PointKind, tuple[Point, ...]] = {
            kind: site.points_of(kind) for kind in dict.fromkeys(self._kinds.values())
        }

    def span(self) -> tuple[datetime, datetime] | None:
        """First and last moment with data."""
        stamp = tuple(path.stat().st_mtime for path in self._months())
        if self._span is None or self._span[0] != stamp:
            self._span = (stamp, self._telemetry.store.period() if stamp else None)
        return self._span[1]

    def _months(self) -> list[Path]:
        folder = self._telemetry.store.folder
        return sorted(folder.glob("????-??.parquet")) if folder.is_dir() else []

    def _block(self, kind: PointKind, month: str) -> Block | None:
        path = self._telemetry.store.folder / f"{month}.parquet"
        if not path.exists():
            return None
        stamp, key = path.stat().st_mtime, (kind, month)
        if (kept := self._kept(key, stamp)) is not None:
            return kept
        with self._reading:  # one at a time, which bounds memory; others may have read it meanwhile
            if (kept := self._kept(key, stamp)) is not None:
                return kept
            block = _for_display(kind, read_block(path, [point.id for point in self._of_kind.get(kind, ())]))
            with self._lock:
                self._blocks[key] = (stamp, block)
                while sum(one.size for _, one in self._blocks.values()) > MOST_BYTES and len(self._blocks) > 1:
                    self._blocks.popitem(last=False)
        return block

    def _kept(self, key: tuple[PointKind, str], stamp: float) -> Block | None:
        with self._lock:
            found = self._blocks.get(key)
            if found is None or found[0] != stamp:
                return None
            self._blocks.move_to_end(key)
            return found[1]

    def snapshot(self, kind: PointKind, at: datetime) -> Mapping[str, Sample]:
        """The value in force of every point of a kind at a moment."""
        found: dict[str, Sample] = {}
        if kind not in self._of_kind:
            return found
        micros, oldest = _micros(at), _micros(at - FRESH)
        for month in dict.fromkeys((f"{at.astimezone(UTC):%Y-%m}", f"{(at - FRESH).astimezone(UTC):%Y-%m}")):
            block = self._block(kind, month)
            if block is None:
                continue
            last = int(np.searchsorted(block.times, micros, side="right"))
            first = int(np.searchsorted(block.times, oldest, side="left"))
            for point in self._of_kind.get(kind, ()):
                if point.of not in found and (sample := _last(block, point.id, first, last)):
                    found[point.of] = sample
        return found

    def series(self, points: Sequence[str], since: datetime, until: datetime) -> pd.DataFrame:
        """Wide frame of a window."""
        import pandas as pd

        columns: dict[str, pd.Series[float]] = {}
        for point in points:
            kind = self._kinds.get(point)
            if kind is not None and (parts := list(self._parts(kind, point, since, until))):
                columns[point] = pd.concat(parts)
        frame = pd.DataFrame(columns)
        return frame.dropna(how="all", axis=1)

    def _parts(self, kind: PointKind, point: str, since: datetime, until: datetime) -> list[pd.Series[float]]:
        import pandas as pd

        parts = []
        month = datetime(since.astimezone(UTC).year, since.astimezone(UTC).month, 1, tzinfo=UTC)
        while month < until:
            block = self._block(kind, f"{month:%Y-%m}")
            if block is not None and point in block.place:
                first = int(np.searchsorted(block.times, _micros(since), side="left"))
                last = int(np.searchsorted(block.times, _micros(until), side="left"))
                index = pd.to_datetime(block.times[first:last], unit="us", utc=True)
                parts.append(pd.Series(block.values[first:last, block.place[point]], index=index))
            month = _next_month(month)
        return parts

    def append(self, rows: pd.DataFrame) -> int:
        """Adds rows idempotently; the number that were new. Rows of the future are refused.

        Raises:
            BadInputError: a row lies in the future.
        """
        from twin.errors import BadInputError

        newest = rows["timestamp"].max()
        if newest > self._clock.now() + timedelta(minutes=5):
            message = f"row of {newest} lies in the future; check the clock of the gateway"
            raise BadInputError(message)
        return self._telemetry.store.append(rows)

    def findings(self) -> Sequence[FindingView]:
        """What the last ingest found and where the building has left the twin, newest first."""
        found = [_finding_view(one) for one in (*self._further(), *self._telemetry.findings())]
        rank = {Severity.SERIOUS: 2, Severity.WARNING: 1, Severity.INFO: 0}
        return sorted(found, key=lambda one: (rank[one.severity], str(one.since or "")), reverse=True)

    def health(self) -> Sequence[PointHealth]:
        """How each point did in the last two days of telemetry."""
        months, span = self._months(), self.span()
        if span is None:
            return [_unseen(point) for point in self._site.points]
        stamp = months[-1].stat().st_mtime
        if self._health is None or self._health[0] != stamp:
            stuck = {one.point for one in self._telemetry.findings() if one.kind is FindingKind.STUCK}
            points, since = [point.id for point in self._site.points], span[1] - HEALTH_WINDOW
            first = f"{since.astimezone(UTC):%Y-%m}"
            blocks = [read_block(path, points, since) for path in months if path.stem >= first]
            whole = joined(blocks)
            rows = [self._point_health(whole, point, stuck=point.id in stuck) for point in self._site.points]
            self._health = (stamp, rows)
        return self._health[1]

    def _point_health(self, block: Block, point: Point, *, stuck: bool) -> PointHealth:
        if not len(block.times):
            return _unseen(point)
        there = block.times[~np.isnan(block.values[:, block.place[point.id]])]
        if not len(there):
            return _unseen(point)
        step = self._site.step_s * 1e6
        expected = (block.times[-1] - block.times[0]) / step + 1
        last = datetime.fromtimestamp(int(there[-1]) / 1e6, tz=UTC)
        gap = float(np.diff(there).max() - step) / 1e6 if len(there) > 1 else 0.0
        return PointHealth(
            point=point.id,
            kind=point.kind,
            of=point.of,
            last_at=last,
            age_s=(self._clock.now() - last).total_seconds(),
            coverage=min(len(there) / expected, 1.0),
            longest_gap_s=max(gap, 0.0),
            stuck=stuck,
        )


def _unseen(point: Point) -> PointHealth:
    return PointHealth(
        point=point.id, kind=point.kind, of=point.of, last_at=None, age_s=None, coverage=0.0, longest_gap_s=float("nan")
    )


def _last(block: Block, point: str, first: int, last: int) -> Sample | None:
    column = block.values[first:last, block.place[point]] if first < last else np.empty(0)
    there = np.flatnonzero(~np.isnan(column))
    if not len(there):
        return None
    moment = datetime.fromtimestamp(int(block.times[first + there[-1]]) / 1e6, tz=UTC)
    return Sample(value=float(column[there[-1]]), at=moment)


def _micros(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6)


def _next_month(moment: datetime) -> datetime:
    return moment.replace(year=moment.year + moment.month // 12, month=moment.month % 12 + 1)


def _finding_view(one: Finding) -> FindingView:
    worst = one.kind in _SERIOUS or bool(one.numbers.get("blocks_plans"))
    tells = one.excluded or one.kind in (FindingKind.DRIFT, FindingKind.COVERAGE)
    severity = Severity.SERIOUS if worst else Severity.WARNING if tells else Severity.INFO
    return FindingView(
        id=one.id, severity=severity, subject=one.point, sentence=one.sentence, since=one.start, until=one.end
    )
