"""Connectors by name: from the blocks of a site file to the objects that the change control drives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.cli.carriers import shown
from twin.errors import BadInputError
from twin.ports import Clock, Connector, PlacementSource

if TYPE_CHECKING:
    from connectors.change_control import PushSettings
    from connectors.settings import ConnectorBlock, SiteFile

Build = Callable[["ConnectorBlock", "SiteFile", Clock, Path], Connector]


def _simulated_building(block: ConnectorBlock, site: SiteFile, clock: Clock, folder: Path) -> Connector:
    from connectors.simulated import SimulatedBuilding
    from twin.building.program import program_points

    points = {str(point): float(value) for point, value in block.options.get("points", {}).items()}
    points = points or program_points(site.site, site.site.operation)
    return SimulatedBuilding(block.name, points, clock, state_file=folder / f"{block.name}.json")


def _simulated_hosts(block: ConnectorBlock, site: SiteFile, clock: Clock, folder: Path) -> Connector:
    from connectors.simulated import SimulatedHosts

    model = site.site
    if not model.hosts:
        message = f"connector {block.name}: the site file lists no hosts to simulate; add 'hosts' and 'vms'"
        raise BadInputError(message)
    state_file = folder / f"{block.name}.json"
    return SimulatedHosts(block.name, model.hosts, model.host_types, model.vms, clock, state_file=state_file)


def _real(block: ConnectorBlock, site: SiteFile, clock: Clock, folder: Path) -> Connector:
    from connectors.registry import TYPES, build

    if block.kind not in TYPES:
        known = ", ".join(sorted({*KINDS, *TYPES}))
        raise block.refusal("type", f"{block.kind!r} is no type of connector; known: {known}")
    return build(block, clock.now)


KINDS: Mapping[str, Build] = {
    "simulated_building": _simulated_building,
    "simulated_hosts": _simulated_hosts,
}
"""``type`` in the site file → how it is built."""


def build_connectors(site: SiteFile, clock: Clock, workspace: Path) -> dict[str, Connector]:
    """All connectors of a site file.

    Raises:
        BadInputError: a type that is not known, with its place in the file.
    """
    folder = workspace / "var" / "simulated"
    folder.mkdir(parents=True, exist_ok=True)
    built: dict[str, Connector] = {}
    for name, block in site.connectors.items():
        teller: Any = getattr(clock, "connector", None)
        if teller is not None and teller.name == name:
            built[name] = teller
        else:
            built[name] = KINDS.get(block.kind, _real)(block, site, clock, folder)
    _acquaint(built)
    return built


def _acquaint(built: Mapping[str, Connector]) -> None:
    """Who switches hosts asks those who know the VMs; who starts VMs asks those who know which hosts are off."""
    for name, connector in built.items():
        others = {other: one for other, one in built.items() if other != name}
        if hasattr(connector, "guests_on"):
            connector.guests_on = partial(_guests_on, others)
        if hasattr(connector, "fenced"):
            connector.fenced = partial(_is_off, others)


def _guests_on(others: Mapping[str, Connector], host: str) -> int | None:
    """VMs on a host by all who know it; None when nobody does."""
    placements = [one.live_placement() for one in others.values() if isinstance(one, PlacementSource)]
    counts = [count for placement in placements if (count := placement.running_on(host)) is not None]
    return sum(counts) if counts else None


def _is_off(others: Mapping[str, Connector], host: str) -> bool:
    point = f"host/{host}/power"
    return shown(others, [point]).get(point, ("", ""))[1] == "off"


def clock_of(site: SiteFile) -> Clock:
    """The machine's clock, or that of the accelerated world which a connector of the site file leads to.

    Raises:
        OutsideWorldError: that world does not answer.
    """
    from connectors.change_control import SystemClock
    from connectors.registry import build

    for block in site.connectors.values():
        if block.kind == "bacnet" and block.options.get("speed", 1.0) != 1.0:
            connector: Any = build(block, SystemClock().now)
            clock: Clock = connector.world_clock()
            return clock
    return SystemClock()


def pace_of(clock: Clock) -> PushSettings:
    """How patient a push is: waits count by the clock of the world, patience by ours."""
    from connectors.change_control import PushSettings

    return PushSettings().at_speed(getattr(clock, "speed", 1.0))
