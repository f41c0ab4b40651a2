"""``ingest --follow``: fetches from connectors until it is stopped, at once when one tells that something happened."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from twin.cli.output import note
from twin.compute.live import PlacementMemory, live_site, together
from twin.health.finding import Finding, FindingKind
from twin.ports import EventSource, PlacementSource, TelemetrySource

if TYPE_CHECKING:
    import pandas as pd

    from connectors.gather import SourceHealth
    from connectors.ingest import Telemetry
    from connectors.settings import SiteFile
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

    def __init__(self, site_file: SiteFile, telemetry: Telemetry, live: Mapping[str, TelemetrySource]) -> None:
        self._site_file, self._telemetry, self._live = site_file, telemetry, live
        self._places = {name: PlacementMemory() for name, one in live.items() if isinstance(one, PlacementSource)}
        self._stop, self._wake = threading.Event(), threading.Event()

    def run(self, every_s: float) -> None:
        """Fetches every so many seconds, and at each event, until a signal comes."""
        from connectors.gather import Gatherer

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)
        with ExitStack() as ears:
            for source in self._live.values():
                if isinstance(source, EventSource):
                    ears.enter_context(closing(source.listen(self._hear)))
            gatherer = Gatherer(self._live, self._keep)
            gatherer.follow(self._stop, lambda: datetime.now(tz=UTC), every_s, self._tell, self._wake)

    def _end(self, *_: object) -> None:
        self._stop.set()
        self._wake.set()

    def _hear(self, sentence: str) -> None:
        note(sentence)
        self._wake.set()

    def _tell(self, state: SourceHealth) -> None:
        note(f"connector {state.name}: {'delivers' if state.ok else state.told}")

    def _keep(self, name: str, frame: pd.DataFrame) -> None:
        from connectors.ingest import renamed

        for mapping in self._site_file.sources.values():
            if mapping.block.connector == name:
                self._telemetry.store.append(renamed(frame, mapping))
        if name in self._places:
            self._look(name)

    def _look(self, name: str) -> None:
        """Notes VMs that stand otherwise than at the last look."""
        source = self._live[name]
        if not isinstance(source, PlacementSource):
            return
        now = datetime.now(tz=UTC)
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
