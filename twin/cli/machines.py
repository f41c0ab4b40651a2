"""Hosts and VMs as their connectors show them now: where a proposal starts."""

from __future__ import annotations

from collections.abc import Mapping

from twin.cli.carriers import shown
from twin.compute.live import LiveSite, live_site, together
from twin.plan import Value
from twin.ports import Connector, PlacementSource
from twin.site import Site


def live_machines(site: Site, connectors: Mapping[str, Connector]) -> LiveSite:
    """The site with its hosts and VMs where they stand now; as its file says where no connector can tell.

    Args:
        site: as its file says.
        connectors: by name.
    """
    sources = [one for one in connectors.values() if isinstance(one, PlacementSource)]
    if not sources or not site.hosts:
        return LiveSite(site=site, columns=tuple(range(len(site.vms))))
    off = [host for host, state in power_of(site, connectors).items() if state == "off"]
    return live_site(site, together(source.live_placement() for source in sources), off)


def power_of(site: Site, connectors: Mapping[str, Connector]) -> dict[str, Value]:
    """Power state of each host of the site that some connector knows."""
    points = {f"host/{host.id}/power": host.id for host in site.hosts}
    return {points[point]: value for point, (_, value) in shown(connectors, list(points)).items()}
