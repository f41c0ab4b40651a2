"""Stored months as arrays: what the store says row by row, the array says cell by cell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from connectors import telemetry_store
from connectors.telemetry_block import joined, read_block
from connectors.telemetry_store import ParquetTelemetryStore
from twin.errors import OutsideWorldError

START = datetime(2023, 3, 1, tzinfo=UTC)
POINTS = ("air/a", "air/b", "co2/a", "power/site")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ParquetTelemetryStore:
    """Two days of four points at different steps, in row groups of 50 rows."""
    monkeypatch.setattr(telemetry_store, "_ROW_GROUP", 50)
    store = ParquetTelemetryStore(tmp_path)
    rng = np.random.default_rng(3)
    for i, point in enumerate(POINTS):
        stamps = pd.date_range(START, periods=2 * 96 // (i + 1), freq=f"{15 * (i + 1)}min", unit="us")
        store.append(pd.DataFrame({"timestamp": stamps, "point": point, "value": rng.normal(20.0, 3.0, len(stamps))}))
    return store


def path_of(store: ParquetTelemetryStore) -> Path:
    return store.folder / "2023-03.parquet"


def wide(store: ParquetTelemetryStore, points: tuple[str, ...], since: datetime | None = None) -> pd.DataFrame:
    rows = store.read(points, since)
    return rows.pivot_table(index="timestamp", columns="point", values="value", observed=True)[list(points)]


@pytest.mark.parametrize("points", [POINTS, ("co2/a",), ("power/site", "air/b")])
@pytest.mark.parametrize("since", [None, START + timedelta(hours=31)])
def test_an_array_holds_what_the_store_holds(
    store: ParquetTelemetryStore, points: tuple[str, ...], since: datetime | None
) -> None:
    assert pq.read_metadata(path_of(store)).num_row_groups > 4
    block = read_block(path_of(store), points, since)
    expected = wide(store, points, since)
    assert list(block.times) == list(expected.index.as_unit("us").asi8)
    assert list(block.place) == list(points)
    np.testing.assert_array_equal(block.values, expected.to_numpy(dtype=np.float32))


def test_two_values_for_one_moment_are_none_even_if_they_stand_in_different_pieces(
    store: ParquetTelemetryStore,
) -> None:
    twice = START + timedelta(minutes=15 * 49)
    for value in (1.0, 2.0, 3.0):
        store.append(pd.DataFrame({"timestamp": [pd.Timestamp(twice)], "point": ["air/a"], "value": [value]}))
    block = read_block(path_of(store), ("air/a", "air/b"))
    row = int(np.searchsorted(block.times, int(twice.timestamp() * 1e6)))
    assert np.isnan(block.values[row, 0])
    assert np.count_nonzero(np.isnan(block.values[:, 0])) == 1


def test_a_point_that_nobody_delivered_is_an_empty_column(store: ParquetTelemetryStore) -> None:
    block = read_block(path_of(store), ("air/a", "air/none"))
    assert np.isnan(block.values[:, 1]).all()
    nobody = read_block(path_of(store), ("zone/none",))
    assert nobody.values.shape == (0, 1)


def test_months_are_joined_in_their_order(store: ParquetTelemetryStore) -> None:
    later = pd.DataFrame({"timestamp": [pd.Timestamp("2023-04-01", tz="UTC")], "point": ["air/b"], "value": [7.0]})
    store.append(later)
    both = joined([read_block(path, ("air/a", "air/b")) for path in sorted(store.folder.glob("*.parquet"))])
    assert both.values.shape == (2 * 96 + 1, 2)
    assert both.values[-1, 1] == 7.0
    assert (np.diff(both.times) > 0).all()


def test_the_period_comes_from_the_footers(store: ParquetTelemetryStore) -> None:
    assert store.period() == (START, START + timedelta(minutes=15 * (2 * 96 - 1)))


def test_a_damaged_file_is_named(store: ParquetTelemetryStore) -> None:
    path_of(store).write_bytes(b"PAR1 nothing of the kind")
    with pytest.raises(OutsideWorldError, match=r"2023-03\.parquet: the telemetry file cannot be read"):
        read_block(path_of(store), POINTS)
    with pytest.raises(OutsideWorldError, match="cannot be read"):
        store.period()
