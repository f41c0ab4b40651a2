"""How long counts of people are kept: older rows leave the store, and what left is said with numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.telemetry_store import ParquetTelemetryStore
from twin.site import Site
from twin.vocab import PointKind

KEEP_PEOPLE_DAYS = 400
"""A year and a month: what calibration and a comparison with last year need. [days]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What a run of the job removed."""

    before: datetime
    points: tuple[str, ...]
    rows: int


def forget_people(store: ParquetTelemetryStore, site: Site, now: datetime, days: int = KEEP_PEOPLE_DAYS) -> Forgotten:
    """Removes counts of people that are older than the limit.

    Args:
        store: telemetry.
        site: says which points count people.
        now: the moment.
        days: how long they are kept.
    """
    points = tuple(point.id for point in site.points_of(PointKind.ZONE_OCCUPANCY))
    before = now - timedelta(days=days)
    return Forgotten(before=before, points=points, rows=store.remove(points, before) if points else 0)
