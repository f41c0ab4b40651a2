"""What a site file says about where telemetry comes from and which column is which point."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from connectors.settings.facts import Block, Flag, Id, Number
from twin.vocab import PointKind


class StampBlock(Block):
    """How times are written in the files of a source."""

    column: str = Field(default="timestamp", description="name of the column")
    time_zone: str | None = Field(
        default=None,
        description="IANA zone of stamps without offset: America/Denver for a wall clock with daylight saving, "
        "Etc/GMT+7 for UTC-7 all year, UTC; needed when stamps have no offset",
    )
    format: str | None = Field(
        default=None, description="iso (default), epoch_s, epoch_ms, or a strptime format such as %m/%d/%Y %H:%M"
    )
    label: Literal["left", "right"] = Field(
        default="left", description="left: the stamp is the start of the interval; right: its end"
    )


def _stamp_form(node: object) -> object:
    return {"column": node} if isinstance(node, str) else node


Stamp = Annotated[
    StampBlock,
    BeforeValidator(_stamp_form),
    WithJsonSchema({"anyOf": [{"type": "string"}, StampBlock.model_json_schema()]}),
]


class KeyBlock(Block):
    """A column that says which zone (air handler, host, VM) the row is about."""

    column: str = Field(description="name of the column")
    of: Literal["zone", "air_handler", "host", "vm"] = Field(description="what its values name")


class ColumnBlock(Block):
    """Which point a column is (in a long file: which point a name is)."""

    column: str = Field(
        min_length=1,
        description="name in the file; {zone}, {air_handler}, {host} or {vm} in it stands for each of them in turn",
    )
    kind: PointKind = Field(description="kind of the point, see the table of kinds")
    unit: str = Field(min_length=1, description="unit in the file, see the table of kinds")
    of: Id | None = Field(
        default=None, description="zone, unit, host or VM that it belongs to, or all of them; not for site kinds"
    )
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./\-]{0,159}$")] | None = Field(
        default=None, description="id of the point; `kind` for site points and `of/kind` for others if left out"
    )
    reading: Literal["mean", "energy", "counter"] | None = Field(
        default=None,
        description="mean of the step, energy of the step (default for units such as kWh), or cumulative counter",
    )
    scale: Number = Field(default=1.0, description="value × scale + offset is in `unit`")
    offset: Number = Field(default=0.0, description="added after the scale")
    only: tuple[Id, ...] = Field(default=(), description="with a pattern: just these zones, units, hosts or VMs")


class SourceBlock(Block):
    """A source of telemetry: files with one layout and one clock, or what a connector reads."""

    files: tuple[str, ...] = Field(
        default=(), description="CSV or Parquet files, relative to the site file; * and ? are allowed"
    )
    connector: Id | None = Field(
        default=None,
        description="instead of files: a connector; one without history gives its present values at each ingest",
    )
    layout: Literal["wide", "long"] = Field(
        default="wide", description="wide: a column per quantity; long: one row per time and point"
    )
    timestamp: Stamp = Field(default=StampBlock(), description="column of the times, and how they are written")
    step_min: Number | None = Field(
        default=None, gt=0, le=1440, description="time that a value covers [min]; the site's step if left out"
    )
    key: KeyBlock | None = Field(default=None, description="wide, one row per time and zone: the column with the zone")
    names: dict[str, Id] = Field(default={}, description="name in the file → id in this file, where they differ")
    point_column: str = Field(default="point", description="long: column with the name of the point")
    value_column: str = Field(default="value", description="long: column with the value")
    delimiter: Literal[",", ";", "\t", "|"] = Field(default=",", description="CSV: separator of columns")
    decimal: Literal[".", ","] = Field(default=".", description="CSV: decimal mark")
    missing: tuple[str, ...] = Field(
        default=("", "NA", "N/A", "NaN", "nan", "null", "NULL", "-"), description="CSV: texts that mean no value"
    )
    ignore_other_columns: Flag = Field(default=True, description="false: a column that is not named is an error")
    columns: tuple[ColumnBlock, ...] = Field(min_length=1, description="which column is which point")
