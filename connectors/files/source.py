"""A source of telemetry that is made of files."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from connectors.files.cells import Cells, in_product_unit, numbers
from connectors.files.delivery import Delivery
from connectors.files.people import require_counts_only, require_no_address
from connectors.files.stamps import NO_TIME, Parsed, StampReader
from connectors.files.tables import Progress, RawTable, columns_of, tables
from connectors.settings.mapping import MappedColumn, SourceMapping
from twin.clock import require_aware
from twin.errors import BadInputError
from twin.telemetry.grid import COLUMNS
from twin.text.readers import shown

Array = NDArray[np.float64]
Micros = NDArray[np.int64]
_NO_ROWS = np.empty(0, dtype=np.int64)


class FileSource:
    """Files of one source of the site file, read in pieces."""

    def __init__(self, mapping: SourceMapping, folder: Path) -> None:
        self.name = mapping.name
        self.mapping = mapping
        self.folder = folder
        self.delivery = Delivery(source=mapping.name)
        self._seen: dict[object, int] = {}

    def files(self) -> list[Path]:
        """The files, sorted by name.

        Raises:
            BadInputError: a pattern finds none.
        """
        found: list[Path] = []
        for pattern in self.mapping.block.files:
            matches = sorted(Path(name) for name in glob.glob(str(self.folder / pattern), recursive=True))  # noqa: PTH207 - absolute patterns too
            if not matches:
                message = (
                    f"source {self.name}: no file matches {pattern!r} below {self.folder.resolve()}; correct 'files'"
                )
                raise BadInputError(message)
            found.extend(path for path in matches if path not in found)
        return found

    def obstacle(self) -> str:
        """Why the files cannot be read as the site file says, judged by their headers; empty when they can."""
        try:
            for path in self.files():
                _absent(path, self.mapping)
        except BadInputError as error:
            return str(error)
        return ""

    def fetch(self, since: datetime | None, until: datetime | None) -> pd.DataFrame:
        """All rows of ``[since, until)`` at once; see ``batches`` for large files."""
        frames = list(self.batches(since, until))
        if not frames:
            return pd.DataFrame({name: [] for name in COLUMNS}).astype({"timestamp": "datetime64[us, UTC]"})
        return pd.concat(frames, ignore_index=True)

    def batches(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        files: Sequence[Path] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[pd.DataFrame]:
        """Rows ``timestamp`` (UTC), ``point``, ``value`` in the product's units, a few million cells at a time.

        Args:
            since: leaves out earlier rows.
            until: leaves out this moment and later.
            files: these instead of the site file's.
            progress: gets the share of all files that has been read.

        Raises:
            BadInputError: a file is missing, empty, damaged, hostile, lacks a column, or has naive stamps without zone.
        """
        paths = list(files) if files is not None else self.files()
        bounds = _micros(since, "since"), _micros(until, "until")
        lacking = [_absent(path, self.mapping) for path in paths]
        self.delivery.absent |= set.intersection(*lacking) if lacking else set()
        for i, path in enumerate(paths):
            tell = _share(progress, i, len(paths))
            yield from self._batches_of(path, bounds, tell)

    def _batches_of(
        self, path: Path, bounds: tuple[int | None, int | None], progress: Progress
    ) -> Iterator[pd.DataFrame]:
        block = self.mapping.block
        stamps = StampReader(block.timestamp, str(path), int(self.mapping.step_s * 1e6))
        present = set(columns_of(path, block))
        require_counts_only(path, sorted(present), self.mapping)
        columns = [column for column in self.mapping.columns if block.layout == "long" or column.column in present]
        for raw in tables(path, block, _wanted(self.mapping, columns), self.delivery.bad, progress):
            self.delivery.rows += raw.table.num_rows
            keys = _keys(raw.table, self.mapping)
            require_no_address(path, set(keys) if keys is not None else (), self.mapping)
            parsed = stamps.read(raw.table.column(block.timestamp.column).to_pandas(), keys, raw.first_row)
            self._note_times(parsed, keys, raw)
            yield _frame(list(self._rows(path, raw, columns, parsed, keys)), bounds)

    def _note_times(self, parsed: Parsed, keys: NDArray[np.object_] | None, raw: RawTable) -> None:
        rows = np.flatnonzero(parsed.bad)
        name = self.mapping.block.timestamp.column
        cells = raw.table.column(name).take(pa.array(rows[:10])).to_pylist()
        reasons = [
            f"row {raw.first_row + row}, column {name!r}: {shown(cell)} is no time"
            for row, cell in zip(rows, cells, strict=False)
        ]
        if len(rows) == len(parsed.utc) and len(rows):
            message = f"source {self.name}: {reasons[0]}; no row can be read, declare timestamp: {{format: ...}}"
            raise BadInputError(message)
        self.delivery.bad.add(len(rows), reasons)
        self.delivery.skipped += int(parsed.skipped.sum())
        self.delivery.repeated += int(parsed.repeated.sum())
        codes, names = (np.zeros(len(parsed.utc), dtype=np.int64), [None]) if keys is None else pd.factorize(keys)
        for code, key in enumerate(names):
            times = parsed.utc[(codes == code) & (parsed.utc != NO_TIME)]
            if len(times):
                line = np.concatenate(([self._seen.get(key, times[0])], times))
                self.delivery.out_of_order += int((np.diff(line) < 0).sum())
                self._seen[key] = int(line.max())

    def _rows(
        self,
        path: Path,
        raw: RawTable,
        columns: Sequence[MappedColumn],
        parsed: Parsed,
        keys: NDArray[np.object_] | None,
    ) -> Iterator[tuple[str, Micros, Array]]:
        """Point, stamps and values of every series in a batch."""
        block, timed = self.mapping.block, parsed.utc != NO_TIME
        codes, names = pd.factorize(keys) if keys is not None else (np.zeros(len(timed), dtype=np.int64), [""])
        where = {str(name): np.flatnonzero((codes == code) & timed) for code, name in enumerate(names)}
        self._note_unknown(where, columns)
        read: dict[str, Array] = {}
        for column in columns:
            name = block.value_column if self._long() else column.column
            if name not in read:
                cells = Cells(name=name, words=column.unit == "bool", file=str(path), first_row=raw.first_row)
                read[name] = numbers(raw.table.column(name), cells, block, self.delivery.bad)
            for key, point in self._points(column).items():
                rows = where.get(key, _NO_ROWS)
                if len(rows):
                    yield point, *self._converted(point, column, parsed.utc[rows], read[name][rows])

    def _points(self, column: MappedColumn) -> Mapping[str, str]:
        """Key → point; in a long file the key is the name of the point there."""
        return {column.column: next(iter(column.points.values()))} if self._long() else column.points

    def _note_unknown(self, where: dict[str, NDArray[np.int64]], columns: Sequence[MappedColumn]) -> None:
        known = {key for column in columns for key in self._points(column)}
        for key in where.keys() - known:
            self.delivery.unknown_keys[key] = self.delivery.unknown_keys.get(key, 0) + len(where[key])

    def _long(self) -> bool:
        return self.mapping.block.layout == "long"

    def _converted(self, point: str, column: MappedColumn, utc: Micros, values: Array) -> tuple[Micros, Array]:
        if column.reading == "counter":
            return self.delivery.counters.power(point, column, utc, values)
        known = ~np.isnan(values)
        utc, values = utc[known], in_product_unit(values[known], column, self.mapping.step_s)
        finite = np.isfinite(values)
        if not finite.all():
            self.delivery.not_finite[point] = self.delivery.not_finite.get(point, 0) + int((~finite).sum())
        return utc[finite], values[finite]


def _micros(moment: datetime | None, what: str) -> int | None:
    if moment is None:
        return None
    return round((require_aware(moment, what) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6)


def _share(progress: Progress | None, done: int, total: int) -> Progress:
    def tell(share: float) -> None:
        if progress is not None:
            progress((done + share) / total)

    return tell


def _absent(path: Path, mapping: SourceMapping) -> set[str]:
    """Pattern columns that a file lacks.

    Raises:
        BadInputError: it lacks a column that is named outright, or holds one that nobody names where that is forbidden.
    """
    block = mapping.block
    present = columns_of(path, block)
    needed = [block.timestamp.column]
    needed += [block.key.column] if block.key is not None else []
    needed += [block.point_column, block.value_column] if block.layout == "long" else []
    named = [] if block.layout == "long" else [column.column for column in mapping.columns if not column.from_pattern]
    missing = [name for name in dict.fromkeys([*needed, *named]) if name not in present]
    if missing:
        hint = _delimiter_hint(present, block.delimiter)
        message = f"{path}: column {missing[0]!r} is missing; the file has {_some(present)}{hint}"
        raise BadInputError(message)
    patterned = (
        {column.column for column in mapping.columns if column.from_pattern} if block.layout == "wide" else set()
    )
    if patterned and not patterned & set(present) and not named:
        message = f"{path}: none of the columns {_some(sorted(patterned), 4)} is there; it has {_some(present)}"
        raise BadInputError(message)
    extra = set(present) - patterned - {*needed, *named}
    if extra and not block.ignore_other_columns:
        message = f"{path}: column {sorted(extra)[0]!r} is not mapped; map it, or drop 'ignore_other_columns: false'"
        raise BadInputError(message)
    expected = {column.column for column in mapping.columns if column.expected}
    return (patterned & expected) - set(present)


def _some(names: Sequence[str], most: int = 12) -> str:
    """The first names, and how many more there are."""
    more = f", … and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def _delimiter_hint(present: Sequence[str], delimiter: str) -> str:
    if len(present) > 1:
        return ""
    for other in (";", ",", "\t", "|"):
        if other != delimiter and present and present[0].count(other) > 1:
            decimal = "; with a decimal comma also 'decimal: \",\"'" if other == ";" else ""
            return f". It looks separated by {other!r}: declare 'delimiter: \"{other}\"' for this source{decimal}"
    return ""


def _wanted(mapping: SourceMapping, columns: Sequence[MappedColumn]) -> list[str]:
    block = mapping.block
    names = [block.timestamp.column]
    if block.layout == "long":
        return [*names, block.point_column, block.value_column]
    names += [block.key.column] if block.key is not None else []
    return list(dict.fromkeys([*names, *(column.column for column in columns)]))


def _keys(table: pa.Table, mapping: SourceMapping) -> NDArray[np.object_] | None:
    """What each row is about, where series stand below each other."""
    block = mapping.block
    if block.layout == "long":
        return np.asarray(table.column(block.point_column).cast(pa.string()).to_pandas(), dtype=np.object_)
    if block.key is None:
        return None
    return np.asarray(table.column(block.key.column).cast(pa.string()).to_pandas(), dtype=np.object_)


def _frame(parts: Sequence[tuple[str, Micros, Array]], bounds: tuple[int | None, int | None]) -> pd.DataFrame:
    """Series as one long frame within the bounds."""
    since, until = bounds
    micros = np.concatenate([part[1] for part in parts]) if parts else np.empty(0, dtype=np.int64)
    values = np.concatenate([part[2] for part in parts]) if parts else np.empty(0)
    names = sorted({part[0] for part in parts})
    place = {name: i for i, name in enumerate(names)}
    codes = np.repeat([place[part[0]] for part in parts], [len(part[1]) for part in parts]).astype(np.int64)
    kept = np.ones(len(micros), dtype=np.bool_)
    if since is not None:
        kept &= micros >= since
    if until is not None:
        kept &= micros < until
    return pd.DataFrame(
        {
            "timestamp": pd.DatetimeIndex(micros[kept].astype("datetime64[us]"), tz="UTC"),
            "point": pd.Categorical.from_codes(codes[kept], categories=pd.Index(names)),
            "value": values[kept],
        }
    )
