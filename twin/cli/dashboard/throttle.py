"""How often one source may fail to sign in: whoever tries many accounts is kept out as a whole."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from threading import Lock

from twin.errors import RefusedError

MOST_FAILURES = 20
WINDOW = timedelta(minutes=15)
MOST_SOURCES = 10_000


class Throttle:
    """Failures of each source within a window; of one process, like the sessions."""

    def __init__(self) -> None:
        self._failures: dict[str, deque[datetime]] = {}
        self._lock = Lock()

    def require_open(self, source: str, now: datetime) -> None:
        """Nothing when a source may try.

        Raises:
            RefusedError: it failed too often of late; its password is not even looked at.
        """
        with self._lock:
            recent = self._recent(source, now)
            if len(recent) >= MOST_FAILURES:
                until = recent[0] + WINDOW
                message = f"{len(recent)} sign-ins from {source} failed; the next is heard after {until:%H:%M} UTC"
                raise RefusedError(message)

    def failed(self, source: str, now: datetime) -> bool:
        """Counts a failure; whether it is the one that locks the source."""
        with self._lock:
            recent = self._recent(source, now)
            recent.append(now)
            if len(self._failures) > MOST_SOURCES:
                self._failures.pop(next(iter(self._failures)))
            return len(recent) == MOST_FAILURES

    def _recent(self, source: str, now: datetime) -> deque[datetime]:
        recent = self._failures.setdefault(source, deque(maxlen=MOST_FAILURES))
        while recent and recent[0] <= now - WINDOW:
            recent.popleft()
        return recent
