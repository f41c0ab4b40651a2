"""The demo's world as one building with meters of its machines, to be served to others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from twin.plan import PointId, Quality, Reading
from twin.vocab import KIND_FACTS, Subject

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from connectors.bacnet.served import ServedBuilding, ServiceSettings
    from twin.cli.demonstration.world import EmbeddedWorld
    from twin.site import Site

TRENDS = "telemetry/live.csv"
"""Where the served site records itself, below the workspace."""


class WholeSite:
    """Building and machines of the demo's world under one roof, which record themselves as a site's trend logs do.

    See ``connectors.bacnet.served.Building``.
    """

    def __init__(self, world: EmbeddedWorld, trends: Path) -> None:
        """A site that has just come to the present.

        Args:
            world: started.
            trends: file that gets a row per step and reading, made anew.
        """
        self._world = world
        self._trends = trends
        commands = self.in_force()
        self._readings = [*(p for p in world.building.points() if p not in commands), *world.machines()]
        trends.parent.mkdir(exist_ok=True)
        trends.write_text("timestamp,point,value\n", encoding="utf-8")

    def points(self) -> tuple[PointId, ...]:
        """Commands and readings of the building, then readings of the machines."""
        return (*self._world.building.points(), *self._world.machines())

    def in_force(self) -> Mapping[PointId, float]:
        """What each command point stands at."""
        return self._world.building.in_force()

    def read(self, points: Sequence[PointId]) -> Sequence[Reading]:
        """Readings of the step that has just passed."""
        machines, now = self._world.machines(), self.now()
        own = {r.point: r for r in self._world.building.read([p for p in points if p not in machines])}
        return [
            own[point] if point in own else Reading(point=point, value=machines[point], at=now, quality=Quality.GOOD)
            for point in points
        ]

    def operate(self, point: PointId, value: float | None) -> None:
        """What the slots of a command say."""
        self._world.building.operate(point, value)

    def advance_steps(self, steps: int) -> None:
        """Lets time pass, and records each step under its begin."""
        for _ in range(steps):
            begin = self.now()
            self._world.building.advance_steps(1)
            rows = (
                f"{begin.isoformat()},{r.point},{r.value}\n" for r in self.read(self._readings) if r.value is not None
            )
            with self._trends.open("a", encoding="utf-8") as file:
                file.write("".join(rows))

    def now(self) -> datetime:
        """The building's own time."""
        return self._world.building.now()


def blocks_of(site: Site, served: ServedBuilding, settings: ServiceSettings) -> dict[str, dict[str, object]]:
    """What a site file needs to command the served site and to read its trend logs."""
    from connectors.bacnet.served import connector_block

    columns = [
        {"column": point.id, "kind": str(point.kind), "unit": KIND_FACTS[point.kind].unit}
        | ({} if KIND_FACTS[point.kind].subject is Subject.SITE else {"of": point.of})
        for point in site.points
        if point.id in served.object_names()
    ]
    source = {"files": [TRENDS], "layout": "long", "columns": columns}
    return {"connectors": {settings.name: connector_block(served, settings)}, "sources": {"live": source}}
