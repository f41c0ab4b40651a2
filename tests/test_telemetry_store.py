"""The telemetry store: idempotent, canonical, readable while it is written."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.telemetry_store import Appended, ParquetTelemetryStore
from twin.errors import BadInputError, OutsideWorldError

START = datetime(2023, 1, 30, tzinfo=UTC)
ROOT = Path(__file__).parents[1]


def series(point: str = "a", count: int = 400, start: datetime = START, offset: float = 0.0) -> pd.DataFrame:
    """Quarter-hourly rows over the end of a month."""
    stamps = pd.date_range(start, periods=count, freq="15min")
    return pd.DataFrame({"timestamp": stamps, "point": point, "value": np.arange(count) + offset})


def fingerprint(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.parquet"))}


def test_what_was_appended_is_read_back_sorted_by_time_and_point(tmp_path: Path) -> None:
    store = ParquetTelemetryStore(tmp_path)
    assert store.append(pd.concat([series("b"), series("a")])) == 800
    back = store.read()
    assert back["point"].astype(str).tolist()[:4] == ["a", "b", "a", "b"]
    assert back["timestamp"].is_monotonic_increasing
    assert str(back["timestamp"].dt.tz) == "UTC"


def test_points_and_period_select_rows(tmp_path: Path) -> None:
    store = ParquetTelemetryStore(tmp_path)
    store.append(pd.concat([series("b"), series("a")]))
    back = store.read(["b"], START + timedelta(days=1), START + timedelta(days=2))
    assert len(back) == 96
    assert back["value"].tolist() == list(range(96, 192))


def test_an_empty_store_reads_as_no_rows(tmp_path: Path) -> None:
    store = ParquetTelemetryStore(tmp_path / "none")
    assert len(store.read()) == 0
    assert store.period() is None
    assert store.counts() == {}


def test_the_same_rows_twice_change_nothing_and_are_counted(tmp_path: Path) -> None:
    store = ParquetTelemetryStore(tmp_path)
    store.append(series())
    before = fingerprint(tmp_path)
    assert store.add(series()) == Appended(rows=400, new=0, duplicates=400)
    assert fingerprint(tmp_path) == before


def test_a_conflicting_duplicate_is_kept_beside_the_first_and_counted(tmp_path: Path) -> None:
    store = ParquetTelemetryStore(tmp_path)
    store.append(series())
    told = store.add(series(count=3, offset=0.5))
    assert (told.new, told.conflicting) == (3, 3)
    assert store.read()["value"].tolist()[:4] == [0.0, 0.5, 1.0, 1.5]
    assert store.add(series(count=3, offset=0.5)) == Appended(rows=3, duplicates=3)


def test_late_rows_are_counted(tmp_path: Path) -> None:
    store = ParquetTelemetryStore(tmp_path)
    store.append(series().iloc[8:])
    assert store.add(series()).late == 8


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(12)), cuts=st.sets(st.integers(1, 11), max_size=4), again=st.integers(0, 11))
def test_any_order_of_delivery_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], cuts: set[int], again: int
) -> None:
    rows = pd.concat([series("a"), series("b"), series("a", 5, offset=0.25)], ignore_index=True)
    parts = [rows.iloc[i::12] for i in range(12)]
    whole, pieces = (tmp_path_factory.mktemp(name) for name in ("whole", "pieces"))
    ParquetTelemetryStore(whole).append(rows)
    store = ParquetTelemetryStore(pieces)
    bounds = [0, *sorted(cuts), 12]
    for first, last in pairwise(bounds):
        store.append(pd.concat([parts[i] for i in order[first:last]]))
    store.append(parts[again])
    assert fingerprint(pieces) == fingerprint(whole)


def test_batches_of_an_import_give_the_same_bytes_as_one_append(tmp_path: Path) -> None:
    one, many = ParquetTelemetryStore(tmp_path / "one"), ParquetTelemetryStore(tmp_path / "many")
    one.append(series())
    with many.collecting() as collector:
        for first in range(0, 400, 64):
            collector.add(series().iloc[first : first + 64])
    assert collector.total == Appended(rows=400, new=400)
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "many")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_not_finite_never_reach_the_store(tmp_path: Path, bad: float) -> None:
    rows = series(count=3)
    rows.loc[1, "value"] = bad
    with pytest.raises(BadInputError, match="not finite"):
        ParquetTelemetryStore(tmp_path).append(rows)


def test_naive_stamps_never_reach_the_store(tmp_path: Path) -> None:
    rows = series(count=3)
    rows["timestamp"] = rows["timestamp"].dt.tz_localize(None)
    with pytest.raises(BadInputError, match="no time zone"):
        ParquetTelemetryStore(tmp_path).append(rows)


def test_a_truncated_file_of_the_store_is_named_and_not_taken_for_empty(tmp_path: Path) -> None:
    store = ParquetTelemetryStore(tmp_path)
    store.append(series())
    month = tmp_path / "2023-01.parquet"
    month.write_bytes(month.read_bytes()[:200])
    with pytest.raises(OutsideWorldError, match=r"2023-01.parquet.*ingest that month again"):
        store.read()


def _write_batches(folder: Path) -> None:
    store = ParquetTelemetryStore(folder)
    for i in range(30):
        store.append(series(f"p{i}", 96))


def test_two_readers_see_whole_states_while_one_writes(tmp_path: Path) -> None:
    """Every reading holds complete batches of 96 rows: never a half-written file, never an error."""
    writer = multiprocessing.get_context("spawn").Process(target=_write_batches, args=(tmp_path,))
    writer.start()
    store, seen = ParquetTelemetryStore(tmp_path), []
    while writer.is_alive():
        seen.append(len(store.read()))
    writer.join()
    seen.append(len(store.read()))
    assert writer.exitcode == 0
    assert all(count % 96 == 0 for count in seen)
    assert seen == sorted(seen)
    assert seen[-1] == 30 * 96


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_batches, args=(tmp_path,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert ParquetTelemetryStore(tmp_path).counts() == {f"p{i}": 96 for i in range(30)}


LOOP = """
import sys
from pathlib import Path
import numpy as np, pandas as pd
from connectors.telemetry_store import ParquetTelemetryStore
store = ParquetTelemetryStore(Path(sys.argv[1]))
stamps = pd.date_range("2023-01-01", periods=2000, freq="15min", tz="UTC")
for i in range(10_000):
    store.append(pd.DataFrame({"timestamp": stamps, "point": f"p{i}", "value": np.arange(2000.0)}))
    print(i, flush=True)
"""


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_writer_leaves_the_store_usable(tmp_path: Path, sign: signal.Signals) -> None:
    command = [sys.executable, "-c", LOOP, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        for _ in range(4):
            done = int(process.stdout.readline())
        time.sleep(0.013)
        process.send_signal(sign)
        process.wait(timeout=60)
    store = ParquetTelemetryStore(tmp_path)
    counts = store.counts()
    assert len(counts) > done
    assert set(counts.values()) == {2000}
    assert store.append(series("after")) == 400
    assert not list(tmp_path.glob("*.tmp"))
