"""Readers of published traces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.traces import read_bitbrains, read_planetlab
from twin.errors import BadInputError


def planetlab_file(folder: Path, top: int = 50) -> Path:
    columns: dict[str, list[object]] = {"vm": ["a", "b"]}
    columns |= {f"s{i:03d}": [i, top] for i in range(4)}
    pq.write_table(pa.table(columns), folder / "day.parquet")
    return folder / "day.parquet"


def test_a_planetlab_day_keeps_the_order_of_its_rows_and_samples(tmp_path: Path) -> None:
    day = read_planetlab(planetlab_file(tmp_path))
    assert day.vms == ("a", "b")
    np.testing.assert_array_equal(day.percent, [[0, 1, 2, 3], [50, 50, 50, 50]])


def test_percent_above_a_hundred_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"0\.\.100"):
        read_planetlab(planetlab_file(tmp_path, top=120))


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = planetlab_file(tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadInputError, match="not a readable Parquet file"):
        read_planetlab(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such file"):
        read_planetlab(tmp_path / "none.parquet")


def test_bitbrains_gaps_become_nan_and_stopped_vms_ask_for_nothing(tmp_path: Path) -> None:
    names = {"vm": [1, 1, 2, 2], "step": [0, 1, 0, 1], "cpu_mhz": [100, -1, 5, 5], "cpu_cap_mhz": [400, -1, 0, 0]}
    names |= {"mem_mb": [1, -1, 1, 1], "mem_cap_mb": [8, -1, 8, 8], "cores": [1, -1, 1, 1]}
    pq.write_table(pa.table(names), tmp_path / "month.parquet")
    month = read_bitbrains(tmp_path / "month.parquet")
    np.testing.assert_array_equal(month.utilization, [[0.25, 0.0], [np.nan, 0.0]])


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="'cores' is missing"):
        read_bitbrains(planetlab_file(tmp_path))
