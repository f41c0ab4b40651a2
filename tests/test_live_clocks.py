"""Clocks of live sources are told by the arrival of their rows (fault A4), and every surface gets the finding."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from connectors.ingest import LiveIntake, Telemetry
from connectors.settings import read_site
from twin.health.arrival import DELIVERIES, ArrivalClocks
from twin.health.finding import Finding, FindingKind

NOW = datetime(2023, 3, 6, 12, tzinfo=UTC)
STEP = timedelta(minutes=15)
SITE = """
schema_version: 1
name: s
time_zone: UTC
location: {latitude_deg: 50, longitude_deg: 10}
zones: [{id: a, floor: 0, floor_area_m2: 100, volume_m3: 300, design_people: 5}]
connectors:
  gateway: {type: simulated_building, points: {t: 21.0}}
sources:
  live:
    connector: gateway
    columns: [{column: t, kind: zone_air_temperature, of: a, unit: degC}]
"""


def rows(at: datetime, point: str = "t") -> pd.DataFrame:
    return pd.DataFrame({"timestamp": pd.DatetimeIndex([at]).as_unit("ns"), "point": [point], "value": [21.0]})


@pytest.fixture
def telemetry(tmp_path: Path) -> Telemetry:
    return Telemetry(tmp_path / "telemetry")


@pytest.fixture
def intake(tmp_path: Path, telemetry: Telemetry) -> LiveIntake:
    return LiveIntake(read_site(SITE.encode(), tmp_path / "site.yaml"), telemetry)


def of_clocks(telemetry: Telemetry) -> list[Finding]:
    return [one for one in telemetry.findings() if one.kind in {FindingKind.CLOCK, FindingKind.FUTURE}]


def test_rows_of_a_gateway_an_hour_ahead_are_quarantined_and_told(intake: LiveIntake, telemetry: Telemetry) -> None:
    intake.take("gateway", rows(NOW), NOW)
    assert of_clocks(telemetry) == []
    intake.take("gateway", rows(NOW + timedelta(hours=1)), NOW)
    (finding,) = of_clocks(telemetry)
    assert (finding.point, finding.kind, finding.excluded) == ("a/zone_air_temperature", FindingKind.FUTURE, True)
    assert finding.numbers["ahead_s"] == 3600.0
    assert len(telemetry.quarantine.read()) == 1
    assert telemetry.store.read()["timestamp"].tolist() == [pd.Timestamp(NOW)]


def test_a_gateway_an_hour_behind_is_told_once_five_deliveries_were_late(
    intake: LiveIntake, telemetry: Telemetry
) -> None:
    for delivery in range(DELIVERIES):
        assert of_clocks(telemetry) == []
        now = NOW + delivery * STEP
        intake.take("gateway", rows(now - STEP - timedelta(hours=1)), now)
    (finding,) = of_clocks(telemetry)
    assert finding.numbers["skew_s"] == -3600.0
    assert "1.0 h old at each of its last 5 arrivals" in finding.sentence
    assert len(telemetry.store.read()) == DELIVERIES


def heard(lags: list[timedelta]) -> list[Finding]:
    """Findings after deliveries that were so late."""
    clocks = ArrivalClocks(STEP.total_seconds())
    for number, lag in enumerate(lags):
        now = NOW + number * STEP
        clocks.arrived(rows(now - lag), [], now)
    return clocks.findings()


def test_a_row_that_waited_once_and_rows_as_old_as_their_step_are_no_clock() -> None:
    assert heard([STEP] * 8) == []
    assert heard([STEP, STEP, timedelta(hours=1), STEP, STEP, STEP]) == []


def test_a_clock_that_was_set_right_is_told_no_more() -> None:
    assert heard([timedelta(hours=2)] * 6)
    assert heard([timedelta(hours=2)] * 6 + [STEP]) == []


def test_silence_is_not_taken_for_a_clock() -> None:
    clocks = ArrivalClocks(STEP.total_seconds())
    for number in range(9):
        clocks.arrived(rows(NOW), [], NOW + number * STEP)
    assert clocks.findings() == []
