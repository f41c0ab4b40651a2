"""Cells of a column to numbers in the product's unit."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from connectors.files.tables import BadRows
from connectors.settings.mapping import MappedColumn
from connectors.settings.sources import SourceBlock
from twin.errors import BadInputError
from twin.text.readers import shown
from twin.units import to_inside
from twin.vocab import KIND_FACTS

Array = NDArray[np.float64]
_NUMBER = r"^[+-]?(\d{1,300}(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$|^[+-]?(inf|Inf|INF|infinity|Infinity)$"
_COMMA = re.compile(r"^[+-]?\d{1,3}(\.?\d{3})*,\d+$")
_WORDS = {"true": "1", "false": "0", "on": "1", "off": "0", "yes": "1", "no": "0"}
MOSTLY = 0.5
"""Share of cells that must fail before the whole column counts as misread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Where some cells stand."""

    name: str
    """Column in the file."""
    words: bool
    """Whether words such as true and off stand for 1 and 0."""
    file: str
    first_row: int
    """Row number of the first cell."""


def numbers(cells: pa.ChunkedArray, at: Cells, block: SourceBlock, bad: BadRows) -> Array:
    """Numbers of a column as they stand in the file, NaN where a cell is empty or bad.

    Args:
        cells: the cells.
        at: where they stand.
        block: decimal mark and texts for missing values.
        bad: gets the cells that are no numbers.

    Raises:
        BadInputError: most cells of the batch are no numbers; the message names the first and the likely reason.
    """
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    if pa.types.is_boolean(cells.type):
        cells = cells.cast(pa.int8())
    if not (pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)):
        return _plain(cells, at)
    texts = _texts(cells, at, block)
    try:
        parsed = pc.cast(texts, pa.float64())
    except pa.ArrowInvalid:
        fine = pc.fill_null(pc.match_substring_regex(texts, _NUMBER), True)
        _note_bad(texts, fine, at, bad)
        parsed = pc.cast(pc.if_else(fine, texts, pa.scalar(None, texts.type)), pa.float64())
    return np.asarray(parsed.to_numpy(), dtype=np.float64)


def _plain(cells: pa.ChunkedArray, at: Cells) -> Array:
    try:
        return np.asarray(pc.cast(cells, pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        message = f"{at.file}: column {at.name!r} holds {cells.type}, not numbers; map another column"
        raise BadInputError(message) from None


def _texts(cells: pa.ChunkedArray, at: Cells, block: SourceBlock) -> pa.ChunkedArray:
    """Trimmed cells with the point as decimal mark, null where the text means no value."""
    texts = pc.utf8_trim_whitespace(cells.cast(pa.string()))
    missing = pc.is_in(texts, value_set=pa.array(list(block.missing)))
    texts = pc.if_else(missing, pa.scalar(None, pa.string()), texts)
    if block.decimal == ",":
        thousands = pc.replace_substring(texts, ".", "")
        texts = pc.if_else(pc.match_substring(texts, ","), pc.replace_substring(thousands, ",", "."), texts)
    if at.words:
        for word, digit in _WORDS.items():
            texts = pc.if_else(pc.equal(pc.utf8_lower(texts), word), digit, texts)
    return texts


def _note_bad(texts: pa.ChunkedArray, fine: pa.ChunkedArray, at: Cells, bad: BadRows) -> None:
    rows = np.flatnonzero(~fine.to_numpy().astype(np.bool_))
    cells = texts.take(pa.array(rows[:20])).to_pylist()
    if len(rows) > MOSTLY * (len(texts) - texts.null_count):
        hint = "check the column and its unit in site.yaml"
        if _COMMA.match(str(cells[0])):
            hint = "it looks like a decimal comma: declare 'decimal: \",\"' (and 'delimiter: \";\"') for this source"
        message = (
            f"{at.file}: row {at.first_row + rows[0]}, column {at.name!r}: {shown(cells[0])} is not a number; {hint}"
        )
        raise BadInputError(message)
    first = [
        f"row {at.first_row + row}, column {at.name!r}: {shown(cell)}" for row, cell in zip(rows, cells, strict=False)
    ]
    bad.add(len(rows), first)


def in_product_unit(values: Array, column: MappedColumn, step_s: float) -> Array:
    """Values × scale + offset in the product's unit; energy of a step as its mean power."""
    return to_inside(values * column.scale + column.offset, column.unit, KIND_FACTS[column.kind].unit, step_s)
