"""The calendar connector against radicale, by ICS and by CalDAV."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from peers import Peer, free_port, missing, wait_for_port

pytest.importorskip("httpx2")
pytest.importorskip("recurring_ical_events")

from connectors.conformance import CHECKS, Trial
from connectors.protocols.calendars import (
    Booking,
    CalendarConnector,
    CalendarKind,
    CalendarSettings,
    RoomCalendar,
    booked_means,
    bookings_in,
)
from connectors.protocols.web import WebSettings
from connectors.secret import SecretSource
from twin.errors import OutsideWorldError
from twin.plan import Action, ActionKind

BERLIN = ZoneInfo("Europe/Berlin")
EVENTS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//test//EN
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:STANDARD
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
BEGIN:VEVENT
UID:standup
SUMMARY:Secret merger
DTSTAMP:20260101T000000Z
DTSTART;TZID=Europe/Berlin:20260323T090000
DTEND;TZID=Europe/Berlin:20260323T093000
RRULE:FREQ=DAILY;COUNT=10
EXDATE;TZID=Europe/Berlin:20260325T090000
ATTENDEE:mailto:ada@example.org
ATTENDEE:mailto:bob@example.org
ATTENDEE:mailto:cy@example.org
END:VEVENT
BEGIN:VEVENT
UID:standup
DTSTAMP:20260101T000000Z
RECURRENCE-ID;TZID=Europe/Berlin:20260326T090000
DTSTART;TZID=Europe/Berlin:20260326T140000
DTEND;TZID=Europe/Berlin:20260326T150000
ATTENDEE:mailto:ada@example.org
END:VEVENT
BEGIN:VEVENT
UID:cancelled
DTSTAMP:20260101T000000Z
DTSTART:20260324T100000Z
DTEND:20260324T110000Z
STATUS:CANCELLED
END:VEVENT
BEGIN:VEVENT
UID:free
DTSTAMP:20260101T000000Z
DTSTART:20260324T100000Z
DTEND:20260324T110000Z
TRANSP:TRANSPARENT
END:VEVENT
BEGIN:VEVENT
UID:allday
DTSTAMP:20260101T000000Z
DTSTART;VALUE=DATE:20260324
DTEND;VALUE=DATE:20260325
END:VEVENT
END:VCALENDAR
"""
MARCH = (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 30, tzinfo=UTC))


def test_recurrences_exceptions_moves_and_dst_are_expanded() -> None:
    """Ten days from 23 March but the 25th; the 26th is moved; from the 29th Berlin is at +02:00."""
    booked = sorted(bookings_in(EVENTS, *MARCH, BERLIN, 1))
    at_nine_berlin = [f"{b.start:%m-%d %H:%M}" for b in booked]
    assert at_nine_berlin == [
        "03-23 08:00", "03-24 08:00", "03-26 13:00", "03-27 08:00", "03-28 08:00",
        "03-29 07:00", "03-30 07:00", "03-31 07:00", "04-01 07:00",
    ]  # fmt: skip
    assert [b.people for b in booked][:3] == [3, 3, 1]


def test_people_are_averaged_over_the_steps_that_a_booking_touches() -> None:
    start = datetime(2026, 3, 2, 9, tzinfo=UTC)
    booking = Booking(start=start + timedelta(minutes=5), end=start + timedelta(minutes=30), people=6)
    grid = [start + i * timedelta(minutes=15) for i in range(4)]
    assert booked_means([booking], grid, timedelta(minutes=15)) == [pytest.approx(4.0), 6.0, 0.0, 0.0]


def test_a_text_that_is_no_calendar_is_an_error() -> None:
    with pytest.raises(OutsideWorldError, match="no calendar"):
        list(bookings_in("<html>login</html>", *MARCH, BERLIN, 1))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    import httpx2

    if not Path(sys.executable).with_name("radicale").exists():
        missing("radicale is not installed (radicale from PyPI)")
    folder = tmp_path_factory.mktemp("radicale")
    (folder / "users").write_text("rooms:calendar-pw\n")
    port = free_port()
    (folder / "config").write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n[auth]\ntype = htpasswd\nhtpasswd_filename = {folder / 'users'}\n"
        f"htpasswd_encryption = plain\n[storage]\nfilesystem_folder = {folder / 'data'}\n"
    )
    peer = Peer([sys.executable, "-m", "radicale", "--config", folder / "config"], log=folder / "log")
    wait_for_port(port, peer)
    base = f"http://127.0.0.1:{port}"
    with httpx2.Client(base_url=base, auth=("rooms", "calendar-pw"), trust_env=False) as client:
        for room in ("r1", "r2"):
            answer = client.put(f"/rooms/{room}/", content=EVENTS.encode(), headers={"Content-Type": "text/calendar"})
            assert answer.status_code in {200, 201}, answer.text
    yield base
    peer.stop()


@pytest.fixture
def connector(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[CalendarConnector]:
    monkeypatch.setenv("UNDERSTUDY_TEST_CALENDAR", "calendar-pw")
    server = WebSettings(
        url=url, username="rooms", password=SecretSource(env="UNDERSTUDY_TEST_CALENDAR"), timeout_s=3.0
    )
    rooms = {
        "r1/booked": RoomCalendar(path="/rooms/r1/"),
        "r2/booked": RoomCalendar(path="/rooms/r2/", kind=CalendarKind.CALDAV),
    }
    now = datetime(2026, 3, 24, 8, 10, tzinfo=UTC)
    made = CalendarConnector(
        "rooms", CalendarSettings(server=server, points=rooms, time_zone="Europe/Berlin"), lambda: now
    )
    yield made
    made.close()


@pytest.mark.real
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_calendar_connector_keeps_the_contract(check, connector: CalendarConnector) -> None:
    from dataclasses import replace

    server = replace(connector.settings.server, url=f"http://127.0.0.1:{free_port()}")
    nobody = CalendarConnector("nobody", replace(connector.settings, server=server))
    write = Action(id="a", kind=ActionKind.SET_POINT, connector="rooms", point="r1/booked", value=0.0, expected=None)
    check(
        Trial(
            connector=connector,
            readable=["r1/booked", "r2/booked"],
            unreadable="r9/booked",
            forbidden=[write],
            unreachable=nobody,
            timeout_s=8.0,
            secrets=["calendar-pw"],
        )
    )
    nobody.close()


@pytest.mark.real
def test_ics_and_caldav_tell_the_same_bookings(connector: CalendarConnector) -> None:
    by_ics, by_caldav = (connector.bookings(room, *MARCH) for room in ("r1/booked", "r2/booked"))
    assert len(by_ics) == 9
    assert by_ics == by_caldav


@pytest.mark.real
def test_no_title_or_name_gets_into_what_is_fetched(connector: CalendarConnector) -> None:
    rows = connector.fetch(*MARCH)
    text = rows.to_csv() + repr(connector.bookings("r1/booked", *MARCH))
    assert not any(word in text for word in ("merger", "ada", "example.org"))
    assert rows["value"].sum() > 0
