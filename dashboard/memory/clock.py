"""A clock that stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

EPOCH = datetime(2023, 7, 12, 14, tzinfo=UTC)
"""Where a standing clock stands unless told otherwise."""


@dataclass(slots=True)
class FixedClock:
    """A clock that stands until it is moved."""

    moment: datetime

    def now(self) -> datetime:
        """The moment."""
        return self.moment
