"""Drivers for scenarios out of a workspace's telemetry: replayed, forecast, or to draw synthetic days from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from twin.cli.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from scenarios.expand import DriverRequest
    from twin.drivers import Drivers

HISTORY_DAYS = (56, 28, 14, 7, 4)
"""Days of telemetry before a forecast, the longest unbroken one that there is."""
BROKEN_H = 6
"""A hole in the outdoor temperature of more than so many hours ends a stretch of telemetry."""


@dataclass(frozen=True)
class TelemetryDrivers:
    """Gives the drivers that a scenario asks for."""

    workspace: Workspace
    seed: int = 0

    def __call__(self, request: DriverRequest) -> Sequence[Drivers]:
        """Drivers of a request.

        Raises:
            BadInputError: no telemetry covers it.
        """
        if request.kind == "synthetic":
            return self.stretches()
        if request.start is None or request.end is None:
            stretches = self.stretches()
            return (max(stretches, key=lambda one: one.steps),)
        if request.kind == "forecast":
            return self.ahead(request.start, request.end, request.samples)
        return (self.recorded(request.start, request.end),)

    def recorded(self, start: datetime, end: datetime) -> Drivers:
        """Drivers of a past period."""
        from twin.telemetry import drivers_from

        return drivers_from(self.workspace.site, self._rows(start, end), start, end, seed=self.seed)

    def ahead(self, start: datetime, end: datetime, samples: int) -> tuple[Drivers, ...]:
        """Samples of the drivers of a period, from telemetry before it alone."""
        from forecasting.ahead import drivers_ahead

        history = self.history(start)
        return drivers_ahead(history, self.workspace.site, start, end, samples=samples, seed=self.seed)

    def history(self, before: datetime) -> Drivers:
        """The longest unbroken telemetry that ends before a moment, at most eight weeks.

        Raises:
            BadInputError: there are less than four days.
        """
        from twin.errors import BadInputError

        stretches = [(start, min(end, before)) for start, end in self._stretches() if start < before]
        for days in HISTORY_DAYS:
            for start, end in reversed(stretches[-1:]):
                if end - start >= timedelta(days=days):
                    return self.recorded(max(start, end - timedelta(days=HISTORY_DAYS[0])), end)
        message = f"a forecast from {before.isoformat()} needs four unbroken days of telemetry before it; ingest them"
        raise BadInputError(message)

    def stretches(self) -> tuple[Drivers, ...]:
        """Drivers of every unbroken stretch of at least a day."""
        return tuple(
            self.recorded(start, end) for start, end in self._stretches() if end - start >= timedelta(days=1, hours=1)
        )

    def _rows(self, start: datetime, end: datetime) -> pd.DataFrame:
        return self.workspace.rows(start, end)

    def _stretches(self) -> list[tuple[datetime, datetime]]:
        """Begin and end of the stretches with outdoor temperature, in order."""
        from twin.errors import BadInputError
        from twin.vocab import PointKind

        site = self.workspace.site
        points = [point.id for point in site.points_of(PointKind.OUTDOOR_AIR_TEMPERATURE)]
        frame = self.workspace.telemetry.read(points=points)
        if frame.empty:
            message = "the telemetry holds no outdoor_air_temperature; map it in site.yaml and run 'understudy ingest'"
            raise BadInputError(message)
        stamps = frame["timestamp"].drop_duplicates().sort_values()
        breaks = stamps.diff() > timedelta(hours=BROKEN_H)
        step = timedelta(seconds=site.step_s)
        return [(_utc(group.iloc[0]), _utc(group.iloc[-1]) + step) for _, group in stamps.groupby(breaks.cumsum())]


def _utc(stamp: pd.Timestamp) -> datetime:
    moment: datetime = stamp.to_pydatetime()
    return moment.astimezone(UTC)
