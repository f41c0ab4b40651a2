"""Which connector carries which point, and what it shows now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from twin.errors import OutsideWorldError, RefusedError
from twin.plan import PointId, Value
from twin.ports import Connector
from twin.site import Site

if TYPE_CHECKING:
    from twin.plans.document import Guard

GUARD_MARGIN_K = 3.0
"""A room this far outside its unoccupied band stops a push. [K]"""


def shown(connectors: Mapping[str, Connector], points: Sequence[PointId]) -> dict[PointId, tuple[str, Value]]:
    """For each point that some connector can read now: the first that can, and the value; a dead one shows nothing."""
    found: dict[PointId, tuple[str, Value]] = {}
    for name, connector in connectors.items():
        wanted = [point for point in points if point not in found]
        with suppress(OutsideWorldError):
            readings = connector.read(wanted) if wanted else ()
            found |= {reading.point: (name, reading.value) for reading in readings if reading.value is not None}
    return found


def carriers(
    connectors: Mapping[str, Connector], points: Sequence[PointId], what: str
) -> dict[PointId, tuple[str, Value]]:
    """For each point its connector and the value that it shows.

    Raises:
        RefusedError: no connector shows one of them.
    """
    found = shown(connectors, points)
    missing = [point for point in points if point not in found]
    if missing:
        names = ", ".join(connectors) or "none is configured"
        message = f"no connector carries {what} (asked: {names}; first point {missing[0]}); add one under 'connectors:'"
        raise RefusedError(message)
    return found


def temperature_guards(site: Site, connectors: Mapping[str, Connector]) -> tuple[Guard, ...]:
    """A guard per zone whose temperature some connector can read."""
    from twin.plans.document import Guard
    from twin.vocab import PointKind

    heating, cooling = site.operation.heating_setpoint_c, site.operation.cooling_setpoint_c
    if heating is None or cooling is None:
        return ()
    points = site.points_of(PointKind.ZONE_AIR_TEMPERATURE)
    carried = shown(connectors, [point.id for point in points])
    return tuple(
        Guard(
            name=f"temperature of {point.of}",
            connector=carried[point.id][0],
            point=point.id,
            unit="degC",
            low=heating.unoccupied - GUARD_MARGIN_K,
            high=cooling.unoccupied + GUARD_MARGIN_K,
        )
        for point in points
        if point.id in carried
    )
