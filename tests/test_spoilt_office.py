"""Telemetry of the bundled office, spoilt in six ways: each fault is found by name and kept out of the record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from connectors.emulator.bundled_site import BLOCKS, bundled_site_folder, local_midnight
from connectors.settings import load_site
from twin.health import Finding, FindingKind
from twin.health.examine import examine
from twin.telemetry.grid import regular_grid

SITE = load_site(bundled_site_folder() / "site.yaml").site
ROOM, PLUGS, PEOPLE = (f"Core_top/{kind}" for kind in ("zone_air_temperature", "zone_plug_power", "zone_occupancy"))
METERS = {
    "hvac_electric_power": "hvac_electricity_w",
    "fan_power": "fan_electricity_w",
    "cooling_power": "cooling_electricity_w",
    "heating_electric_power": "heating_electricity_w",
}
JULY, OCTOBER = (local_midnight(first) for first, _ in BLOCKS[3:])
WEEK, DAY = timedelta(weeks=1), timedelta(days=1)
Rows = dict[str, pd.Series]
Spoil = Callable[[Rows], None]


@pytest.fixture
def rows() -> Rows:
    """Some points of the office by name, indexed by time."""
    folder = bundled_site_folder() / "telemetry"
    zones, building = (pd.read_parquet(folder / f"{name}.parquet") for name in ("zones", "building"))
    columns = {ROOM: "temp_c", PLUGS: "plugs_w", PEOPLE: "occupants"}
    found = {point: zones.set_index("timestamp")[f"Core_top.{name}"] for point, name in columns.items()}
    found |= {point: building.set_index("timestamp")[name] for point, name in METERS.items()}
    return {point: line.astype(np.float64).copy() for point, line in found.items()}


def frame(rows: Rows) -> pd.DataFrame:
    parts = [pd.DataFrame({"timestamp": one.index, "point": name, "value": one.values}) for name, one in rows.items()]
    return pd.concat(parts, ignore_index=True)


def during(line: pd.Series, start: datetime, length: timedelta) -> NDArray[np.bool_]:
    return np.asarray((line.index >= start) & (line.index < start + length))


def drifting_meter(rows: Rows) -> None:
    line = rows["cooling_power"]
    rows["cooling_power"] = line * np.linspace(1.0, 1.3, len(line))


def counts_turned_round(rows: Rows) -> None:
    line = rows[PEOPLE]
    day = during(line, OCTOBER + 3 * DAY, DAY)
    line[day] = np.where(line[day] > 0, 0.0, line.max())


def copied_week(rows: Rows) -> None:
    for line in rows.values():
        line[during(line, OCTOBER + 3 * WEEK, WEEK)] = line[during(line, OCTOBER + WEEK, WEEK)].to_numpy()


def stuck_sensor(rows: Rows) -> None:
    line = rows[ROOM]
    line[during(line, OCTOBER + 3 * DAY, 2 * WEEK)] = 21.57


def fahrenheit(rows: Rows) -> None:
    rows[ROOM] = rows[ROOM] * 1.8 + 32.0


def missing_month(rows: Rows) -> None:
    for name, line in rows.items():
        rows[name] = line[~during(line, JULY, 3 * WEEK)]


def found(rows: Rows) -> list[Finding]:
    return [one for one in examine(SITE, frame(rows)) if one.excluded]


FAULTS: list[tuple[Spoil, FindingKind, str, datetime, timedelta]] = [
    (drifting_meter, FindingKind.METER_DRIFT, "cooling_power", OCTOBER, 4 * WEEK),
    (counts_turned_round, FindingKind.CONTRADICTION, PEOPLE, OCTOBER + 3 * DAY, DAY),
    (copied_week, FindingKind.REPEATED, ROOM, OCTOBER + 3 * WEEK, WEEK),
    (stuck_sensor, FindingKind.STUCK, ROOM, OCTOBER + 3 * DAY, 2 * WEEK),
    (fahrenheit, FindingKind.WRONG_UNIT, ROOM, OCTOBER, 4 * WEEK),
]


def test_the_office_as_recorded_raises_no_alarm(rows: Rows) -> None:
    assert found(rows) == []


@pytest.mark.parametrize(("spoil", "kind", "point", "start", "length"), FAULTS, ids=[one[0].__name__ for one in FAULTS])
def test_what_is_spoilt_is_found_by_name_and_does_not_reach_the_record(
    spoil: Spoil, kind: FindingKind, point: str, start: datetime, length: timedelta, rows: Rows
) -> None:
    spoil(rows)
    alarms = found(rows)
    assert (kind, point) in {(one.kind, one.point) for one in alarms}
    grid = regular_grid(SITE, frame(rows), start, start + length, alarms)
    assert np.isnan(grid.values[point]).all()
    others = {one.point for one in alarms} - {point}
    assert not others or kind is FindingKind.REPEATED


def test_a_missing_month_is_a_hole_with_its_length_and_is_not_filled(rows: Rows) -> None:
    missing_month(rows)
    holes = [one for one in examine(SITE, frame(rows)) if one.kind is FindingKind.GAP and one.point == ROOM]
    assert [one.numbers["hours"] for one in holes] == [1344.0, 1008.0, 3360.0]
    grid = regular_grid(SITE, frame(rows), JULY, JULY + 2 * WEEK)
    assert np.isnan(grid.values[ROOM]).all()
