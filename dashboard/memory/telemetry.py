"""Telemetry as one frame in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dashboard.views import FindingView, PointHealth, Sample
from twin.site import Site
from twin.vocab import PointKind

if TYPE_CHECKING:
    import pandas as pd

FRESH = timedelta(hours=2)
"""A value older than this is no longer the value in force."""


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
