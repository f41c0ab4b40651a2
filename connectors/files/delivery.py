"""What is noticed while the files of a source are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from connectors.files.counters import Counters
from connectors.files.tables import BadRows
from twin.health.finding import Finding, FindingKind


@dataclass(slots=True)
class Delivery:
    """What is noticed while files are read; sums over all files of a source."""

    source: str
    rows: int = 0
    bad: BadRows = field(default_factory=BadRows)
    skipped: int = 0
    repeated: int = 0
    out_of_order: int = 0
    not_finite: dict[str, int] = field(default_factory=dict)
    unknown_keys: dict[str, int] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    counters: Counters = field(default_factory=Counters)

    def findings(self) -> list[Finding]:
        """What was noticed, as records."""
        return [*self._of_rows(), *self._of_columns()]

    def _of_rows(self) -> Iterator[Finding]:
        name = f"source {self.source}"
        if self.bad.count:
            listed = "; ".join(self.bad.first)
            sentence = f"{name}: {self.bad.count} rows or cells could not be read and were left out, first: {listed}"
            yield self._finding(FindingKind.BAD_ROWS, sentence, self.bad.count)
        if self.skipped:
            sentence = (
                f"{name}: {self.skipped} rows have a wall-clock time that did not exist (spring switch) and were left "
                "out; if the clock keeps winter time all year, declare a fixed zone such as Etc/GMT+6"
            )
            yield self._finding(FindingKind.DST, sentence, self.skipped)
        if self.repeated:
            sentence = (
                f"{name}: {self.repeated} rows lie in an hour that the wall clock showed twice (autumn switch); "
                "their order in the file told the two passes apart"
            )
            yield self._finding(FindingKind.DST, sentence, self.repeated, suffix=":autumn")
        if self.out_of_order:
            sentence = f"{name}: {self.out_of_order} rows are older than the row before them; they were sorted in"
            yield self._finding(FindingKind.OUT_OF_ORDER, sentence, self.out_of_order)

    def _of_columns(self) -> Iterator[Finding]:
        for point, count in sorted(self.not_finite.items()):
            sentence = f"{point}: {count} values are not finite (inf or NaN) and were left out"
            yield Finding(kind=FindingKind.NOT_FINITE, point=point, sentence=sentence, numbers={"count": count})
        for key, count in sorted(self.unknown_keys.items())[:20]:
            sentence = f"source {self.source}: {count} rows are of {key!r}, which site.yaml does not name; left out"
            yield self._finding(FindingKind.MISSING_POINT, sentence, count, suffix=f":{key}")
        for column in sorted(self.absent):
            sentence = f"source {self.source}: no file has the column {column!r} that a pattern in site.yaml asks for"
            yield self._finding(FindingKind.MISSING_COLUMN, sentence, 1, suffix=f":{column}")
        for point, count in sorted(self.counters.resets.items()):
            sentence = f"{point}: the counter fell {count} times (reset, wrap or exchange); each left one gap"
            yield Finding(kind=FindingKind.COUNTER_RESET, point=point, sentence=sentence, numbers={"count": count})

    def _finding(self, kind: FindingKind, sentence: str, count: float, suffix: str = "") -> Finding:
        return Finding(kind=kind, point=f"{self.source}{suffix}", sentence=sentence, numbers={"count": float(count)})
