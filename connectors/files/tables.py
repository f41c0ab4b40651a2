"""CSV and Parquet files as a stream of small tables with the columns that are wanted, in bounded memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from connectors.files.limits import (
    BLOCK_BYTES,
    LISTED_ROWS,
    MAX_COLUMNS,
    MAX_ROW_GROUP_BYTES,
    MAX_ROWS,
    GuardedStream,
    head_of,
    require_file,
)
from connectors.settings.sources import SourceBlock
from twin.errors import BadInputError

Progress = Callable[[float], None]
"""Takes the share of the file that has been read."""
_PARQUET_ROWS = 65_536


@dataclass(slots=True)
class BadRows:
    """Rows that could not be read: how many, and the first few with their reason."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, count: int, reasons: Sequence[str]) -> None:
        """Notes some."""
        self.count += count
        self.first.extend(reasons[: LISTED_ROWS - len(self.first)])


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """Some rows of a file."""

    table: pa.Table
    first_row: int
    """Row number of the first one as a person counts: the line in a CSV file without line breaks in cells."""


def columns_of(path: Path, block: SourceBlock) -> list[str]:
    """Names of the columns of a file.

    Raises:
        BadInputError: the file is missing, empty, truncated, no table, or beyond a limit.
    """
    require_file(path)
    names = _parquet(path).schema_arrow.names if is_parquet(path) else _header(path, block)
    if len(names) > MAX_COLUMNS:
        message = f"{path}: {len(names)} columns are above the limit of {MAX_COLUMNS}; export fewer, or in long form"
        raise BadInputError(message)
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        message = f"{path}: column {twice[0]!r} stands {names.count(twice[0])} times; rename one in the export"
        raise BadInputError(message)
    return list(names)


def is_parquet(path: Path) -> bool:
    """Whether the name says Parquet."""
    return path.suffix.lower() in {".parquet", ".pq"}


def tables(
    path: Path, block: SourceBlock, wanted: Collection[str], bad: BadRows, progress: Progress
) -> Iterator[RawTable]:
    """The file in pieces, each with the wanted columns.

    Raises:
        BadInputError: the file is truncated, damaged or beyond a limit.
    """
    read = (
        _parquet_tables(path, wanted, progress) if is_parquet(path) else _csv_tables(path, block, wanted, bad, progress)
    )
    row = 1 if is_parquet(path) else 2
    for table in read:
        yield RawTable(table=table, first_row=row)
        row += table.num_rows
        if row > MAX_ROWS:
            raise BadInputError(f"{path}: more than {MAX_ROWS} rows; split the file by month")
    if row == 2 and not is_parquet(path) and not bad.count:
        raise BadInputError(f"{path}: the file has a header but no rows; export it again, or take it out of 'files'")


def _header(path: Path, block: SourceBlock) -> list[str]:
    try:
        line = head_of(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{path}:1: byte {error.start + 1} of the header is not UTF-8; save the file as UTF-8"
        raise BadInputError(message) from None
    if line.count(block.delimiter) > MAX_COLUMNS:
        message = f"{path}:1: {line.count(block.delimiter) + 1} columns are above the limit of {MAX_COLUMNS}"
        raise BadInputError(message)
    return next(csv.reader([line], delimiter=block.delimiter), [])


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        message = f"{path}: not a readable Parquet file, perhaps truncated ({_short(error)}); copy or export it again"
        raise BadInputError(message) from None
    facts = file.metadata
    if facts.num_rows > MAX_ROWS:
        raise BadInputError(f"{path}: {facts.num_rows} rows are above the limit of {MAX_ROWS}; split the file by month")
    largest = max((facts.row_group(i).total_byte_size for i in range(facts.num_row_groups)), default=0)
    if largest > MAX_ROW_GROUP_BYTES:
        message = (
            f"{path}: a row group of {largest} bytes is above the limit of {MAX_ROW_GROUP_BYTES}; write smaller ones"
        )
        raise BadInputError(message)
    if facts.num_rows == 0:
        raise BadInputError(f"{path}: the Parquet file has no rows; export it again, or take it out of 'files'")
    return file


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


def _parquet_tables(path: Path, wanted: Collection[str], progress: Progress) -> Iterator[pa.Table]:
    with _parquet(path) as file:
        rows = 0
        batches = file.iter_batches(batch_size=_PARQUET_ROWS, columns=list(wanted), use_threads=False)
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowInvalid, OSError) as error:
                message = f"{path}: damaged after row {rows} ({_short(error)}); copy or export the file again"
                raise BadInputError(message) from None
            if batch is None:
                return
            yield pa.Table.from_batches([batch])
            rows += batch.num_rows
            progress(rows / max(1, file.metadata.num_rows))


def _csv_tables(
    path: Path, block: SourceBlock, wanted: Collection[str], bad: BadRows, progress: Progress
) -> Iterator[pa.Table]:
    size = path.stat().st_size

    def reject(row: pa_csv.InvalidRow) -> str:
        where = f"row {row.number}" if row.number is not None else "a row"
        bad.add(1, [f"{where} has {row.actual_columns} cells where the header has {row.expected_columns}"])
        return "skip"

    parse = pa_csv.ParseOptions(delimiter=block.delimiter, invalid_row_handler=reject)
    read = pa_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES)
    convert = pa_csv.ConvertOptions(
        include_columns=list(wanted), column_types=dict.fromkeys(wanted, pa.string()), strings_can_be_null=False
    )
    rows = 0
    with GuardedStream(path) as stream:
        try:
            reader = pa_csv.open_csv(io.BufferedReader(stream, 1 << 20), read, parse, convert)
            for batch in reader:
                rows += batch.num_rows
                yield pa.Table.from_batches([batch])
                progress(stream.position() / size)
        except pa.ArrowInvalid as error:
            message = f"{path}: not readable as CSV after row {rows + 1} ({_short(error)}); {_csv_hint(error)}"
            raise BadInputError(message) from None


def _csv_hint(error: Exception) -> str:
    text = str(error)
    if "UTF8" in text:
        return "save the file as UTF-8"
    if "straddling" in text:
        return f"a row is longer than {BLOCK_BYTES} bytes, or a quote is not closed"
    if "Empty CSV" in text:
        return "export the file again"
    return "check delimiter and quotes, or export the file again"
