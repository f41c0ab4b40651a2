"""The embedded building as a site that lives on by itself: its time passes, and its telemetry comes in."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from twin.cli.demonstration.world import EmbeddedWorld
from twin.cli.output import note
from twin.cli.workspace import Workspace
from twin.errors import UnderstudyError

if TYPE_CHECKING:
    from connectors.change_control import PushSettings
    from twin.cli.control_room import ControlRoom
    from twin.ports import Connector

TICK_S = 0.05
"""Real time between two moves of the building's clock. [s]"""
SLICE_S = 0.2
"""Longest single wait, so that a stop is seen at once. [s]"""
DELIVERY_S = 2.0
"""Real time between two deliveries of telemetry. [s]"""
ROUND = timedelta(hours=1)
"""Building time between two rounds of the watchdog, and at least between two deliveries."""


class LiveWorld:
    """Clock and connectors of a demo workspace; the building's time passes at a chosen speed until it is closed.

    It goes on where the workspace's telemetry ends, for as many days as the bundled site knows. While it runs, it does
    what the agent does at a real site: deadlines and hold times are enforced.
    """

    def __init__(self, here: Workspace, speed: float) -> None:
        """Starts the engine and brings the building to the present.

        Args:
            here: a workspace of the bundled site.
            speed: seconds of the building in one of ours; may be changed while it runs.

        Raises:
            BadInputError: the workspace's telemetry goes beyond what the bundled site knows.
        """
        from connectors.emulator.bundled_site import AHEAD_DAYS, NOW
        from connectors.emulator.one_at_a_time import OneAtATime
        from twin.cli.proposals import present

        self._here = here
        self.speed = speed
        self._nominal = speed
        self.world = EmbeddedWorld.between(here, present(here), NOW + timedelta(days=AHEAD_DAYS - 1))
        self.world.start()
        self._lock = threading.RLock()
        self.connectors: dict[str, Connector] = {
            "building": OneAtATime(self.world.building, self._lock),
            "hosts": OneAtATime(self.world.hosts, self._lock),
        }
        self._over = threading.Event()
        self._holders = 0
        self._delivered = self.world.now
        self._thread = threading.Thread(target=self._live, name="embedded-building", daemon=True)

    # ---- clock ---------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The building's time, UTC."""
        return self.world.building.now()

    def monotonic(self) -> float:
        """Seconds of building time since its start."""
        return self.world.building.monotonic()

    def wait(self, seconds: float) -> None:
        """Lets building time pass at its speed, at most a slice of real time."""
        passed = min(seconds, SLICE_S * self.speed)
        time.sleep(passed / self.speed)
        self._pass(passed)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Meanwhile time passes only by waiting.

        What a push does between its waits takes no building time, as in a simulation, so that it is as long for the
        building on a slow machine as on a fast one.
        """
        with self._lock:
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1

    def settings(self) -> PushSettings:
        """A push's patience with processes, which live in real time; what concerns the building stays as it is."""
        from connectors.change_control import PushSettings

        plain, k = PushSettings(), self._nominal
        return PushSettings(
            write_timeout_s=plain.write_timeout_s * k,
            lease_s=plain.lease_s * k,
            backoff_s=plain.backoff_s * k,
            poll_s=SLICE_S * k,
        )

    # ---- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Lets the time pass."""
        self._thread.start()

    def close(self) -> None:
        """Ends the building; telemetry until now is kept."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self.world.building.stop()

    def _live(self) -> None:
        from twin.cli.control_room import open_control_room

        room = open_control_room(self._here.folder, clock=self, connectors=self.connectors, settings=self.settings())
        looked, delivered_s = self.now(), time.monotonic()
        while not self._over.wait(TICK_S):
            if not self._holders and not self._pass(TICK_S * self.speed):
                break
            if self.now() - looked >= ROUND:
                looked = self.now()
                self._enforce(room)
            if self.now() - self._delivered >= ROUND and time.monotonic() - delivered_s >= DELIVERY_S:
                self.deliver()
                delivered_s = time.monotonic()
        self.deliver()

    def _pass(self, seconds: float) -> bool:
        """Moves the building's time; whether it may go on."""
        try:
            with self._lock:
                self.world.building.wait(seconds)
        except UnderstudyError as error:
            note(f"the embedded building stands still: {error}")
            return False
        return True

    def _enforce(self, room: ControlRoom) -> None:
        try:
            room.control.enforce()
        except UnderstudyError as error:
            note(f"a round of the watchdog failed: {error}")

    def deliver(self) -> None:
        """Brings what was measured since the last delivery into the workspace's telemetry."""
        step = timedelta(seconds=self._here.site.step_s)
        with self._lock:
            if self.now() - self._delivered < step:
                return
            rows = self.world.telemetry(self._delivered)
            self._delivered = rows["timestamp"].max().to_pydatetime() + step
        self._here.telemetry.append(rows)
