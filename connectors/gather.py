"""Fetches from many sources at once: bounded queue, health per source, and what was missed is fetched later."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pandas as pd

from twin.errors import UnderstudyError
from twin.ports import TelemetrySource

QUEUE_FRAMES = 8
"""Frames that wait for the store; sources stand still when it is full."""
CHUNK_ROWS = 50_000
GATHER_EVENTS_S = 0.3
"""How long a woken round waits for further events."""
LONGEST_BACK_OFF_S = 900.0

Sink = Callable[[str, pd.DataFrame], None]
"""Takes the rows of a source; called from one thread only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHealth:
    """How a source fares."""

    name: str
    ok: bool = True
    rows: int = 0
    """Rows of the last attempt."""
    reached: datetime | None = None
    """Everything before this moment has been fetched; the next attempt begins here."""
    failures: int = 0
    """Attempts in a row that failed."""
    told: str = ""
    """Why the last attempt failed."""


@dataclass(slots=True)
class _Parcel:
    """Rows on their way, or the end of a source's attempt."""

    name: str
    frame: pd.DataFrame | None = None
    error: str | None = None


class Gatherer:
    """Keeps what each source has delivered; sources that fail never stop the others."""

    def __init__(self, sources: Mapping[str, TelemetrySource], sink: Sink, *, timeout_s: float = 120.0) -> None:
        self._sources = sources
        self._sink = sink
        self._timeout_s = timeout_s
        self._health = {name: SourceHealth(name=name) for name in sources}
        self._running: dict[str, threading.Thread] = {}

    @property
    def health(self) -> Mapping[str, SourceHealth]:
        """How each source fares."""
        return dict(self._health)

    def gather(self, since: datetime | None, until: datetime) -> Mapping[str, SourceHealth]:
        """One round over all sources: each from where it stands (``since`` at first) up to ``until``.

        A source that still hangs from an earlier round is left out; rows of a source that came too late are dropped and
        fetched again in the next round, which is harmless because the store takes each row once.
        """
        waiting: queue.Queue[_Parcel] = queue.Queue(QUEUE_FRAMES)
        open_: set[str] = set()
        stopped = threading.Event()
        for name in self._sources:
            if name in self._running and self._running[name].is_alive():
                self._failed(name, "still hangs from an earlier round")
                continue
            start = self._health[name].reached or since
            work = threading.Thread(
                target=self._fetch, args=(name, start, until, waiting, stopped), name=f"fetch {name}", daemon=True
            )
            self._running[name] = work
            self._health[name] = replace(self._health[name], rows=0)
            open_.add(name)
            work.start()
        self._drain(open_, waiting, until)
        stopped.set()
        return self.health

    def _drain(self, open_: set[str], waiting: queue.Queue[_Parcel], until: datetime) -> None:
        end = time.monotonic() + self._timeout_s
        while open_:
            try:
                parcel = waiting.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                for name in sorted(open_):
                    self._failed(name, f"no end within {self._timeout_s:g} s")
                return
            if parcel.frame is not None:
                self._sink(parcel.name, parcel.frame)
                known = self._health[parcel.name]
                self._health[parcel.name] = replace(known, rows=known.rows + len(parcel.frame))
                continue
            open_.discard(parcel.name)
            if parcel.error is None:
                self._health[parcel.name] = replace(
                    self._health[parcel.name], ok=True, reached=until, failures=0, told=""
                )
            else:
                self._failed(parcel.name, parcel.error)

    def _failed(self, name: str, why: str) -> None:
        known = self._health[name]
        self._health[name] = replace(known, ok=False, failures=known.failures + 1, told=why)

    def _fetch(
        self,
        name: str,
        since: datetime | None,
        until: datetime,
        waiting: queue.Queue[_Parcel],
        stopped: threading.Event,
    ) -> None:
        try:
            rows = self._sources[name].fetch(since, until)
        except (UnderstudyError, OSError) as error:
            _put(waiting, _Parcel(name, error=str(error)), stopped)
            return
        for first in range(0, len(rows), CHUNK_ROWS):
            _put(waiting, _Parcel(name, rows.iloc[first : first + CHUNK_ROWS]), stopped)
        _put(waiting, _Parcel(name), stopped)

    def follow(
        self,
        stop: threading.Event,
        now: Callable[[], datetime],
        every_s: float,
        told: Callable[[SourceHealth], None],
        wake: threading.Event | None = None,
    ) -> None:
        """Gathers again and again until ``stop`` is set; waits longer when every source fails.

        Args:
            stop: ends it.
            now: the clock.
            every_s: pause between rounds.
            told: hears of each source whose state changed.
            wake: ends a pause early, as when a source tells that something happened; to be set with ``stop`` too.
        """
        wake = wake or stop
        since = now() - timedelta(seconds=every_s)
        before: Mapping[str, SourceHealth] = {}
        while not stop.is_set():
            health = self.gather(since, now())
            for name, state in health.items():
                if name not in before or before[name].ok != state.ok:
                    told(state)
            before = health
            worst = min((state.failures for state in health.values()), default=0)
            if wake.wait(min(LONGEST_BACK_OFF_S, every_s * 2.0 ** min(worst, 10))):
                stop.wait(GATHER_EVENTS_S)  # what belongs together comes together
                if wake is not stop:
                    wake.clear()


class Delivered:
    """A source that has delivered already."""

    def __init__(self, name: str, frames: list[pd.DataFrame]) -> None:
        self.name = name
        self._frames = frames

    def fetch(self, since: datetime | None, until: datetime | None) -> pd.DataFrame:  # asked before
        """What was delivered; no rows from a source that failed."""
        if self._frames:
            return pd.concat(self._frames, ignore_index=True)
        empty = {
            "timestamp": pd.DatetimeIndex([], tz="UTC"),
            "point": pd.Series(dtype=object),
            "value": pd.Series(dtype=float),
        }
        return pd.DataFrame(empty)


def delivered(
    sources: Mapping[str, TelemetrySource], since: datetime | None, until: datetime | None, now: datetime
) -> tuple[Mapping[str, Delivered], Mapping[str, SourceHealth]]:
    """Everything that the sources have in the span, fetched from all at once, and how each fares.

    Args:
        sources: by name.
        since: start; each source's own default when None.
        until: end; ``now`` when None.
        now: the present.
    """
    frames: dict[str, list[pd.DataFrame]] = {name: [] for name in sources}
    gatherer = Gatherer(sources, lambda name, frame: frames[name].append(frame))
    health = gatherer.gather(since, until or now)
    return {name: Delivered(name, found if health[name].ok else []) for name, found in frames.items()}, health


def _put(waiting: queue.Queue[_Parcel], parcel: _Parcel, stopped: threading.Event) -> None:
    """Waits for room, but not beyond the round."""
    while not stopped.is_set():
        try:
            waiting.put(parcel, timeout=0.2)
        except queue.Full:
            continue
        return
