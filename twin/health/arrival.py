"""Clocks of live sources against the moment at which their rows arrive: ahead, or behind at delivery after delivery."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from twin.health.finding import Finding, FindingKind
from twin.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    import pandas as pd

DELIVERIES = 5
"""Deliveries in a row that must all be late: one alone may have waited on its way."""


class ArrivalClocks:
    """What is known of the clocks of live points."""

    def __init__(self, step_s: float) -> None:
        """Begins without knowledge.

        Args:
            step_s: step of the site; a left-labelled row arrives one step after its stamp at the earliest. [s]
        """
        self._step_s = step_s
        self._late: dict[str, deque[tuple[datetime, float]]] = {}
        self._found: dict[str, Finding] = {}

    def arrived(self, rows: pd.DataFrame, ahead: Sequence[Finding], now: datetime) -> bool:
        """Notes a delivery; whether its clocks say something new.

        Args:
            rows: rows that are not of the future.
            ahead: findings about rows of the same delivery that are.
            now: the moment of arrival.
        """
        before = dict(self._found)
        self._found |= {one.point: one for one in ahead}
        for point, stamp in rows.groupby("point", observed=True)["timestamp"].max().items():
            self._newest(str(point), stamp.to_pydatetime(), now)
        return self._found != before

    def findings(self) -> list[Finding]:
        """The newest finding about each point whose clock is off."""
        return list(self._found.values())

    def _newest(self, point: str, stamp: datetime, now: datetime) -> None:
        seen = self._late.setdefault(point, deque(maxlen=DELIVERIES))
        if seen and stamp <= seen[-1][0]:
            return  # nothing newer came: that is silence, not a clock
        seen.append((stamp, (now - stamp).total_seconds() - self._step_s))
        late_s = min(late for _, late in seen)
        if late_s <= self._step_s:
            if (known := self._found.get(point)) is not None and known.kind is FindingKind.CLOCK:
                del self._found[point]
            return
        if len(seen) == DELIVERIES:
            sentence = (
                f"{point}: its newest row was {late_s / SECONDS_PER_HOUR:.1f} h old at each of its last {DELIVERIES} "
                "arrivals; the clock of its source is behind, or its rows wait on their way"
            )
            self._found[point] = Finding(
                kind=FindingKind.CLOCK, point=point, sentence=sentence, start=seen[0][0], numbers={"skew_s": -late_s}
            )
