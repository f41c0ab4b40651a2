"""The real series of the forecast benchmark, hourly, with what their READMEs call holes as NaN."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from forecasting.series import Array, Series, SeriesKind

HOUR_S = 3600.0


@dataclass(frozen=True)
class Case:
    """A series with how it is judged."""

    data_set: str
    series: Series
    horizon_h: int


def cases(folder: Path, *, quick: bool) -> list[Case]:
    """All series; with ``quick`` a few of each kind."""
    every: list[Case] = []
    for source in (_bdg2, _cambridge, _singles, _ou44_building, _ou44_rooms, _robod, _ucd, _lisa, _bitbrains):
        found = list(source(folder))
        every.extend(found[:: max(1, len(found) // 2)][:3] if quick else found)
    return every


def without_dead_time(values: Array, hours: int = 24) -> Array:
    """Values with stretches of one repeated value of a day or more as NaN: the meter was not alive."""
    result = values.copy()
    same = np.concatenate([[False], values[1:] == values[:-1], [False]])
    starts = np.flatnonzero(~same[:-1] & same[1:])
    ends = np.flatnonzero(same[:-1] & ~same[1:])
    for start, end in zip(starts, ends, strict=True):
        if end - start + 1 >= hours:
            result[start : end + 1] = np.nan
    return result


def without_spikes(values: Array) -> Array:
    """Values with single impossible peaks (ten times the 99.5 % level) as NaN."""
    limit = 10.0 * float(np.nanquantile(values, 0.995)) if not np.isnan(values).all() else np.inf
    return np.where(values > limit, np.nan, values)


def _holidays(country: str, years: range, subdivision: str | None = None) -> frozenset[date]:
    import holidays

    return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=years).keys())


def _hourly(frame: pd.DataFrame, column: str) -> pd.Series:
    hourly: pd.Series = frame.set_index("ts")[column].resample("1h").mean()
    return hourly


def _series(
    name: str, hourly: pd.Series, zone: str, country: str, kind: SeriesKind, values: Array | None = None
) -> Series:
    values = hourly.to_numpy(dtype=float) if values is None else values
    alive = np.flatnonzero(~np.isnan(values))
    first, last = (int(alive[0]), int(alive[-1]) + 1) if len(alive) else (0, 0)
    start = hourly.index[first].to_pydatetime()
    years = range(hourly.index[0].year, hourly.index[-1].year + 2)
    return Series(name, start, HOUR_S, values[first:last], ZoneInfo(zone), _holidays(country, years), kind)


def _bdg2(folder: Path) -> Iterator[Case]:
    meters = pd.read_parquet(folder / "bdg2_office/meters.parquet")
    zones = pd.read_parquet(folder / "bdg2_office/buildings.parquet").set_index("building").clock_assumed
    for name, frame in meters.groupby("building"):
        hourly = _hourly(frame, "kwh")
        zone = str(zones[name])
        country = {"Europe/London": "GB", "Europe/Dublin": "IE"}.get(zone, "US")
        values = without_spikes(without_dead_time(hourly.to_numpy(dtype=float)))
        if np.isfinite(values).sum() > 5000:
            yield Case("bdg2_office", _series(str(name), hourly, zone, country, SeriesKind.LOAD, values), 48)


def _cambridge(folder: Path) -> Iterator[Case]:
    meters = pd.read_parquet(folder / "cambridge/meters.parquet")
    for name, frame in meters.groupby("building"):
        hourly = _hourly(frame, "elec_kwh")
        values = hourly.to_numpy(dtype=float)
        values = without_spikes(without_dead_time(np.where(values <= 0, np.nan, values)))
        yield Case("cambridge", _series(str(name), hourly, "Europe/London", "GB", SeriesKind.LOAD, values), 48)


def _singles(folder: Path) -> Iterator[Case]:
    rows = (
        ("cubems_total", "building", "elec_kw", "Asia/Bangkok", "TH"),
        ("nrel_rsf", "building", "building_kw", "America/Denver", "US"),
        ("nrel_rsf", "building", "plug_kw", "America/Denver", "US"),
        ("polito", "substation", "elec_kw", "Europe/Rome", "IT"),
    )
    for data_set, file, column, zone, country in rows:
        hourly = _hourly(pd.read_parquet(folder / data_set / f"{file}.parquet"), column)
        values = without_spikes(without_dead_time(hourly.to_numpy(dtype=float)))
        yield Case(data_set, _series(column, hourly, zone, country, SeriesKind.LOAD, values), 48)


def _ou44_building(folder: Path) -> Iterator[Case]:
    hourly = _hourly(pd.read_parquet(folder / "ou44_building/occupancy.parquet"), "occ_count")
    yield Case("ou44_building", _series("people", hourly, "Europe/Copenhagen", "DK", SeriesKind.OCCUPANCY), 48)


def _ou44_rooms(folder: Path) -> Iterator[Case]:
    for room, frame in pd.read_parquet(folder / "ou44_rooms/rooms.parquet").groupby("room"):
        hourly = _hourly(frame, "occ_count").round()
        yield Case("ou44_rooms", _series(str(room), hourly, "Europe/Copenhagen", "DK", SeriesKind.OCCUPANCY), 24)


def _robod(folder: Path) -> Iterator[Case]:
    for room, frame in pd.read_parquet(folder / "robod/rooms.parquet").groupby("room"):
        hourly = _hourly(frame, "occupant_count").round()
        yield Case("robod", _series(str(room), hourly, "Asia/Singapore", "SG", SeriesKind.OCCUPANCY), 24)


def _ucd(folder: Path) -> Iterator[Case]:
    for room, frame in pd.read_parquet(folder / "ucd_bookings/headcount.parquet").groupby("room"):
        hourly = _hourly(frame, "occ_count_est")
        yield Case("ucd_bookings", _series(str(room), hourly, "Europe/Dublin", "IE", SeriesKind.OCCUPANCY), 8)


def _lisa(folder: Path) -> Iterator[Case]:
    hourly = _hourly(pd.read_parquet(folder / "surf_lisa/cluster_power_30s.parquet"), "power_w")
    yield Case("surf_lisa", _series("power_w", hourly, "Europe/Amsterdam", "NL", SeriesKind.SERVER), 24)


def _bitbrains(folder: Path, every: int = 10) -> Iterator[Case]:
    """Every tenth VM that is on all the time."""
    frame = pd.read_parquet(folder / "bitbrains_rnd/bitbrains_rnd_2013-08.parquet", columns=["vm", "step", "cpu_mhz"])
    frame = frame[frame.vm % every == 0]
    for vm, rows in frame.groupby("vm"):
        values = rows.sort_values("step").cpu_mhz.to_numpy(dtype=float)
        values[values < 0] = np.nan
        stamps = pd.date_range("2013-08-01", periods=len(values), freq="5min", tz="UTC")
        hourly = pd.Series(values, index=stamps).resample("1h").mean()
        if hourly.notna().mean() > 0.95 and hourly.std() > 0:
            yield Case("bitbrains_rnd", _series(f"vm{vm}", hourly, "UTC", "NL", SeriesKind.SERVER), 24)
