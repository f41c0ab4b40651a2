"""The time of day that a device tells, and the clock of a world that an accelerated device carries."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from connectors.bacnet.device import DeviceClient
from twin.errors import OutsideWorldError

_FIRST_YEAR = 1900
"""A BACnet date counts years from here."""
_TOLD = ("local-date", "local-time", "utc-offset", "daylight-savings-status")


async def device_time(client: DeviceClient, instance: int) -> datetime | None:
    """The moment by a device's clock, None where it does not tell.

    A device without UTC offset is taken to tell UTC.

    Raises:
        SilentDeviceError: it does not answer.
    """
    found = (await client.read([(f"device,{instance}", _TOLD)]))[0]
    day, hour = found.get("local-date"), found.get("local-time")
    if day is None or hour is None:
        return None
    try:
        local = datetime(
            _FIRST_YEAR + day[0], day[1], day[2], hour[0], hour[1], hour[2], 10_000 * min(hour[3], 99), tzinfo=UTC
        )
    except ValueError:  # a field may be "any", as in a device that was never told the time
        return None
    west_min = int(found.get("utc-offset", 0)) - 60 * bool(found.get("daylight-savings-status", 0))
    return local + timedelta(minutes=west_min)  # the offset counts westward from Greenwich


class Teller(Protocol):
    """A connector whose device tells the time."""

    name: str

    def device_time(self) -> datetime | None:
        """The moment there."""
        ...

    def pass_time(self, seconds: float) -> bool:
        """Lets time pass there, if it passes at our word; otherwise False."""
        ...


class WorldClock:
    """A clock for change control that follows an accelerated device."""

    slice_s = 0.05

    def __init__(self, connector: Teller, speed: float) -> None:
        """Looks once.

        Args:
            connector: asks the device for its time.
            speed: seconds there in one of ours.

        Raises:
            OutsideWorldError: the device does not answer, or does not tell its time.
        """
        self.connector = connector
        self.speed = speed
        self._start = self.now()

    def now(self) -> datetime:
        """The moment in the device's world."""
        found = self.connector.device_time()
        if found is None:
            message = "the accelerated device does not tell its time (local-date, local-time); start the emulator anew"
            raise OutsideWorldError(message)
        return found

    def monotonic(self) -> float:
        """Seconds of the device's world since the first look."""
        return (self.now() - self._start).total_seconds()

    def wait(self, seconds: float) -> None:
        """Has the time pass there, or sleeps as long as it takes by itself, at most one slice."""
        if not self.connector.pass_time(seconds):
            time.sleep(max(0.0, min(seconds / self.speed, self.slice_s)))
