"""Some points of a stored month as one array, read piece by piece so that memory holds little more than the array."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from connectors.telemetry_store import unreadable
from twin.plan import PointId


@dataclass(frozen=True, slots=True)
class Block:
    """Points over a time, with a row per stamp that any of them has."""

    times: NDArray[np.int64]
    """Microseconds since 1970, sorted, shape (rows,)."""
    place: Mapping[PointId, int]
    """Point → its column."""
    values: NDArray[np.float32]
    """Shape (rows, points); NaN where nothing, or two different values, were delivered."""

    @property
    def size(self) -> int:
        """Bytes held."""
        return int(self.values.nbytes + self.times.nbytes)


def read_block(path: Path, points: Sequence[PointId], since: datetime | None = None) -> Block:
    """The rows of some points from a file of the store.

    Args:
        path: the file.
        points: the columns, in this order.
        since: rows before are left out; None: none are.

    Raises:
        OutsideWorldError: the file cannot be read.
    """
    place = {point: i for i, point in enumerate(points)}
    oldest = None if since is None else int(since.timestamp() * 1e6)
    try:
        with path.open("rb") as handle:  # opened once: a writer may rename another file into place meanwhile
            file = pq.ParquetFile(handle, read_dictionary=["point"])
            pieces = _touched(file, sorted(place))
            times = _times(_rows(file, pieces, place, oldest))
            values = _filled(_rows(file, pieces, place, oldest, with_values=True), times, len(points))
    except (pa.ArrowInvalid, OSError) as error:
        raise unreadable(path, error) from None
    pa.default_memory_pool().release_unused()
    return Block(times=times, place=place, values=values)


def joined(blocks: Sequence[Block]) -> Block:
    """Blocks of the same points over consecutive times as one.

    Args:
        blocks: at least one.
    """
    return Block(
        times=np.concatenate([block.times for block in blocks]),
        place=blocks[0].place,
        values=np.concatenate([block.values for block in blocks]),
    )


def _touched(file: pq.ParquetFile, wanted: Sequence[PointId]) -> list[int]:
    """Row groups that can hold a wanted point, by the least and greatest name in each."""
    column = file.schema_arrow.get_field_index("point")
    touched = []
    for i in range(file.num_row_groups):
        known = file.metadata.row_group(i).column(column).statistics
        if known is None or not known.has_min_max:
            touched.append(i)
            continue
        first = bisect_left(wanted, known.min)
        if first < len(wanted) and wanted[first] <= known.max:
            touched.append(i)
    return touched


Rows = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


def _rows(
    file: pq.ParquetFile,
    pieces: Sequence[int],
    place: Mapping[PointId, int],
    oldest: int | None,
    *,
    with_values: bool = False,
) -> Iterator[Rows]:
    """Stamps [µs], columns and values (empty unless asked for) of the wanted rows, a row group at a time."""
    names = ["timestamp", "point"] + (["value"] if with_values else [])
    for piece in pieces:
        table = file.read_row_group(piece, columns=names, use_threads=False)
        for batch in table.to_batches():
            points = batch.column("point")
            column_of = np.array([place.get(name, -1) for name in points.dictionary.to_pylist()], dtype=np.int64)
            columns = column_of[points.indices.to_numpy()] if len(column_of) else np.empty(0, dtype=np.int64)
            times = batch.column("timestamp").cast(pa.int64()).to_numpy()
            own = columns >= 0 if oldest is None else (columns >= 0) & (times >= oldest)
            values = batch.column("value").to_numpy() if with_values else np.empty(0)
            yield times[own], columns[own], values[own].astype(np.float32) if with_values else values.astype(np.float32)


def _times(rows: Iterator[Rows]) -> NDArray[np.int64]:
    """All stamps, sorted."""
    import pandas as pd

    known = np.empty(0, dtype=np.int64)
    for times, _, _ in rows:
        known = np.union1d(known, pd.unique(times))  # pandas' is by hash, numpy's by sorting
    return known


def _filled(rows: Iterator[Rows], times: NDArray[np.int64], points: int) -> NDArray[np.float32]:
    values = np.full((len(times), points), np.nan, dtype=np.float32)
    doubted: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for stamps, columns, given in rows:
        at = np.searchsorted(times, stamps)
        before = values[at, columns]
        values[at, columns] = given
        clash = (values[at, columns] != given) | (~np.isnan(before) & (before != given))
        if clash.any():
            doubted.append((at[clash], columns[clash]))
    for at, columns in doubted:
        values[at, columns] = np.nan
    return values
