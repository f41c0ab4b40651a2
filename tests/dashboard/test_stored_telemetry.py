"""Stored telemetry as the pages see it: values in force, windows, health; nothing where nothing was measured."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from example_office import END, example_frame, example_site

from connectors.change_control import ManualClock
from connectors.ingest import Telemetry
from twin.cli.dashboard.telemetry import StoredTelemetry
from twin.errors import BadInputError
from twin.vocab import PointKind

AIR = "core 0/zone_air_temperature"


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return example_frame(example_site())


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame) -> StoredTelemetry:
    folder: Path = tmp_path_factory.mktemp("telemetry")
    telemetry = Telemetry(folder)
    rows = frame.rename_axis("timestamp").reset_index().melt("timestamp", var_name="point", value_name="value")
    telemetry.store.append(rows)
    return StoredTelemetry(example_site(), telemetry, ManualClock(END))


def test_a_snapshot_is_the_last_value_at_or_before_the_moment(stored: StoredTelemetry, frame: pd.DataFrame) -> None:
    at = END - timedelta(hours=30, minutes=7)
    row = frame.loc[:at].iloc[-1]
    sample = stored.snapshot(PointKind.ZONE_AIR_TEMPERATURE, at)["core 0"]
    assert sample.value == pytest.approx(row[AIR], rel=1e-6)
    assert sample.at == row.name


def test_a_value_older_than_two_hours_is_not_shown(stored: StoredTelemetry) -> None:
    assert stored.snapshot(PointKind.ZONE_AIR_TEMPERATURE, END + timedelta(hours=3)) == {}


def test_a_kind_that_nobody_measures_is_empty(stored: StoredTelemetry) -> None:
    assert stored.snapshot(PointKind.ZONE_LIGHTING_POWER, END) == {}


def test_a_window_gives_the_stored_rows(stored: StoredTelemetry, frame: pd.DataFrame) -> None:
    since, until = END - timedelta(hours=6), END - timedelta(hours=2)
    window = stored.series([AIR, "no such point"], since, until)
    np.testing.assert_allclose(window[AIR], frame.loc[since : until - timedelta(seconds=1), AIR], rtol=1e-6)
    assert list(window.columns) == [AIR]


def test_health_says_age_and_coverage(stored: StoredTelemetry) -> None:
    one = next(health for health in stored.health() if health.point == AIR)
    assert one.age_s == 900.0
    assert one.coverage == pytest.approx(1.0, abs=0.01)
    assert one.longest_gap_s == 0.0


def test_rows_of_the_future_are_refused(stored: StoredTelemetry) -> None:
    rows = pd.DataFrame({"timestamp": [pd.Timestamp(END) + pd.Timedelta(days=2)], "point": [AIR], "value": [20.0]})
    with pytest.raises(BadInputError, match="future"):
        stored.append(rows)
