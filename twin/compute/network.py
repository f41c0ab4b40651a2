"""Bandwidth that a live migration gets between two hosts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twin.compute.fleet import MEGABYTES_PER_MEGABIT, Array, Fleet
from twin.errors import BadInputError
from twin.site import NetworkLink

COPY_SHARE = 0.5
"""Share of a link that copies may take; the rest serves the VMs, as in the reference experiment."""


def copy_mb_s(fleet: Fleet, links: Sequence[NetworkLink] = ()) -> Array:
    """Bandwidth of a copy from each host to each other, shape (hosts, hosts). [MB/s]

    The narrowest of both hosts' own links and, where links are described, of the shortest path between them.

    Raises:
        BadInputError: links are described, but two hosts have no path.
    """
    narrow = np.minimum(fleet.link_mb_s[:, None], fleet.link_mb_s[None, :])
    if links:
        narrow = np.minimum(narrow, _paths(fleet, links))
    return COPY_SHARE * narrow


def _paths(fleet: Fleet, links: Sequence[NetworkLink]) -> Array:
    import networkx as nx

    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(fleet.host_ids)
    for link in links:
        graph.add_edge(link.a, link.b, mb_s=link.mbit_s * MEGABYTES_PER_MEGABIT)
    widths = np.full((len(fleet.host_ids), len(fleet.host_ids)), np.inf)
    for a, source in enumerate(fleet.host_ids):
        paths = nx.single_source_shortest_path(graph, source)
        for b, target in enumerate(fleet.host_ids):
            if target not in paths:
                raise BadInputError(f"links: no path from host {source} to {target}; describe the switch between them")
            hops = zip(paths[target], paths[target][1:], strict=False)
            widths[a, b] = min((graph.edges[hop]["mb_s"] for hop in hops), default=np.inf)
    return widths
