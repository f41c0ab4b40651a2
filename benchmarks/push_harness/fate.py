"""Where fate may strike: seams around each transaction, each call of a device and each wait."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Crash(BaseException):
    """The process is gone, at this very step."""


@dataclass
class Event:
    """Something that happens at the N-th seam."""

    kind: str
    at: int
    room: str
    only_at: str = ""
    """Seam that it waits for; empty: any."""


@dataclass
class Fate:
    """Counts seams and lets events happen; what happened in which state is covered."""

    events: list[Event] = field(default_factory=list)
    act: Callable[[Event], None] = lambda _event: None
    state: Callable[[], str] = lambda: ""
    begun: Callable[[], None] = lambda: None
    """Called when a transaction is about to begin."""
    told: Callable[[str, str], None] = lambda _event, _payload: None
    """Called with event and payload of every row that the log gets."""
    seams: int = 0
    covered: set[tuple[str, str]] = field(default_factory=set)

    def at(self, seam: str, *, inside: bool = False) -> None:
        """A seam is passed; inside a transaction only a crash can strike."""
        self.seams += 1
        due = [
            e
            for e in self.events
            if e.at <= self.seams and e.only_at in {"", seam} and (not inside or e.kind == "crash")
        ]
        for event in due:
            if not any(event is left for left in self.events):
                continue  # it happened inside another event of this seam
            self.events = [left for left in self.events if left is not event]
            self.cover(f"{event.kind} at {seam}")
            self.act(event)

    def cover(self, what: str) -> None:
        """Notes a fault together with the state of the plan that it met."""
        self.covered.add((what, self.state()))


class HookedConnection:
    """A database connection that lets fate strike around each transaction."""

    def __init__(self, inner: sqlite3.Connection, fate: Fate) -> None:
        self._inner = inner
        self._fate = fate

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Runs a statement, with seams before a transaction, before its commit, and after it."""
        if statement == "BEGIN IMMEDIATE":
            self._fate.at("begin")
            self._fate.begun()
        if statement == "COMMIT":
            self._fate.at("before commit", inside=True)
        done = self._inner.execute(statement, *values)
        if statement.startswith("INSERT INTO audit"):
            self._fate.told(values[0][3], values[0][5])
        if statement == "COMMIT":
            self._fate.at("after commit")
        return done

    @property
    def text_factory(self) -> Any:
        """How texts are read."""
        return self._inner.text_factory

    @text_factory.setter
    def text_factory(self, factory: Any) -> None:
        self._inner.text_factory = factory

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
