"""Hosts and VMs as arrays: what the compute kernels work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.errors import BadInputError
from twin.site import Host, HostType, Vm

Array = NDArray[np.float64]
Index = NDArray[np.int64]

MEGABYTES_PER_MEGABIT = 1.0 / 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Facts of hosts and VMs, one array entry each, in the order of the site file."""

    host_ids: tuple[str, ...]
    vm_ids: tuple[str, ...]
    cores: Array
    """Shape (hosts,)."""
    core_mips: Array
    """Shape (hosts,). [MIPS]"""
    ram_mb: Array
    """Shape (hosts,). [MB]"""
    curve_w: Array
    """Power at 0, 10, … 100 % of capacity, shape (hosts, 11). [W]"""
    sleep_w: Array
    wake_s: Array
    wake_j: Array
    link_mb_s: Array
    """Network of each host, shape (hosts,). [MB/s]"""
    vm_mips: Array
    """Shape (VMs,). [MIPS]"""
    vm_cores: Array
    vm_ram_mb: Array
    dirty_mb_s: Array
    """Memory that a VM rewrites per second at full load, shape (VMs,). [MB/s]"""
    group: Index
    """Anti-affinity group, -1 for none, shape (VMs,)."""
    pinned: NDArray[np.bool_]
    barred: NDArray[np.bool_]
    """Hosts on which a VM cannot run, shape (VMs, hosts)."""
    home: Index
    """Host of each VM in the site file, -1 where none, shape (VMs,)."""

    @property
    def capacity_mips(self) -> Array:
        """CPU of each host, all cores together. [MIPS]"""
        return self.cores * self.core_mips


def _index(names: Sequence[str], what: str) -> dict[str, int]:
    index = {name: i for i, name in enumerate(names)}
    if len(index) < len(names):
        twice = sorted({name for name in names if list(names).count(name) > 1})
        raise BadInputError(f"{what} {', '.join(twice)} named twice; give each its own id")
    return index


def _lookup(index: dict[str, int], name: str, whose: str, what: str) -> int:
    if name not in index:
        raise BadInputError(f"{whose}: {what} {name!r} is not in the site; use one of {', '.join(sorted(index))}")
    return index[name]


def wake_energy_j(kind: HostType) -> float:
    """Energy of one wake-up: as stated, or full power while it lasts. [J]"""
    return kind.power_w[-1] * kind.wake_s if kind.wake_energy_j is None else kind.wake_energy_j


def fleet(hosts: Sequence[Host], types: Sequence[HostType], vms: Sequence[Vm]) -> Fleet:
    """Arrays of hosts and VMs.

    Raises:
        BadInputError: a host names an unknown type, a VM an unknown host, or an id is there twice.
    """
    kinds = {kind.name: i for i, kind in enumerate(types)}
    of = [types[_lookup(kinds, host.type, f"host {host.id}", "type")] for host in hosts]
    index = _index([host.id for host in hosts], "host")
    _index([vm.id for vm in vms], "VM")
    groups = {name: i for i, name in enumerate(sorted({vm.anti_affinity for vm in vms if vm.anti_affinity}))}
    home = [_lookup(index, vm.host, f"VM {vm.id}", "host") if vm.host else -1 for vm in vms]
    return Fleet(
        host_ids=tuple(index),
        vm_ids=tuple(vm.id for vm in vms),
        cores=np.array([float(kind.cores) for kind in of]),
        core_mips=np.array([kind.core_mips for kind in of]),
        ram_mb=np.array([kind.ram_mb for kind in of]),
        curve_w=np.array([kind.power_w for kind in of], dtype=float).reshape(len(of), 11),
        sleep_w=np.array([kind.sleep_power_w for kind in of]),
        wake_s=np.array([kind.wake_s for kind in of]),
        wake_j=np.array([wake_energy_j(kind) for kind in of]),
        link_mb_s=np.array([kind.network_mbit_s * MEGABYTES_PER_MEGABIT for kind in of]),
        vm_mips=np.array([vm.mips for vm in vms], dtype=float),
        vm_cores=np.array([float(vm.vcpus) for vm in vms]),
        vm_ram_mb=np.array([vm.ram_mb for vm in vms], dtype=float),
        dirty_mb_s=np.array([vm.dirty_mb_s for vm in vms], dtype=float),
        group=np.array([groups.get(vm.anti_affinity or "", -1) for vm in vms], dtype=np.int64),
        pinned=np.array([vm.pinned for vm in vms], dtype=bool),
        barred=np.array([[host in vm.barred_hosts for host in index] for vm in vms], dtype=bool).reshape(
            -1, len(index)
        ),
        home=np.array(home, dtype=np.int64),
    )
