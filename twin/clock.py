"""The one clock: simulation seconds to aware UTC and back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from twin.errors import BadInputError


def require_aware(moment: datetime, what: str) -> datetime:
    """The same moment in UTC.

    Raises:
        BadInputError: the moment has no time zone.
    """
    if moment.tzinfo is None:
        message = f"{what}: time {moment.isoformat()} has no time zone; add an offset such as 'Z' or '+01:00'"
        raise BadInputError(message)
    return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimClock:
    """Converts SimPy's ``env.now`` (float seconds since ``start``) and aware UTC."""

    start: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", require_aware(self.start, "simulation start"))

    def at(self, now_s: float) -> datetime:
        """The moment that is ``now_s`` seconds after the start, in UTC."""
        return self.start + timedelta(seconds=now_s)

    def seconds(self, moment: datetime) -> float:
        """Seconds from the start to ``moment``; negative before it."""
        return (require_aware(moment, "moment") - self.start).total_seconds()
