"""Prometheus: series by query, in windows below the server's limit of points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd

from connectors.mapping_proposals import Discovery
from connectors.protocols.plain import Measure, PlainConnector, finite
from connectors.protocols.prometheus_series import described
from connectors.protocols.web import StatusError, Web, WebSettings
from connectors.self_test import clock_difference_s
from twin.errors import BadInputError
from twin.plan import Capability, PointId, Quality, Reading
from twin.vocab import PointKind

MOST_POINTS = 11_000
"""The server refuses a query with more points in a series."""
WINDOW_POINTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusSeries:
    """A query that gives one series. Names of metrics differ between exporters, so they stand in the site file."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    query: str
    kind: PointKind | None = None
    unit: str | None = None
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusSettings:
    """Everything a Prometheus connector is told."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    server: WebSettings
    points: Mapping[str, PrometheusSeries]
    step_s: float = 60.0
    history_s: float = 86_400.0
    """How far back is fetched when nothing was fetched before."""


class PrometheusConnector(PlainConnector):
    """Reads only."""

    capabilities = frozenset({Capability.READ, Capability.HISTORY})

    def __init__(
        self, name: str, settings: PrometheusSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        super().__init__(name, dict.fromkeys(settings.points), clock)
        self.settings = settings
        self.web = Web(name, settings.server)

    def look(self, points: Sequence[PointId]) -> Mapping[PointId, Reading]:
        """The newest value of each series."""
        found: dict[PointId, Reading] = {}
        for point in points:
            try:
                data = self.web.json("GET", "/api/v1/query", params={"query": self.settings.points[point].query})
            except StatusError as error:
                if error.status in {400, 422}:
                    continue
                raise
            rows = [(row["metric"], [row["value"]]) for row in data["data"]["result"]]
            for at, value in self._only(point, rows):
                found[point] = Reading(point=point, value=value, at=at, quality=Quality.GOOD)
        return found

    def _only(self, point: PointId, rows: Sequence[tuple[object, Sequence[Sequence[object]]]]) -> Iterator[_Sample]:
        """The finite samples of the one series that a query may give."""
        if len(rows) > 1:
            labels = "; ".join(str(row[0]) for row in rows[:3])
            message = (
                f"{self.name}.points.{point}.query gives {len(rows)} series ({labels} …); "
                "name labels or aggregate until it gives one"
            )
            raise BadInputError(message)
        series = self.settings.points[point]
        measure = Measure(kind=series.kind, unit=series.unit, scale=series.scale)
        for _, values in rows:
            for stamp, text in values:
                raw = finite(text)
                if raw is not None:
                    yield datetime.fromtimestamp(float(str(stamp)), UTC), measure.inside(raw)

    def fetch(self, since: datetime | None, until: datetime | None) -> pd.DataFrame:
        """Rows of all series on the step's grid; gaps are missing rows."""
        until = until or self._clock()
        since = since or until - timedelta(seconds=self.settings.history_s)
        rows = [
            (at, point, value)
            for point in self.settings.points
            for start, end in windows(since, until, self.settings.step_s)
            for at, value in self._range(point, start, end)
        ]
        return pd.DataFrame(
            {
                "timestamp": pd.DatetimeIndex([row[0] for row in rows], tz="UTC").as_unit("ns"),
                "point": pd.Series([row[1] for row in rows], dtype=object),
                "value": pd.Series([row[2] for row in rows], dtype=float),
            }
        )

    def _range(self, point: PointId, start: datetime, end: datetime) -> Iterator[_Sample]:
        params: dict[str, str | float] = {
            "query": self.settings.points[point].query,
            "start": start.timestamp(),
            "end": end.timestamp(),
            "step": self.settings.step_s,
        }
        data = self.web.json("GET", "/api/v1/query_range", params=params)
        return self._only(point, [(row["metric"], row["values"]) for row in data["data"]["result"]])

    def discover(self) -> Discovery:
        """Points that the server's metrics of the last day make."""
        names = self.web.json("GET", "/api/v1/label/__name__/values")["data"]
        return Discovery(points=tuple(described(names, self._labels)))

    def _labels(self, metric: str) -> Sequence[Mapping[str, str]]:
        now = self._clock()
        span: dict[str, str | float] = {"start": (now - timedelta(days=1)).timestamp(), "end": now.timestamp()}
        found: Sequence[Mapping[str, str]] = self.web.json("GET", "/api/v1/series", params={"match[]": metric, **span})[
            "data"
        ]
        return found

    def clock_difference_s(self) -> float | None:
        """How far the server's clock is ahead of ours, as told with its last answer. [s]"""
        return clock_difference_s(self.web.date_header, self._clock())

    def close(self) -> None:
        """Closes the connection."""
        self.web.close()


_Sample = tuple[datetime, float]


def windows(since: datetime, until: datetime, step_s: float) -> Iterator[tuple[datetime, datetime]]:
    """Spans of at most ``WINDOW_POINTS`` steps that cover [since, until) on the step's grid, without overlap."""
    step = timedelta(seconds=step_s)
    at = datetime.fromtimestamp(-(-since.timestamp() // step_s) * step_s, UTC)
    while at < until:
        end = min(at + (WINDOW_POINTS - 1) * step, until - timedelta(microseconds=1))
        yield at, end
        at += WINDOW_POINTS * step
