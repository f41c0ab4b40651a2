"""The demo's workspace with its EnergyPlus building alive, the dashboard over real services, and people at browsers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from browser import Watched, context_of, serving
from playwright.sync_api import Browser

from connectors.governance import Role
from dashboard.app import create_dashboard
from twin.cli.control_room import ControlRoom
from twin.cli.dashboard.rooms import Rooms
from twin.cli.dashboard.services import job_table, services_of
from twin.cli.dashboard.worker import WorkerThread
from twin.cli.demonstration.live import LiveWorld
from twin.cli.workspace import Workspace
from twin.jobs import Job, Lane
from twin.plan import Reading
from twin.vocab import PointKind

PUSHING = 1800.0
"""Speed at which a push is watched: a settle time of a quarter of an hour takes half a second."""
STILL = 1.0
HASTE = 100_000.0
PASSWORD = "rehearsal"


class LiveSite:
    """The services, the world behind them, and who looked at it with a browser."""

    def __init__(self, folder: Path, browser: Browser, base: str, world: LiveWorld, rooms: Rooms) -> None:
        self.folder, self.base, self.world, self.rooms = folder, base, world, rooms
        self._browser = browser
        self.watched: list[Watched] = []

    @property
    def room(self) -> ControlRoom:
        """Journal and people, as the present thread may use them."""
        return self.rooms.room()

    def person(self, user: str, look: str = "light") -> Watched:
        """A browser of a person who has signed in."""
        one = Watched(context_of(self._browser, self.base, look), self.base)
        one.sign_in(user, PASSWORD)
        self.watched.append(one)
        return one

    def faults(self) -> list[str]:
        """What went wrong on any page, and whom any page asked that is not this server."""
        return [text for one in self.watched for text in (*one.faults, *one.strangers)]

    def let_pass(self, hours: float) -> None:
        """Lets building time pass quickly, with its telemetry delivered."""
        until, self.world.speed = self.world.monotonic() + 3600.0 * hours, HASTE
        wait_for(lambda: self.world.monotonic() >= until, 120, f"{hours} h in the building")
        self.world.speed = STILL
        self.world.deliver()

    def held(self) -> dict[str, Reading]:
        """Points of the building that are ours now."""
        points = self.world.connectors["building"].points()  # type: ignore[attr-defined]  # the live one lists them
        found = self.world.connectors["building"].read(points)
        return {one.point: one for one in found if one.held_by == "understudy"}

    def hottest(self) -> tuple[str, pd.Timestamp, float]:
        """Room, moment and temperature of the hottest room with people in all telemetry. [°C]"""
        here = self.rooms.workspace
        found = [
            (temperature.loc[people > 0].max(), zone, temperature.loc[people > 0].idxmax())
            for zone in (zone.id for zone in here.site.zones)
            for temperature, people in [
                (
                    series(here, PointKind.ZONE_AIR_TEMPERATURE, zone),
                    series(here, PointKind.ZONE_OCCUPANCY, zone),
                )
            ]
        ]
        value, zone, at = max(found)
        return zone, at, float(value)

    def jobs(self) -> Sequence[Job]:
        """The job table, newest first."""
        return job_table(self.rooms).all()

    def summary(self, batch: str) -> dict[str, Any]:
        """What the runner wrote about a batch."""
        file = self.folder / "var" / "results" / batch / "summary.json"
        told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return told


def series(here: Workspace, kind: PointKind, of: str) -> pd.Series[float]:
    point = next(point.id for point in here.site.points_of(kind) if point.of == of)
    rows = here.telemetry.read([point])
    return rows.set_index("timestamp")["value"]


def wait_for(true: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what} took longer than {seconds} s"
        time.sleep(0.05)


@contextmanager
def live_site(folder: Path, browser: Browser) -> Iterator[LiveSite]:
    """The site, alive until the block ends."""
    with ExitStack() as over:
        world = LiveWorld(Workspace.at(folder), PUSHING)
        over.callback(world.close)
        world.speed = STILL
        world.start()
        rooms = Rooms(folder, world)
        rooms.room().identity.add("auditor", PASSWORD, [Role.AUDITOR])
        for lane in Lane:
            worker = WorkerThread(rooms, lane)
            over.callback(worker.stop)
            worker.start()
        made = create_dashboard(services_of(rooms))
        base = over.enter_context(serving(made.server))
        yield LiveSite(folder, browser, base, world, rooms)
