"""Columns of files to points: patterns expanded, units checked, ids given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.settings.document import SiteDocument
from connectors.settings.sources import ColumnBlock, SourceBlock
from twin.site import Point
from twin.text.tree import Fault, Path
from twin.units import ENERGY_PER_STEP_J, TO_INSIDE
from twin.vocab import KIND_FACTS, PointKind, Subject

ALL = "all"
"""Under ``of``: one column holds for every zone, unit, host or VM."""
_FIELD = re.compile(r"\{([a-z_]*)\}")
METER_KINDS = frozenset(
    {
        PointKind.ELECTRIC_POWER,
        PointKind.GAS_POWER,
        PointKind.HVAC_ELECTRIC_POWER,
        PointKind.FAN_POWER,
        PointKind.COOLING_POWER,
        PointKind.HEATING_ELECTRIC_POWER,
        PointKind.HEATING_GAS_POWER,
        PointKind.LIGHTING_POWER,
        PointKind.PLUG_POWER,
    }
)
"""Kinds that may also be metered per air handler; the site's value is then the sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedColumn:
    """A column of a file and the points that it holds."""

    column: str
    """Name in the file; in a long file the name of the point there."""
    kind: PointKind
    unit: str
    reading: str
    """``mean``, ``energy`` (of the step) or ``counter`` (cumulative)."""
    scale: float
    offset: float
    points: Mapping[str, str]
    """Value of the key column → point id; one entry with an empty key where there is no key column."""
    from_pattern: bool = False
    """The column comes from a pattern: a file may lack it."""
    expected: bool = True
    """A pattern column that every file lacks is a finding; not so for zones without thermostat."""
    path: Path = ()
    """Where the site file says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMapping:
    """A source with its columns, ready to read."""

    name: str
    block: SourceBlock
    columns: tuple[MappedColumn, ...]
    points: tuple[Point, ...]
    step_s: float


@dataclass(slots=True)
class Subjects:
    """Ids by subject."""

    site: str
    unheated: frozenset[str] = frozenset()
    """Zones without thermostat, of which nothing is expected."""
    ids: Mapping[Subject, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, document: SiteDocument, units: tuple[str, ...]) -> Subjects:
        """Ids of everything that a point may belong to."""
        return cls(
            document.name,
            frozenset(zone.id for zone in document.zones if not zone.conditioned),
            {
                Subject.ZONE: tuple(zone.id for zone in document.zones),
                Subject.AIR_HANDLER: units,
                Subject.HOST: tuple(host.id for host in document.hosts),
                Subject.VM: tuple(vm.id for vm in document.vms),
            },
        )


def map_source(
    name: str, block: SourceBlock, subjects: Subjects, site_step_s: float, faults: list[Fault]
) -> SourceMapping:
    """The columns of a source; what is wrong is noted and left out."""
    step_s = block.step_min * 60.0 if block.step_min is not None else site_step_s
    columns: list[MappedColumn] = []
    points: dict[str, Point] = {}
    for i, column in enumerate(block.columns):
        path: Path = ("sources", name, "columns", i)
        if not _readable(column, path, faults):
            continue
        for text, key, of in _expanded(block, column, subjects, path, faults):
            point = _point(column, of, subjects.site, step_s if step_s != site_step_s else None)
            if point.id in points:
                message = f"point {point.id!r} is mapped twice in this source; drop one or give it another 'id'"
                faults.append(Fault(path=path, message=message))
                continue
            points[point.id] = point
            columns.append(_mapped(column, text, {key: point.id}, path, expected=of not in subjects.unheated))
    return SourceMapping(name=name, block=block, columns=_joined(columns), points=tuple(points.values()), step_s=step_s)


def _readable(column: ColumnBlock, path: Path, faults: list[Fault]) -> bool:
    """Whether unit and reading fit the kind."""
    inside = KIND_FACTS[column.kind].unit
    known = [*TO_INSIDE[inside], *(ENERGY_PER_STEP_J if inside == "W" else ())]
    if column.unit not in known:
        message = f"{column.unit!r} is not a unit of {column.kind}; use one of {', '.join(known)}"
        faults.append(Fault(path=(*path, "unit"), message=message))
        return False
    energy = column.unit in ENERGY_PER_STEP_J and inside == "W"
    if column.reading is not None and energy == (column.reading == "mean"):
        fits = "energy or counter" if energy else "mean"
        message = f"{column.reading!r} does not fit the unit {column.unit}; use {fits}"
        faults.append(Fault(path=(*path, "reading"), message=message))
        return False
    return True


def _expanded(
    block: SourceBlock, column: ColumnBlock, subjects: Subjects, path: Path, faults: list[Fault]
) -> list[tuple[str, str, str]]:
    """Name in the file, key and owner of every point of a column."""
    subject = KIND_FACTS[column.kind].subject
    fields = _FIELD.findall(column.column)
    if fields or block.key is not None:
        return _many(block, column, subjects, path, faults)
    if column.of is None:
        if subject is Subject.SITE:
            return [(column.column, "", subjects.site)]
        message = (
            f"a {column.kind} belongs to a {subject}; add 'of: <id of the {subject}>' or {{{subject}}} in the name"
        )
        faults.append(Fault(path=path, message=message))
        return []
    if column.of == ALL and subject is not Subject.SITE:
        return [(column.column, "", one) for one in subjects.ids[subject]]
    allowed = _owners(subject, column.kind, subjects)
    if column.of not in allowed:
        message = f"{column.of!r} is not a {subject} of this site; its ids: {', '.join(allowed) or 'none'}"
        faults.append(Fault(path=(*path, "of"), message=message))
        return []
    return [(column.column, "", column.of)]


def _owners(subject: Subject, kind: PointKind, subjects: Subjects) -> tuple[str, ...]:
    if subject is Subject.SITE:
        return (subjects.site, *(subjects.ids[Subject.AIR_HANDLER] if kind in METER_KINDS else ()))
    return subjects.ids[subject]


def _many(
    block: SourceBlock, column: ColumnBlock, subjects: Subjects, path: Path, faults: list[Fault]
) -> list[tuple[str, str, str]]:
    """Points of a pattern or of a file with a key column."""
    fields = set(_FIELD.findall(column.column))
    word = block.key.of if block.key is not None and not fields else "".join(fields)
    subject = KIND_FACTS[column.kind].subject
    fits = {str(subject)} | ({"air_handler"} if column.kind in METER_KINDS else set())
    if word not in fits:
        message = f"{column.kind} is of a {subject}, not of {word!r}; one of {{{'}, {'.join(sorted(fits))}}} fits here"
        faults.append(Fault(path=(*path, "column" if fields else "kind"), message=message))
        return []
    ids = subjects.ids[Subject(word)]
    unknown = [one for one in column.only if one not in ids]
    if unknown:
        message = f"{', '.join(unknown)} is not a {word} of this site; its ids: {', '.join(ids)}"
        faults.append(Fault(path=(*path, "only"), message=message))
    wanted = [one for one in ids if not column.only or one in column.only]
    outside = {own: text for text, own in block.names.items()}
    if not fields:
        return [(column.column, outside.get(one, one), one) for one in wanted]
    return [(column.column.replace(f"{{{word}}}", outside.get(one, one)), "", one) for one in wanted]


def _point(column: ColumnBlock, of: str, site: str, step_s: float | None) -> Point:
    default = str(column.kind) if of == site else f"{of}/{column.kind}"
    wanted = column.id
    if wanted is not None and (of == site or "{" not in column.column):
        default = wanted
    return Point(id=default, kind=column.kind, of=of, step_s=step_s)


def _mapped(column: ColumnBlock, text: str, points: Mapping[str, str], path: Path, *, expected: bool) -> MappedColumn:
    energy = column.unit in ENERGY_PER_STEP_J and KIND_FACTS[column.kind].unit == "W"
    return MappedColumn(
        column=text,
        kind=column.kind,
        unit=column.unit,
        reading=column.reading or ("energy" if energy else "mean"),
        scale=column.scale,
        offset=column.offset,
        points=points,
        from_pattern=text != column.column,
        expected=expected,
        path=path,
    )


def _joined(columns: list[MappedColumn]) -> tuple[MappedColumn, ...]:
    """Columns with the same place in the site file and the same name joined into one with all keys."""
    joined: dict[tuple[Path, str, str], MappedColumn] = {}
    for column in columns:
        key = (column.path, column.column, column.points.get("", ""))
        before = joined.get(key)
        if before is None:
            joined[key] = column
        else:
            joined[key] = MappedColumn(
                column=column.column,
                kind=column.kind,
                unit=column.unit,
                reading=column.reading,
                scale=column.scale,
                offset=column.offset,
                points={**before.points, **column.points},
                path=column.path,
            )
    return tuple(joined.values())
