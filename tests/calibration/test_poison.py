"""Spoilt telemetry of the bundled office: each fault is found by name, and what the clean record taught still holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from connectors.emulator.bundled_site import BLOCKS, bundled_site_folder, local_midnight
from connectors.files import FileSource
from connectors.settings import load_site
from scenarios.batch import Draw, daily_sums
from scenarios.summary import ScenarioRuns, delta_block
from twin.calibration import calibrate
from twin.drivers import Drivers
from twin.health.examine import examine
from twin.kpi import KPIS, kpis
from twin.model import Model
from twin.policy import Policy, Setpoint
from twin.run import simulate
from twin.telemetry import CalibrationData, calibration_data

pytestmark = pytest.mark.slow

FILE = load_site(bundled_site_folder() / "site.yaml")
SITE = FILE.site
ROOM = "Perimeter_mid_ZN_1/zone_air_temperature"
JULY, OCTOBER = (local_midnight(first) for first, _ in BLOCKS[3:])
WEEK = timedelta(weeks=1)
WARM = Policy(cooling_setpoint_c=Setpoint(occupied=25.5, unoccupied=28.0))
Spoil = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def telemetry() -> pd.DataFrame:
    batches = [rows for one in FILE.sources.values() for rows in FileSource(one, FILE.folder).batches(None, None)]
    rows = pd.concat(batches, ignore_index=True)
    rows = rows[~rows.point.astype(str).str.contains("/vm_")]
    return rows.assign(point=rows.point.astype(str)).reset_index(drop=True)


@pytest.fixture(scope="module")
def clean(telemetry: pd.DataFrame) -> tuple[CalibrationData, Model]:
    data, _ = record(telemetry)
    return data, calibrate(SITE, data, quick=True)


def record(rows: pd.DataFrame) -> tuple[CalibrationData, list[str]]:
    """What calibration gets of telemetry, and the findings of data health."""
    found = examine(SITE, rows)
    begin, last = (rows.timestamp.agg(which).to_pydatetime() for which in ("min", "max"))
    data = calibration_data(SITE, rows, begin, last + timedelta(seconds=SITE.step_s), excluded=found)
    return data, [one.sentence for one in found if one.excluded or one.kind == "gap"]


def during(rows: pd.DataFrame, start: datetime, length: timedelta, ends: str = "") -> NDArray[np.bool_]:
    """Flags of the rows of a span, of the points with such an end."""
    inside = (rows.timestamp >= start) & (rows.timestamp < start + length)
    flags: NDArray[np.bool_] = (inside & rows.point.str.endswith(ends)).to_numpy(np.bool_)
    return flags


def drifting_meter(rows: pd.DataFrame) -> pd.DataFrame:
    own = rows.point == "hvac_electric_power"
    since = rows.timestamp - rows.timestamp.min()
    return rows.assign(value=rows.value.where(~own, rows.value * (1.0 + 0.3 * (since / since.max()))))


def counts_turned_round(rows: pd.DataFrame) -> pd.DataFrame:
    """Five per cent of all days: empty rooms full, full rooms empty."""
    value = rows.value.copy()
    for start in (JULY + timedelta(days=6), OCTOBER + timedelta(days=3), OCTOBER + timedelta(days=12)):
        chosen = during(rows, start, timedelta(days=1), "/zone_occupancy")
        usual = rows.point[chosen].map(rows[rows.point.str.endswith("/zone_occupancy")].groupby("point").value.max())
        value[chosen] = np.where(value[chosen] > 0, 0.0, usual)
    return rows.assign(value=value)


def week_copied_over_another(rows: pd.DataFrame) -> pd.DataFrame:
    good = rows[during(rows, OCTOBER + WEEK, WEEK)]
    rest = rows[~during(rows, OCTOBER + 3 * WEEK, WEEK)]
    return pd.concat([rest, good.assign(timestamp=good.timestamp + 2 * WEEK)], ignore_index=True)


def stuck_sensor(rows: pd.DataFrame) -> pd.DataFrame:
    own = during(rows, OCTOBER + timedelta(days=3), 2 * WEEK, ROOM)
    return rows.assign(value=rows.value.where(~own, rows.value[own].iloc[0]))


def fahrenheit(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(value=rows.value.where(rows.point != ROOM, rows.value * 1.8 + 32.0))


def missing_month(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[~during(rows, JULY, 3 * WEEK)].reset_index(drop=True)


def poisoned_week(rows: pd.DataFrame) -> pd.DataFrame:
    rooms = during(rows, OCTOBER + WEEK, WEEK, "/zone_air_temperature")
    meter = during(rows, OCTOBER + WEEK, WEEK) & (rows.point == "hvac_electric_power")
    return rows.assign(value=rows.value + 4.0 * rooms + 1.5 * rows.value * meter)


SPOILT: list[tuple[Spoil, str]] = [
    (drifting_meter, "a drift of this meter explains that"),
    (counts_turned_round, "zone_occupancy: counts of the day from 2023-10-05 06:00 UTC contradict"),
    (week_copied_over_another, "equal those from 2023-10-09 to the last digit"),
    (stuck_sensor, f"{ROOM}: stands at exactly"),
    (fahrenheit, f"{ROOM}: 70.8"),
    (missing_month, "13440 steps (3360.0 h) are missing from 2023-05-15"),
    (poisoned_week, "the week from 2023-10-09 agrees with no other week"),
]


@pytest.mark.parametrize(("spoil", "sentence"), SPOILT, ids=[spoil.__name__ for spoil, _ in SPOILT])
def test_a_spoilt_record_is_found_and_moves_nothing_beyond_its_interval(
    spoil: Spoil, sentence: str, telemetry: pd.DataFrame, clean: tuple[CalibrationData, Model]
) -> None:
    data, health = record(spoil(telemetry))
    model = calibrate(SITE, data, quick=True)
    assert [one for one in (*health, *model.findings) if sentence in one]
    moved = outside(model, clean[1])
    assert not moved, moved
    _, low, high = saving(clean[0].drivers, clean[1])
    assert low <= saving(clean[0].drivers, model)[0] <= high


def outside(model: Model, accepted: Model) -> list[str]:
    """Parameters of a model that lie outside the intervals of another."""
    known = {one.name: one for one in accepted.reports}
    return [
        f"{one.name}: {one.value:.4g} is not in {known[one.name].low:.4g} to {known[one.name].high:.4g}"
        for one in model.reports
        if not known[one.name].low <= one.value <= known[one.name].high
    ]


def saving(drivers: Drivers, model: Model) -> tuple[float, float, float]:
    """The HVAC saving of a warmer cooling setpoint, and the low and high end of its 80 % interval. [kWh]"""
    members = (model.parameters, *model.ensemble)
    both = []
    for policy in (SITE.operation.merge(WARM), SITE.operation):
        results = [simulate(SITE, member, drivers, policy) for member in members]
        values = [kpis(result, SITE) for result in results]
        table = np.array([[value.get(name, np.nan) for name in KPIS] for value in values])
        draws = tuple(Draw(seed=0, sample=0, member=k) for k in range(len(members)))
        daily = np.stack([daily_sums(result, SITE) for result in results])
        both.append(ScenarioRuns(draws=draws, kpis=table, daily=daily, findings=()))
    change = delta_block(both[0], both[1], model.structural)["hvac_kwh"]
    assert isinstance(change, dict)
    return -float(change["value"]), -float(change["high"]), -float(change["low"])
