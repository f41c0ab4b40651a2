"""All checks of data health on long-form telemetry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin.health import balance, clocks, presence, repeated, series, units
from twin.health.finding import Finding, FindingKind
from twin.health.series import Series
from twin.site import Site
from twin.telemetry.grid import series_of
from twin.units import SECONDS_PER_HOUR
from twin.vocab import KIND_FACTS, PointKind

Array = NDArray[np.float64]
SILENT_STEPS = 5
COMPANIONS: Mapping[PointKind, tuple[PointKind, ...]] = {
    PointKind.ZONE_AIR_TEMPERATURE: (PointKind.ZONE_HEATING_SETPOINT, PointKind.ZONE_COOLING_SETPOINT),
    PointKind.AHU_SUPPLY_AIR_TEMPERATURE: (PointKind.AHU_SUPPLY_AIR_TEMPERATURE_SETPOINT,),
    PointKind.ZONE_OCCUPANCY: presence.TRACES,
    balance.WHOLE: balance.PARTS,
}
"""Kinds that must be in the frame too: a value that stands at its setpoint is not stuck, people leave traces, and the
parts of a meter add up."""


def examine(
    site: Site, frame: pd.DataFrame, *, only: PointKind | None = None, now: datetime | None = None
) -> list[Finding]:
    """Findings about the telemetry of a site, by point and time.

    Args:
        site: names points, kinds and floor areas.
        frame: long-form telemetry; all points of a kind should be in it, since neighbours are compared.
        only: the kind to examine; all where None.
        now: the moment of arrival for live data; None for history.
    """
    known = {point.id: point for point in site.points}
    by_kind: dict[PointKind, list[Series]] = defaultdict(list)
    for name, times, values in series_of(frame, known):
        point = known[name]
        step_s = point.step_s or site.step_s
        by_kind[point.kind].append(Series(point=point, times_s=times, values=values, step_s=step_s))
    found: list[Finding] = []
    for kind in sorted(by_kind) if only is None else [kind for kind in by_kind if kind is only]:
        companions: dict[str, list[Series]] = {one.point.of: [] for one in by_kind[kind]} | _by_owner(
            by_kind, COMPANIONS.get(kind, ())
        )
        found.extend(_of_kind(site, by_kind[kind], companions))
        found.extend(_silent(by_kind[kind], now))
        if kind is balance.WHOLE:
            found.extend(balance.drifting(by_kind))
    return sorted(found, key=lambda one: (one.point, one.start.timestamp() if one.start else 0.0, one.kind))


def missing_points(site: Site, counts: Iterable[str]) -> list[Finding]:
    """Points of conditioned zones, units, hosts and the site that no row was ever delivered for."""
    unheated = {zone.id for zone in site.zones if not zone.conditioned}
    have = set(counts)
    return [
        Finding(
            kind=FindingKind.MISSING_POINT,
            point=point.id,
            sentence=f"{point.id}: mapped in site.yaml, but no row has arrived",
        )
        for point in site.points
        if point.id not in have and point.of not in unheated
    ]


def future_rows(frame: pd.DataFrame, now: datetime, step_s: float) -> tuple[pd.DataFrame, list[Finding]]:
    """Rows that lie in the future, and a finding about each point that has some; they belong in quarantine."""
    limit = pd.Timestamp(now) + pd.Timedelta(seconds=step_s)
    future = frame[frame["timestamp"] > limit]
    return future, [_ahead(str(name), rows, now) for name, rows in future.groupby("point", observed=True)]


def _ahead(name: str, rows: pd.DataFrame, now: datetime) -> Finding:
    """A clock that is ahead, estimated from the newest stamp against its arrival."""
    newest = rows["timestamp"].max().to_pydatetime()
    ahead_s = (newest - now).total_seconds()
    return Finding(
        kind=FindingKind.FUTURE,
        point=name,
        sentence=f"{name}: {len(rows)} rows lie up to {ahead_s / SECONDS_PER_HOUR:.1f} h after their arrival; "
        "quarantined, the clock of their source is ahead",
        start=rows["timestamp"].min().to_pydatetime(),
        end=newest,
        numbers={"rows": float(len(rows)), "ahead_s": ahead_s},
        excluded=True,
    )


def _by_owner(by_kind: Mapping[PointKind, Sequence[Series]], kinds: Sequence[PointKind]) -> dict[str, list[Series]]:
    """Series of some kinds by the zone or unit that they belong to."""
    owners: dict[str, list[Series]] = defaultdict(list)
    for kind in kinds:
        for one in by_kind.get(kind, ()):
            owners[one.point.of].append(one)
    return owners


def _at_rows(one: Series, others: Sequence[Series]) -> Array | None:
    """Values of other series that were in force at the rows of one, shape (rows, others); None without others."""
    if not others:
        return None
    columns = []
    for other in others:
        index = np.searchsorted(other.times_s, one.times_s, side="right") - 1
        columns.append(np.where(index >= 0, other.values[np.maximum(index, 0)], np.nan))
    return np.stack(columns, axis=1)


def _of_kind(site: Site, group: Sequence[Series], companions: Mapping[str, Sequence[Series]]) -> Iterator[Finding]:
    area = sum(zone.floor_area_m2 for zone in site.zones if zone.conditioned)
    start, table = _table(group)
    for i, one in enumerate(group):
        yield from series.gaps(one)
        yield from series.conflicts(one)
        suspected = list(units.wrong_unit(one, area))
        yield from suspected
        if not suspected:
            yield from series.impossible(one)
            yield from series.spikes(one)
        setpoints = companions[one.point.of] if KIND_FACTS[one.point.kind].moves else ()
        yield from series.stuck(one, _others(one, table, i, start), _at_rows(one, setpoints))
        yield from repeated.repeated(one)
        yield from presence.contradicted(one, companions[one.point.of], site.time_zone)
        yield from clocks.off_grid(one)
        yield from clocks.sun_clock(one, site)
    if KIND_FACTS[group[0].point.kind].moves:
        yield from clocks.lagging(group, table)


def _table(group: Sequence[Series]) -> tuple[float, Array]:
    """Series of one kind side by side on the grid of the first one, shape (steps, series), and its first time. [s]"""
    step_s = group[0].step_s
    first = min(float(one.times_s[0]) for one in group)
    last = max(float(one.times_s[-1]) for one in group)
    table = np.full((round((last - first) / step_s) + 1, len(group)), np.nan)
    for i, one in enumerate(group):
        index = np.floor((one.times_s - first) / step_s + 1e-9).astype(np.int64)
        table[index, i] = one.values
    return first, table


def _others(one: Series, table: Array, column: int, start: float) -> Array | None:
    """Mean of the other series at the rows of one; None when there are none."""
    if table.shape[1] < 2:
        return None
    index = np.floor((one.times_s - start) / one.step_s + 1e-9).astype(np.int64)
    index = np.minimum(index, len(table) - 1)
    rest = np.delete(table[index], column, axis=1)
    count = np.isfinite(rest).sum(axis=1)
    total = np.nansum(rest, axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _silent(group: Sequence[Series], now: datetime | None) -> Iterator[Finding]:
    """Points that stopped: long before now, or long before the others of their kind."""
    newest = max(float(one.times_s[-1]) for one in group)
    reference = newest if now is None else max(newest, now.timestamp())
    for one in group:
        age = reference - float(one.times_s[-1])
        if age > SILENT_STEPS * one.step_s:
            last = len(one.times_s) - 1
            since = f"{one.moment(last):%Y-%m-%d %H:%M} UTC"
            sentence = f"{one.point.id}: silent for {age / SECONDS_PER_HOUR:.1f} h; its last row is {since}"
            yield Finding(
                kind=FindingKind.SILENCE,
                point=one.point.id,
                sentence=sentence,
                start=one.moment(last),
                numbers={"age_s": age},
            )
