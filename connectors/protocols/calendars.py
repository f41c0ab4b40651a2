"""Calendars of rooms by ICS or CalDAV: when a room is booked and for how many, never for what or by whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import icalendar
import pandas as pd
import recurring_ical_events

from connectors.protocols.plain import PlainConnector
from connectors.protocols.web import Web, WebSettings
from connectors.self_test import clock_difference_s
from twin.errors import OutsideWorldError
from twin.plan import Capability, PointId, Quality, Reading

MOST_BOOKINGS = 20_000
_CALDAV = "{urn:ietf:params:xml:ns:caldav}"
_QUERY = """<?xml version="1.0" encoding="utf-8"?>
<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">
  <D:prop><C:calendar-data/></D:prop>
  <C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">
    <C:time-range start="{start:%Y%m%dT%H%M%SZ}" end="{end:%Y%m%dT%H%M%SZ}"/>
  </C:comp-filter></C:comp-filter></C:filter>
</C:calendar-query>"""


class CalendarKind(StrEnum):
    """How a calendar is asked."""

    ICS = "ics"
    """One file by GET."""
    CALDAV = "caldav"
    """A collection that is queried for a span of time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomCalendar:
    """The calendar of one room."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    path: str
    kind: CalendarKind = CalendarKind.ICS


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarSettings:
    """Everything a calendar connector is told."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    server: WebSettings
    points: Mapping[str, RoomCalendar]
    """Point of booked people → calendar of the room."""
    time_zone: str = "UTC"
    """For events without a zone."""
    step_s: float = 900.0
    people: int = 1
    """People of a booking that names no attendees."""
    history_s: float = 7 * 86_400.0
    ahead_s: float = 14 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Booking:
    """A room is booked. A booking is not presence: treat it as a probability."""

    start: datetime
    end: datetime
    people: int


def bookings_in(ics: str, since: datetime, until: datetime, zone: ZoneInfo, people: int) -> Iterator[Booking]:
    """Bookings of a calendar text that touch the span; cancelled, free and all-day events are none.

    Args:
        ics: an iCalendar text, recurrences and exceptions included.
        since: start of the span.
        until: its end.
        zone: of times without one.
        people: of an event that names no attendees.

    Raises:
        OutsideWorldError: the text is no calendar.
    """
    try:
        calendar = icalendar.Calendar.from_ical(ics)
        events = recurring_ical_events.of(calendar).between(since, until)
    except (ValueError, KeyError, TypeError) as error:
        message = f"the text is no calendar that can be read: {type(error).__name__}"
        raise OutsideWorldError(message) from None
    for event in islice(events, MOST_BOOKINGS):
        start, end = event["DTSTART"].dt, event.get("DTEND", event["DTSTART"]).dt
        busy = event.get("STATUS") != "CANCELLED" and event.get("TRANSP") != "TRANSPARENT"
        if busy and isinstance(start, datetime) and isinstance(end, datetime):
            yield Booking(start=_utc(start, zone), end=_utc(end, zone), people=_attendees(event) or people)


def _utc(moment: datetime, zone: ZoneInfo) -> datetime:
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _attendees(event: Any) -> int:  # a component of the library
    named = event.get("ATTENDEE", [])
    return len(named) if isinstance(named, list) else 1


class CalendarConnector(PlainConnector):
    """Reads only: people booked into each room."""

    capabilities = frozenset({Capability.READ, Capability.HISTORY})

    def __init__(
        self, name: str, settings: CalendarSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        super().__init__(name, dict.fromkeys(settings.points), clock)
        self.settings = settings
        self.web = Web(name, settings.server)

    def bookings(self, point: PointId, since: datetime, until: datetime) -> list[Booking]:
        """Bookings of a room that touch the span, in order.

        Raises:
            OutsideWorldError: the server does not answer, or not with a calendar.
        """
        room = self.settings.points[point]
        texts = [self.web.text("GET", room.path)] if room.kind is CalendarKind.ICS else self._query(room, since, until)
        zone = ZoneInfo(self.settings.time_zone)
        people = self.settings.people
        return sorted({booking for text in texts for booking in bookings_in(text, since, until, zone, people)})

    def _query(self, room: RoomCalendar, since: datetime, until: datetime) -> list[str]:
        body = _QUERY.format(start=since.astimezone(UTC), end=until.astimezone(UTC))
        headers = {"Depth": "1", "Content-Type": "application/xml; charset=utf-8"}
        answer = self.web.text("REPORT", room.path, content=body.encode(), headers=headers)
        try:
            root = ET.fromstring(answer)
        except ET.ParseError:
            message = f"{self.name}: {room.path} does not answer as a CalDAV collection"
            raise OutsideWorldError(message) from None
        return [node.text for node in root.iter(f"{_CALDAV}calendar-data") if node.text]

    def look(self, points: Sequence[PointId]) -> Mapping[PointId, Reading]:
        """People booked into each room now."""
        now = self._clock()
        found: dict[PointId, Reading] = {}
        for point in points:
            booked = self.bookings(point, now, now + timedelta(seconds=1))
            value = float(sum(booking.people for booking in booked if booking.start <= now < booking.end))
            found[point] = Reading(point=point, value=value, at=now, quality=Quality.GOOD)
        return found

    def fetch(self, since: datetime | None, until: datetime | None) -> pd.DataFrame:
        """People booked, as the mean over each step, from the past into the days ahead."""
        now = self._clock()
        since = since or now - timedelta(seconds=self.settings.history_s)
        until = until or now + timedelta(seconds=self.settings.ahead_s)
        step = timedelta(seconds=self.settings.step_s)
        first = datetime.fromtimestamp(-(-since.timestamp() // step.total_seconds()) * step.total_seconds(), UTC)
        grid = [first + i * step for i in range(max(0, int((until - first) / step)))]
        frames = [
            pd.DataFrame(
                {
                    "timestamp": pd.DatetimeIndex(grid, tz="UTC").as_unit("ns"),
                    "point": pd.Series([point] * len(grid), dtype=object),
                    "value": booked_means(self.bookings(point, since, until), grid, step),
                }
            )
            for point in self.settings.points
        ]
        return pd.concat(frames, ignore_index=True)

    def clock_difference_s(self) -> float | None:
        """How far the server's clock is ahead of ours, as told with its last answer. [s]"""
        return clock_difference_s(self.web.date_header, self._clock())

    def close(self) -> None:
        """Closes the connection."""
        self.web.close()


def booked_means(bookings: Sequence[Booking], grid: Sequence[datetime], step: timedelta) -> list[float]:
    """Mean number of booked people in each step that begins on the grid."""
    means = [0.0] * len(grid)
    for booking in bookings:
        first = max(0, int((booking.start - grid[0]) // step)) if grid else 0
        for i in range(first, len(grid)):
            if grid[i] >= booking.end:
                break
            shared = min(booking.end, grid[i] + step) - max(booking.start, grid[i])
            means[i] += booking.people * max(timedelta(0), shared) / step
    return means
