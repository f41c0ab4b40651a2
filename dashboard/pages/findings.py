"""Findings as lines: the same trouble at many points is one line, so that a person can read them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import dash_mantine_components as dmc

from dashboard.pages.page import SEVERITY_COLOURS, badge, when
from dashboard.views import FindingView, Severity

NAMED = 1
"""So many subjects of a line are named; the others are on hover."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """One trouble with all the things that have it."""

    severity: Severity
    sentence: str
    """Without the subject."""
    subjects: tuple[str, ...]
    since: datetime | None

    @property
    def text(self) -> str:
        """The line as a sentence."""
        if len(self.subjects) == 1:
            return f"{self.subjects[0]}: {self.sentence}"
        named = ", ".join(self.subjects[:NAMED]) + (" …" if len(self.subjects) > NAMED else "")
        return f"{len(self.subjects)} points: {self.sentence} ({named})"


def gathered(findings: Sequence[FindingView]) -> list[Gathered]:
    """Findings that say the same of different things, together; the order of their first stays."""
    lines: dict[tuple[Severity, str], list[FindingView]] = {}
    for one in findings:
        lines.setdefault((one.severity, one.sentence.removeprefix(f"{one.subject}: ")), []).append(one)
    return [
        Gathered(
            severity=severity,
            sentence=sentence,
            subjects=tuple(dict.fromkeys(one.subject for one in same)),
            since=same[0].since,
        )
        for (severity, sentence), same in lines.items()
    ]


def finding_line(one: Gathered, zone: ZoneInfo | None = None) -> Any:
    """A finding with its severity, and since when where a time zone is given."""
    since = [when(one.since, zone)] if one.since and zone is not None else []
    words = dmc.Text(one.text, size="sm", flex=1, className="wrap")
    if len(one.subjects) > NAMED:
        words = dmc.Tooltip(words, label=", ".join(one.subjects[:40]), multiline=True, w=420)
    return dmc.Group(
        [badge(one.severity.value, SEVERITY_COLOURS[one.severity]), words, *since],
        gap="xs",
        wrap="nowrap",
        align="flex-start",
    )
