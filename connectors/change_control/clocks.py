"""Two clocks: the machine's own, and one that a simulation moves."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from twin.clock import require_aware


class SystemClock:
    """The machine's clock; waits in slices of a fifth of a second, so that a stop is seen at once."""

    slice_s = 0.2

    def now(self) -> datetime:
        """The moment by the calendar."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some start, which never jump."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Sleeps, at most one slice."""
        time.sleep(max(0.0, min(seconds, self.slice_s)))


class ManualClock:
    """A clock that moves only by waiting, with a hook that lets a simulated world run along."""

    def __init__(self, start: datetime, advance: Callable[[float], None] | None = None) -> None:
        self._wall = require_aware(start, "clock start")
        self._elapsed_s = 0.0
        self._advance = advance

    def now(self) -> datetime:
        """The moment of the simulated calendar."""
        return self._wall

    def monotonic(self) -> float:
        """Seconds waited so far."""
        return self._elapsed_s

    def wait(self, seconds: float) -> None:
        """Lets the time pass in the simulated world."""
        self._wall += timedelta(seconds=seconds)
        self._elapsed_s += seconds
        if self._advance is not None:
            self._advance(seconds)

    def jump(self, seconds: float) -> None:
        """Moves the calendar without time passing, as a wrong time server does."""
        self._wall += timedelta(seconds=seconds)
