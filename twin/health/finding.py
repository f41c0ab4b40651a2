"""A finding about data: a record that every surface shows alike, never a silent repair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class FindingKind(StrEnum):
    """Closed list of what can be wrong with telemetry."""

    GAP = "gap"
    SILENCE = "silence"
    DUPLICATE = "duplicate"
    CONFLICTING_DUPLICATE = "conflicting_duplicate"
    OUT_OF_ORDER = "out_of_order"
    STUCK = "stuck"
    SPIKE = "spike"
    IMPOSSIBLE = "impossible"
    NOISE = "noise"
    WRONG_UNIT = "wrong_unit_suspected"
    CLOCK = "clock"
    DST = "dst"
    FUTURE = "future"
    NOT_FINITE = "not_finite"
    COUNTER_RESET = "counter_reset"
    MISSING_POINT = "missing_point"
    MISSING_COLUMN = "missing_column"
    BAD_ROWS = "bad_rows"
    PLACEMENT = "placement"
    """A VM stands elsewhere than the site file or the last look says."""
    REPEATED = "repeated"
    """Days that equal others to the last digit."""
    CONTRADICTION = "contradiction"
    """Counts of people against what people leave behind."""
    METER_DRIFT = "meter_drift"
    """A meter that moves away from the meters of its parts."""
    FALL_BACK = "fall_back"
    """A driver that isn't measured was replaced by a documented assumption."""
    DRIFT = "drift"
    """The building no longer does what the calibrated twin says."""
    UNSEEN = "unseen"
    """Commands whose values telemetry never showed: the twin has no experience with others than the site file's."""
    COVERAGE = "coverage"
    """Intervals of a forecast that held less often than they promise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found, where and when, with its numbers."""

    kind: FindingKind
    sentence: str
    """Thing, value, limit and what to do, for people."""
    point: str = ""
    """Point or column; empty for the whole data set."""
    start: datetime | None = None
    end: datetime | None = None
    """The span is ``[start, end)``."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    excluded: bool = False
    """The span is kept out of calibration, guard metrics and read-back evidence until a person confirms it."""

    @property
    def id(self) -> str:
        """Name that stays the same when the same data is examined again."""
        since = self.start.isoformat() if self.start is not None else ""
        return ":".join(part for part in (self.kind, self.point, since) if part)

    def to_json(self) -> dict[str, object]:
        """The finding for ``--json``, reports and the health file."""
        return {
            "id": self.id,
            "kind": str(self.kind),
            "sentence": self.sentence,
            "point": self.point,
            "start": self.start.isoformat() if self.start is not None else None,
            "end": self.end.isoformat() if self.end is not None else None,
            "numbers": dict(self.numbers),
            "excluded": self.excluded,
        }


def finding_from_json(record: Mapping[str, object]) -> Finding:
    """The finding that ``to_json`` wrote."""
    start, end, numbers = record.get("start"), record.get("end"), record.get("numbers")
    return Finding(
        kind=FindingKind(str(record["kind"])),
        sentence=str(record["sentence"]),
        point=str(record.get("point", "")),
        start=datetime.fromisoformat(start) if isinstance(start, str) else None,
        end=datetime.fromisoformat(end) if isinstance(end, str) else None,
        numbers={str(key): float(value) for key, value in numbers.items()} if isinstance(numbers, Mapping) else {},
        excluded=bool(record.get("excluded", False)),
    )


def told_by_kind(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Findings as sentences, a line for each kind, the first of a kind in full."""
    kinds: dict[str, list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.kind.value, []).append(finding)
    lines = []
    for kind, found in sorted(kinds.items()):
        more = f" (and {len(found) - 1} more of this kind)" if len(found) > 1 else ""
        out = sum(one.excluded for one in found)
        kept = f"; {out} spans are kept out of calibration" if out else ""
        lines.append(f"{kind.replace('_', ' ')}: {found[0].sentence}{more}{kept}")
    return tuple(lines)
