"""A connector whose building moves on in another thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from twin.plan import Action, Capability, Check, PointId, Reading, Receipt
from twin.ports import Connector


class OneAtATime:
    """A connector of the embedded world, used by one thread at a time."""

    def __init__(self, inner: Connector, lock: threading.RLock) -> None:
        self._inner, self._lock = inner, lock
        self.name = inner.name
        self.capabilities: frozenset[Capability] = inner.capabilities

    def points(self) -> tuple[PointId, ...]:
        """All points."""
        points: tuple[PointId, ...] = self._inner.points()  # type: ignore[attr-defined]  # both embedded ones list them
        return points

    def read(self, points: Sequence[PointId]) -> Sequence[Reading]:
        """As the building shows them."""
        with self._lock:
            return self._inner.read(points)

    def check(self, action: Action) -> Check:
        """Whether it could be applied now."""
        with self._lock:
            return self._inner.check(action)

    def apply(self, action: Action) -> Receipt:
        """Writes our slot."""
        with self._lock:
            return self._inner.apply(action)

    def release(self, receipt: Receipt) -> None:
        """Gives our slot back."""
        with self._lock:
            self._inner.release(receipt)
