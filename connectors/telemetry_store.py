"""Telemetry on disk: one Parquet file per month, sorted, so that equal data are equal bytes.

One process writes at a time (``flock``); a month is replaced by an atomic rename, so readers in other processes see the
old file or the new one, never half of one. An exact duplicate is dropped; a row with another value for the same point
and time is kept beside the first, and the grid then leaves that time out.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from twin.clock import require_aware
from twin.errors import BadInputError, OutsideWorldError
from twin.plan import PointId

SCHEMA = pa.schema(
    [
        pa.field("timestamp", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("point", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)
_ORDER = [("point", "ascending"), ("timestamp", "ascending"), ("value", "ascending")]
Filter = tuple[str, str, object]
_ROW_GROUP = 250_000
_STAGED_ROWS = 2_000_000
"""Rows that an import collects before it merges them, which bounds its memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What became of delivered rows."""

    rows: int = 0
    new: int = 0
    duplicates: int = 0
    """Rows that were already there with the same value."""
    conflicting: int = 0
    """New rows whose point and time were already there with another value."""
    late: int = 0
    """New rows older than the newest row of their point before this delivery."""

    def __add__(self, other: Appended) -> Appended:
        """Both deliveries together."""
        return Appended(
            rows=self.rows + other.rows,
            new=self.new + other.new,
            duplicates=self.duplicates + other.duplicates,
            conflicting=self.conflicting + other.conflicting,
            late=self.late + other.late,
        )


class ParquetTelemetryStore:
    """Long-form telemetry in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def append(self, rows: pd.DataFrame) -> int:
        """Adds rows idempotently; the number that were new.

        Raises:
            BadInputError: stamps without time zone, or values that are not finite.
        """
        return self.add(rows).new

    def add(self, rows: pd.DataFrame) -> Appended:
        """Adds rows idempotently and says what became of them.

        Raises:
            BadInputError: stamps without time zone, or values that are not finite.
        """
        table = _checked(rows)
        if not table.num_rows:
            return Appended()
        with self._writing():
            return self._merge(table)

    @contextmanager
    def collecting(self) -> Iterator[Collector]:
        """An import of many batches: holds the lock, merges every few million rows and at the end."""
        with self._writing():
            collector = Collector(self)
            yield collector
            collector.flush()

    def remove(self, points: Sequence[PointId], before: datetime) -> int:
        """Removes rows of some points that are older than a moment; how many."""
        removed = 0
        with self._writing():
            for path in self._months(None, before):
                table = _load(path, SCHEMA.names)
                old = pc.less(table.column("timestamp"), pa.scalar(before, type=SCHEMA.field("timestamp").type))
                mine = pc.is_in(table.column("point"), value_set=pa.array(list(points)))
                kept = table.filter(pc.invert(pc.and_(old, mine)))
                if kept.num_rows < table.num_rows:
                    removed += table.num_rows - kept.num_rows
                    _replace(path, kept)
        return removed

    def read(
        self, points: Sequence[PointId] | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> pd.DataFrame:
        """Rows ``timestamp`` (UTC), ``point`` (categorical), ``value`` of ``[since, until)``, by time and point."""
        tables = [_by_time(self._read_month(path, points, since, until)) for path in self._months(since, until)]
        table = pa.concat_tables(tables) if tables else SCHEMA.empty_table()
        place = table.schema.get_field_index("point")
        encoded = table.column("point").dictionary_encode().unify_dictionaries()
        frame: pd.DataFrame = table.set_column(place, "point", encoded).to_pandas()
        return frame

    def counts(self) -> dict[str, int]:
        """Rows per point."""
        total: dict[str, int] = {}
        for path in self._months(None, None):
            counted = pc.value_counts(_load(path, ["point"]).column("point"))
            for item in counted.to_pylist():
                total[item["values"]] = total.get(item["values"], 0) + item["counts"]
        return dict(sorted(total.items()))

    def period(self) -> tuple[datetime, datetime] | None:
        """First and last stamp; None when the store is empty."""
        paths = self._months(None, None)
        if not paths:
            return None
        return min(_stamps(paths[0])), max(_stamps(paths[-1]))

    def newest(self, points: Sequence[PointId]) -> datetime | None:
        """Time of the newest row of any of the points, None where there is none."""
        stamps = self._newest(points).values()
        return datetime.fromtimestamp(max(stamps) / 1e6, UTC) if stamps else None

    def _months(self, since: datetime | None, until: datetime | None) -> list[Path]:
        """Files of the months that touch a period, oldest first."""
        first = require_aware(since, "since").strftime("%Y-%m") if since is not None else "0000-00"
        last = require_aware(until, "until").strftime("%Y-%m") if until is not None else "9999-99"
        paths = self.folder.glob("????-??.parquet") if self.folder.is_dir() else iter(())
        return sorted(path for path in paths if first <= path.stem <= last)

    def _read_month(
        self, path: Path, points: Sequence[PointId] | None, since: datetime | None, until: datetime | None
    ) -> pa.Table:
        wanted: list[Filter] = []
        if points is not None:
            wanted.append(("point", "in", list(points)))
        if since is not None:
            wanted.append(("timestamp", ">=", pd.Timestamp(require_aware(since, "since"))))
        if until is not None:
            wanted.append(("timestamp", "<", pd.Timestamp(require_aware(until, "until"))))
        return _load(path, SCHEMA.names, wanted or None)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The only writer of this store; waits for another one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            for left in self.folder.glob("*.tmp"):
                left.unlink(missing_ok=True)
            yield

    def _merge(self, table: pa.Table) -> Appended:
        """Merges rows into the files of their months, one atomic replacement per month."""
        rows = table.num_rows
        table = _distinct(table)
        before = self._newest(pc.unique(table.column("point")).to_pylist())
        month = pc.strftime(table.column("timestamp"), format="%Y-%m")
        total = Appended(rows=rows, duplicates=rows - table.num_rows)
        for name in sorted(pc.unique(month).to_pylist()):
            part = table.filter(pc.equal(month, name))
            total += self._merge_month(self.folder / f"{name}.parquet", part, before)
        return total

    def _merge_month(self, path: Path, part: pa.Table, newest: dict[str, int]) -> Appended:
        old = _load(path, SCHEMA.names) if path.exists() else SCHEMA.empty_table()
        merged = _distinct(pa.concat_tables([old, part]))
        new = merged.num_rows - old.num_rows
        if new:
            _replace(path, merged)
        return Appended(
            new=new,
            duplicates=part.num_rows - new,
            conflicting=_conflicts(merged) - _conflicts(old),
            late=_older(merged, newest) - _older(old, newest),
        )

    def _newest(self, points: Sequence[str]) -> dict[str, int]:
        """Newest stamp of each point in µs."""
        newest: dict[str, int] = {}
        left = set(points)
        for path in reversed(self._months(None, None)):
            if not left:
                break
            table = _load(path, ["timestamp", "point"], [("point", "in", sorted(left))])
            latest = table.group_by("point").aggregate([("timestamp", "max")])
            stamps = latest.column("timestamp_max").cast(pa.int64()).to_pylist()
            newest.update(zip(latest.column("point").to_pylist(), stamps, strict=True))
            left -= newest.keys()
        return newest


class Collector:
    """Batches of an import on their way into the store."""

    def __init__(self, store: ParquetTelemetryStore) -> None:
        self._store = store
        self._waiting: list[pa.Table] = []
        self.total = Appended()

    def add(self, rows: pd.DataFrame) -> None:
        """Takes a batch; merges when enough have come together."""
        self._waiting.append(_checked(rows))
        if sum(table.num_rows for table in self._waiting) >= _STAGED_ROWS:
            self.flush()

    def flush(self) -> None:
        """Merges what waits."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self.total += self._store._merge(pa.concat_tables(waiting))


def _checked(rows: pd.DataFrame) -> pa.Table:
    """The rows as a table of the store's schema."""
    stamps = pd.DatetimeIndex(rows["timestamp"])
    if stamps.tz is None:
        message = "telemetry rows: timestamps have no time zone; convert them to UTC before they are stored"
        raise BadInputError(message)
    values = rows["value"].to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        at = int(np.flatnonzero(~np.isfinite(values))[0])
        message = f"telemetry rows: value {values[at]} of {rows['point'].iloc[at]} is not finite; leave such rows out"
        raise BadInputError(message)
    micros = pa.array(stamps.tz_convert("UTC").as_unit("us").asi8, type=pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    points = pa.array(rows["point"].astype("category")).cast(pa.string())
    return pa.table([micros, points, pa.array(values)], schema=SCHEMA)


def _distinct(table: pa.Table) -> pa.Table:
    """Sorted rows without exact duplicates."""
    table = table.sort_by(_ORDER).combine_chunks()
    if table.num_rows < 2:
        return table
    same = pa.array(np.zeros(table.num_rows - 1, dtype=np.bool_))
    for i, name in enumerate(SCHEMA.names):
        column = table.column(name)
        equal = pc.equal(column.slice(1), column.slice(0, table.num_rows - 1)).combine_chunks()
        same = equal if i == 0 else pc.and_(same, equal)
    fresh = pa.concat_arrays([pa.array([True]), pc.invert(same)])
    return table.filter(fresh)


def _conflicts(table: pa.Table) -> int:
    """Rows that share point and time with the row before, in a sorted table without exact duplicates."""
    if table.num_rows < 2:
        return 0
    rows = table.num_rows
    one, other = (
        pc.equal(table.column(n).slice(1), table.column(n).slice(0, rows - 1)) for n in ("point", "timestamp")
    )
    return int(pc.sum(pc.and_(one, other)).as_py() or 0)


def _older(table: pa.Table, newest: dict[str, int]) -> int:
    """Rows that are older than the stamp in µs that is given for their point."""
    if not table.num_rows:
        return 0
    names = table.column("point").dictionary_encode().combine_chunks()
    limits = np.array([newest.get(name, np.iinfo(np.int64).min) for name in names.dictionary.to_pylist()])
    times = table.column("timestamp").cast(pa.int64()).to_numpy()
    return int(np.count_nonzero(times < limits[names.indices.to_numpy()]))


def _by_time(table: pa.Table) -> pa.Table:
    """Rows of one month, which stand by point, time and value, by time and point."""
    times = table.column("timestamp").cast(pa.int64()).to_numpy()
    return table.take(np.argsort(times, kind="stable"))


def _load(path: Path, columns: Sequence[str], filters: list[Filter] | None = None) -> pa.Table:
    """Columns of a file of the store, without threads.

    Raises:
        OutsideWorldError: the file cannot be read.
    """
    try:
        with path.open("rb") as handle:  # opened once: a writer may rename another file into place meanwhile
            table = pq.read_table(handle, columns=list(columns), filters=filters, use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise unreadable(path, error) from None
    return table.cast(pa.schema([SCHEMA.field(name) for name in columns]))


def _stamps(path: Path) -> list[datetime]:
    """First and last stamp of every piece of a file, from its footer.

    Raises:
        OutsideWorldError: the file cannot be read.
    """
    try:
        footer = pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise unreadable(path, error) from None
    pieces = [footer.row_group(i).column(SCHEMA.get_field_index("timestamp")) for i in range(footer.num_row_groups)]
    return [stamp for piece in pieces for stamp in (piece.statistics.min, piece.statistics.max)]


def unreadable(path: Path, error: Exception) -> OutsideWorldError:
    """What to say of a file that cannot be read."""
    message = f"{path}: the telemetry file cannot be read ({error}); move it away and ingest that month again"
    return OutsideWorldError(message)


def _replace(path: Path, table: pa.Table) -> None:
    """Writes a file beside the old one, forces it to disk and renames it into place.

    Raises:
        OutsideWorldError: the disk refuses.
    """
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as handle:
            pq.write_table(table, handle, compression="zstd", row_group_size=_ROW_GROUP, write_statistics=True)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        free = shutil.disk_usage(path.parent).free
        message = f"{path}: cannot be written ({error.strerror or error}; {free} bytes free); free space and try again"
        raise OutsideWorldError(message) from None
