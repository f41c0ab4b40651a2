"""Where VMs should stand so that hosts become empty: the consolidation that a plan writes down move by move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twin.compute.fleet import Fleet, fleet
from twin.compute.packing import Packing
from twin.site import Site

Array = NDArray[np.float64]


def repacked(site: Site, busiest: Array, headroom: float) -> Site:
    """The site with its VMs packed on fewer hosts.

    Hosts are emptied from the least loaded on, each only if all its VMs fit elsewhere: CPU stays below
    ``1 - headroom`` at the VMs' busiest demand, memory is never over-committed, groups and pins hold.

    Args:
        site: hosts and VMs with their present homes.
        busiest: demand of each VM that must fit, as a share of its own CPU, shape (VMs,).
        headroom: share of each host's CPU that stays free.
    """
    facts = fleet(site.hosts, site.host_types, site.vms)
    packing = Packing(facts, facts.home, busiest * facts.vm_mips, 1.0)
    for host in np.argsort(packing.load_mips / facts.capacity_mips, kind="stable"):
        _empty(packing, facts, int(host), 1.0 - headroom)
    homes = dict(zip(facts.vm_ids, packing.host_of, strict=True))
    return replace(site, vms=tuple(replace(vm, host=_name(facts, homes[vm.id])) for vm in site.vms))


def _name(facts: Fleet, host: int) -> str | None:
    return facts.host_ids[host] if host >= 0 else None


def _empty(packing: Packing, facts: Fleet, host: int, limit: float) -> None:
    """Moves all VMs of a host to busier hosts, or none of them."""
    before = packing.host_of.copy()
    occupied = np.bincount(before[before >= 0], minlength=len(facts.host_ids)) > 0
    occupied[host] = False
    for vm in sorted(packing.vms_on(host), key=lambda v: -packing.demand_mips[v]):
        target = -1 if facts.pinned[vm] else packing.best(int(vm), occupied, limit)
        if target < 0:
            _put_back(packing, before)
            return
        packing.move(int(vm), target)


def _put_back(packing: Packing, before: NDArray[np.int64]) -> None:
    for vm in np.flatnonzero(packing.host_of != before):
        packing.move(int(vm), int(before[vm]))


def moves(before: Site, after: Site) -> Mapping[str, tuple[str, str]]:
    """VM → (from host, to host) for every VM that stands elsewhere, in site order."""
    homes = {vm.id: vm.host for vm in after.vms}
    return {vm.id: (vm.host, str(homes[vm.id])) for vm in before.vms if vm.host and vm.host != homes[vm.id]}


def emptied(site: Site) -> tuple[str, ...]:
    """Hosts on which no VM stands, in site order."""
    used = {vm.host for vm in site.vms}
    return tuple(host.id for host in site.hosts if host.id not in used)
