"""Commands that we hold: each expires, is looked after while it lasts, and yields to people."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from connectors.bacnet.settings import Finding
from connectors.set_point import OURS
from twin.errors import OutsideWorldError
from twin.plan import Reading

MOST_REASSERTIONS = 3
"""A slot that is emptied more often than this is left alone: somebody means it."""


@dataclass(slots=True, kw_only=True)
class Hold:
    """A command of ours in force at a device."""

    action_id: str
    point: str
    value: float
    """In the product's unit."""
    until: float
    """On the monotonic clock. [s]"""
    reasserted: int = 0
    last: str = ""


Look = Callable[[list[str]], Awaitable[list[Reading]]]
Write = Callable[[str, float | None], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class Holds:
    """The ledger of held commands, and one round of looking after them."""

    look: Look
    write: Write
    held: dict[str, Hold] = field(default_factory=dict)
    followed: bool = False
    """Whether somebody says time and again what is in force, and writes by himself what was lost."""
    findings: deque[Finding] = field(default_factory=lambda: deque(maxlen=1000))

    def next_expiry_s(self) -> float:
        """Seconds until the first command expires; infinite when none is held."""
        return min((hold.until for hold in self.held.values()), default=float("inf")) - time.monotonic()

    def follow(self, holds: list[Hold]) -> None:
        """Holds exactly these from now on."""
        self.followed = True
        self.held = {hold.point: hold for hold in holds}

    async def tend(self) -> None:
        """Gives back what expired, re-asserts what a device forgot, reports what others hold."""
        for hold in list(self.held.values()):
            if hold.until <= time.monotonic():
                await self._expire(hold)
        points = list(self.held)
        for reading in await self.look(points) if points else ():
            if reading.point in self.held:
                await self._reconcile(self.held[reading.point], reading)

    async def _expire(self, hold: Hold) -> None:
        try:
            await self.write(hold.point, None)
        except OutsideWorldError as error:
            self._note(hold, "expired, cannot be released yet", reason=str(error))
            return
        self.held.pop(hold.point, None)
        self._note(hold, "expired and released")

    async def _reconcile(self, hold: Hold, reading: Reading) -> None:
        if reading.value is None:
            self._note(hold, "cannot be read")
        elif reading.held_by not in {None, OURS}:
            self._note(hold, "overridden", by=str(reading.held_by))
        elif reading.own_value is not None:
            hold.last = ""
        elif self.followed:
            self._note(hold, "lost")
        elif hold.reasserted >= MOST_REASSERTIONS:
            self._note(hold, "given up", reasserted=str(hold.reasserted))
        else:
            await self._reassert(hold)

    async def _reassert(self, hold: Hold) -> None:
        hold.reasserted += 1
        try:
            await self.write(hold.point, hold.value)
        except OutsideWorldError as error:
            self._note(hold, "lost, cannot be re-asserted", reason=str(error))
            return
        self._note(hold, "lost and re-asserted", value=f"{hold.value:g}")

    def _note(self, hold: Hold, what: str, **facts: str) -> None:
        """A finding, once for each change of state."""
        if hold.last != what:
            hold.last = what
            self.findings.append(Finding(point=hold.point, what=what, facts={"action": hold.action_id, **facts}))
