"""Fetches from many sources at once: bounded queue, health per source, and what was missed is fetched later."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

import pandas as pd

from twin.errors import UnderstudyError
from twin.ports import TelemetrySource

QUEUE_FRAMES = 8
"""Frames that wait for the store; sources stand still when it is full."""
CHUNK_ROWS = 50_000
GATHER_EVENTS_S = 0.3
"""How long a woken round waits for further events."""
RETRY_S = 5.0
"""Pause before a source that failed is asked again; doubles after ``QUICK_RETRIES``."""
QUICK_RETRIES = 6
LOOK_S = 0.2

Sink = Callable[[str, pd.DataFrame], None]
"""Takes the rows of a source; called from one thread only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHealth:
    """How a source fares."""

    name: str
    ok: bool = True
    asked: bool = False
    """Whether an attempt has ended yet."""
    rows: int = 0
    """Rows delivered so far."""
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
    until: datetime
    """The end of the span that was asked for."""
    frame: pd.DataFrame | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pace:
    """What the threads of a following share."""

    stop: threading.Event
    now: Callable[[], datetime]
    every_s: float
    wake: threading.Event
    """Ends every pause early; the same as ``stop`` where nobody tells of events."""
    events: list[float] = field(default_factory=list)
    """When the wake was last heard of, on the monotonic clock. [s]"""
    waiting: queue.Queue[_Parcel] = field(default_factory=lambda: queue.Queue(QUEUE_FRAMES))
    asked: dict[str, float] = field(default_factory=dict)
    """Sources that are being asked, and since when on the monotonic clock. [s]"""

    def pass_on_events(self) -> None:
        """Notes that somebody woke us, so that whoever is asking a source just now asks it once more."""
        if self.wake is not self.stop and self.wake.is_set():
            self.events[:] = [time.monotonic()]
            self.wake.clear()

    def rest(self, seconds: float, since_s: float) -> None:
        """Waits, but not where something happened since ``since_s``; what belongs together comes together."""
        if (self.events and self.events[-1] >= since_s) or (self.wake.wait(seconds) and self.wake is not self.stop):
            self.stop.wait(GATHER_EVENTS_S)


class Gatherer:
    """Keeps what each source has delivered; sources that fail never stop the others."""

    def __init__(
        self,
        sources: Mapping[str, TelemetrySource],
        sink: Sink,
        *,
        timeout_s: float = 120.0,
        reached: Mapping[str, datetime] = MappingProxyType({}),
    ) -> None:
        """Begins with nothing fetched.

        Args:
            sources: by name.
            sink: takes the rows.
            timeout_s: when a source that doesn't end counts as failed. [s]
            reached: where sources stand already.
        """
        self._sources = sources
        self._sink = sink
        self._timeout_s = timeout_s
        self._health = {name: SourceHealth(name=name, reached=reached.get(name)) for name in sources}
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
            open_.add(name)
            work.start()
        self._drain(open_, waiting)
        stopped.set()
        return self.health

    def _drain(self, open_: set[str], waiting: queue.Queue[_Parcel]) -> None:
        end = time.monotonic() + self._timeout_s
        while open_:
            try:
                parcel = waiting.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                for name in sorted(open_):
                    self._failed(name, f"no end within {self._timeout_s:g} s")
                return
            if self._settle(parcel):
                open_.discard(parcel.name)

    def _settle(self, parcel: _Parcel) -> bool:
        """Takes in what came; whether it was the end of an attempt."""
        known = self._health[parcel.name]
        if parcel.frame is not None:
            self._sink(parcel.name, parcel.frame)
            self._health[parcel.name] = replace(known, rows=known.rows + len(parcel.frame))
            return False
        if parcel.error is None:
            self._health[parcel.name] = replace(known, ok=True, asked=True, reached=parcel.until, failures=0, told="")
        else:
            self._failed(parcel.name, parcel.error)
        return True

    def _failed(self, name: str, why: str) -> None:
        known = self._health[name]
        self._health[name] = replace(known, ok=False, asked=True, failures=known.failures + 1, told=why)

    def _fetch(
        self,
        name: str,
        since: datetime | None,
        until: datetime,
        waiting: queue.Queue[_Parcel],
        stopped: threading.Event,
    ) -> bool:
        """Puts rows and the end of an attempt into the queue; whether the source delivered."""
        try:
            rows = self._sources[name].fetch(since, until)
        except (UnderstudyError, OSError) as error:
            _put(waiting, _Parcel(name, until, error=str(error)), stopped)
            return False
        for first in range(0, len(rows), CHUNK_ROWS):
            _put(waiting, _Parcel(name, until, rows.iloc[first : first + CHUNK_ROWS]), stopped)
        _put(waiting, _Parcel(name, until), stopped)
        return True

    def follow(
        self,
        stop: threading.Event,
        now: Callable[[], datetime],
        every_s: float,
        told: Callable[[SourceHealth], None],
        wake: threading.Event | None = None,
    ) -> Mapping[str, SourceHealth]:
        """Gathers from each source at its own pace until ``stop`` is set; how each fared at last.

        A source that fails is asked again after ``RETRY_S``, in the long run ever more rarely until ``every_s``; one
        that hangs holds up nobody but itself.

        Args:
            stop: ends it.
            now: the clock.
            every_s: from one attempt to the next at a source that delivers.
            told: hears of each source whose state changed, and of each that has answered first.
            wake: ends a pause early, as when a source tells that something happened; to be set with ``stop`` too.
        """
        pace = _Pace(stop=stop, now=now, every_s=every_s, wake=wake or stop)
        for name in self._sources:
            threading.Thread(target=self._keep_fetching, args=(name, pace), name=f"follow {name}", daemon=True).start()
        before: dict[str, bool] = {}
        while not (stop.is_set() and pace.waiting.empty()):
            with suppress(queue.Empty):
                self._settle(pace.waiting.get(timeout=LOOK_S))
            self._blame_the_hanging(pace.asked)
            pace.pass_on_events()
            for name, state in self._health.items():
                if state.asked and before.get(name) != state.ok:
                    before[name] = state.ok
                    told(state)
        return self.health

    def _keep_fetching(self, name: str, pace: _Pace) -> None:
        failures = 0
        while not pace.stop.is_set():
            pace.asked[name] = began = time.monotonic()
            ok = self._fetch(name, self._health[name].reached, pace.now(), pace.waiting, pace.stop)
            pace.asked.pop(name)
            failures = 0 if ok else failures + 1
            left_s = max(0.0, pace.every_s - (time.monotonic() - began))
            growth = 2.0 ** min(max(failures - QUICK_RETRIES, 0), 10)
            pace.rest(left_s if ok else min(pace.every_s, RETRY_S * growth), began)

    def _blame_the_hanging(self, asked: Mapping[str, float]) -> None:
        for name, began in list(asked.items()):
            if time.monotonic() - began > self._timeout_s and self._health[name].ok:
                self._failed(name, f"no end within {self._timeout_s:g} s")


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
    sources: Mapping[str, TelemetrySource], since: Mapping[str, datetime], until: datetime
) -> tuple[Mapping[str, Delivered], Mapping[str, SourceHealth]]:
    """Everything that the sources have in the span, fetched from all at once, and how each fares.

    Args:
        sources: by name.
        since: start by name; a source's own default where it has none.
        until: end.
    """
    frames: dict[str, list[pd.DataFrame]] = {name: [] for name in sources}
    gatherer = Gatherer(sources, lambda name, frame: frames[name].append(frame), reached=since)
    health = gatherer.gather(None, until)
    return {name: Delivered(name, found if health[name].ok else []) for name, found in frames.items()}, health


def _put(waiting: queue.Queue[_Parcel], parcel: _Parcel, stopped: threading.Event) -> None:
    """Waits for room, but not beyond the round."""
    while not stopped.is_set():
        try:
            waiting.put(parcel, timeout=0.2)
        except queue.Full:
            continue
        return
