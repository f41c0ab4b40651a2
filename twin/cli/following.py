"""``ingest --follow``: fetches from connectors until it is stopped, at once when one tells that something happened."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from twin.cli.output import note
from twin.compute.live import PlacementMemory, live_site, together
from twin.errors import BadInputError
from twin.health.finding import Finding, FindingKind
from twin.ports import Clock, EventSource, PlacementSource, TelemetrySource

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from connectors.gather import SourceHealth
    from connectors.ingest import LiveIntake, Telemetry
    from twin.site import Site

KEPT_CHANGES = 100
"""Changes of placement that the health record keeps, the newest ones."""


def misplaced(site: Site, sources: Iterable[object]) -> list[Finding]:
    """How the hosts differ from the site file now, a finding each."""
    placements = [source.live_placement() for source in sources if isinstance(source, PlacementSource)]
    if not placements:
        return []
    found = live_site(site, together(placements))
    return [
        Finding(kind=FindingKind.PLACEMENT, sentence=one.sentence, point=one.about)
        for one in found.notes
        if one.differs
    ]


class Follower:
    """Keeps rows and changes of placement of live sources."""

    def __init__(
        self, intake: LiveIntake, telemetry: Telemetry, live: Mapping[str, TelemetrySource], clock: Clock
    ) -> None:
        self._intake, self._telemetry, self._live, self._clock = intake, telemetry, live, clock
        self._places = {name: PlacementMemory() for name, one in live.items() if isinstance(one, PlacementSource)}
        self._stop, self._wake = threading.Event(), threading.Event()

    def run(self, every_s: float, reached: Mapping[str, datetime]) -> None:
        """Fetches every so many seconds, and at each event, until a signal comes.

        Args:
            every_s: from one attempt to the next. [s]
            reached: where sources stand already.

        Raises:
            BadInputError: no source names a connector.
        """
        from connectors.gather import Gatherer

        if not self._live:
            message = "--follow: files are read once; name a source with 'connector:' to follow"
            raise BadInputError(message)
        note(f"following {', '.join(self._live)} every {every_s:g} s; Ctrl-C or SIGTERM ends it")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)
        with ExitStack() as ears:
            for source in self._live.values():
                if isinstance(source, EventSource):
                    ears.enter_context(closing(source.listen(self._hear)))
            gatherer = Gatherer(self._live, self._keep, reached=reached)
            gatherer.follow(self._stop, self._clock.now, every_s, self._tell, self._wake)
        note("stopped")

    def _end(self, *_: object) -> None:
        self._stop.set()
        self._wake.set()

    def _hear(self, sentence: str) -> None:
        note(sentence)
        self._wake.set()

    def _tell(self, state: SourceHealth) -> None:
        note(f"connector {state.name}: {'delivers' if state.ok else state.told}")

    def _keep(self, name: str, frame: pd.DataFrame) -> None:
        self._intake.take(name, frame, self._clock.now())
        if name in self._places:
            self._look(name)

    def _look(self, name: str) -> None:
        """Notes VMs that stand otherwise than at the last look."""
        source = self._live[name]
        if not isinstance(source, PlacementSource):
            return
        now = self._clock.now()
        found = [
            Finding(kind=FindingKind.PLACEMENT, sentence=str(change), point=change.vm, start=now)
            for change in self._places[name].look(source.live_placement())
        ]
        if not found:
            return
        for finding in found:
            note(finding.sentence)
        known = self._telemetry.findings()
        changes = [one for one in known if one.kind is FindingKind.PLACEMENT] + found
        rest = [one for one in known if one.kind is not FindingKind.PLACEMENT]
        self._telemetry.record([*rest, *changes[-KEPT_CHANGES:]])
