"""A tentative packing of VMs on hosts: what is planned, what still fits, and where power rises least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.compute.fleet import Array, Fleet, Index
from twin.compute.power import power_w

Flags = NDArray[np.bool_]
NOTHING_MIPS = 1e-6
"""Load that is only rounding. [MIPS]"""


class Packing:
    """Loads and memory of hosts while a decision is made; nothing here touches the running state."""

    def __init__(self, fleet: Fleet, host_of: Index, demand_mips: Array, memory_overcommit: float) -> None:
        self._fleet = fleet
        self._capacity_mips = fleet.capacity_mips
        self.host_of = host_of.copy()
        self._standing = host_of.copy()
        self.demand_mips = demand_mips
        self.load_mips = self._per_host(demand_mips)
        self.ram_mb = self._per_host(fleet.vm_ram_mb)
        self._ram_limit_mb = fleet.ram_mb * memory_overcommit

    def _per_host(self, of_vm: Array) -> Array:
        placed = self.host_of >= 0
        summed = np.bincount(self.host_of[placed], weights=of_vm[placed], minlength=len(self._fleet.host_ids))
        return summed.astype(np.float64)

    def hold(self, standing: Index) -> None:
        """Count memory and groups of VMs also where they still stand while they are copied, shape (VMs,)."""
        for vm in np.flatnonzero((standing != self.host_of) & (standing >= 0)):
            self.ram_mb[standing[vm]] += self._fleet.vm_ram_mb[vm]
        self._standing = standing.copy()

    def copy(self) -> Packing:
        """The same packing, to try moves on."""
        twin = object.__new__(Packing)
        twin._fleet, twin._capacity_mips, twin._ram_limit_mb = self._fleet, self._capacity_mips, self._ram_limit_mb
        twin.host_of, twin._standing = self.host_of.copy(), self._standing.copy()
        twin.demand_mips, twin.load_mips, twin.ram_mb = self.demand_mips, self.load_mips.copy(), self.ram_mb.copy()
        return twin

    def may_fit(self, vms: Index, allowed: Flags, limit: float) -> bool:
        """Whether the sums of CPU and memory leave a chance that all these VMs fit on allowed hosts."""
        cpu = np.maximum(limit * self._capacity_mips - self.load_mips, 0.0)[allowed].sum()
        ram = np.maximum(self._ram_limit_mb - self.ram_mb, 0.0)[allowed].sum()
        return bool(self.demand_mips[vms].sum() <= cpu and self._fleet.vm_ram_mb[vms].sum() <= ram)

    def vms_on(self, host: int) -> Index:
        """VMs that are planned on a host, in site order."""
        found: Index = np.flatnonzero(self.host_of == host)
        return found

    def fits(self, vm: int, limit: float) -> Flags:
        """Hosts that may run the VM, keep CPU below ``limit`` with it, and hold memory and anti-affinity."""
        fleet = self._fleet
        enough_cpu = self.load_mips + self.demand_mips[vm] <= limit * self._capacity_mips
        enough_ram = self.ram_mb + fleet.vm_ram_mb[vm] <= self._ram_limit_mb
        wide = fleet.cores >= fleet.vm_cores[vm]
        fits: Flags = enough_cpu & enough_ram & wide & ~fleet.barred[vm] & ~self._taken_by_group(vm)
        return fits

    def _taken_by_group(self, vm: int) -> Flags:
        taken = np.zeros(len(self._fleet.host_ids), dtype=bool)
        group = self._fleet.group[vm]
        if group >= 0:
            others = (self._fleet.group == group) & (self.host_of >= 0)
            others[vm] = False
            taken[self.host_of[others]] = True
            taken[self._standing[others]] = True
        return taken

    def best(self, vm: int, allowed: Flags, limit: float) -> int:
        """Allowed host where power rises least, -1 where the VM fits nowhere; ties go to the first."""
        candidates = np.flatnonzero(allowed & self.fits(vm, limit))
        if not len(candidates):
            return -1
        fleet = self._fleet
        curve, capacity = fleet.curve_w[candidates], self._capacity_mips[candidates]
        load = self.load_mips[candidates]
        before = np.where(load > NOTHING_MIPS, power_w(curve, load / capacity), fleet.sleep_w[candidates])
        rise = power_w(curve, (load + self.demand_mips[vm]) / capacity) - before
        return int(candidates[np.argmin(np.round(rise, 6))])

    def move(self, vm: int, host: int, *, release: bool = True) -> None:
        """Plan the VM on another host; without ``release`` it also stays where it was, as during a copy."""
        source = self.host_of[vm]
        if source >= 0:
            self.load_mips[source] -= self.demand_mips[vm]
            self.ram_mb[source] -= self._fleet.vm_ram_mb[vm] if release else 0.0
        self.load_mips[host] += self.demand_mips[vm]
        self.ram_mb[host] += self._fleet.vm_ram_mb[vm]
        self.host_of[vm] = host
        if release:
            self._standing[vm] = host


def initial_placement(fleet: Fleet, memory_overcommit: float = 1.0) -> Index:
    """Host of each VM at the start: its home, else the host with most free memory; -1 where nothing fits."""
    none = np.zeros(len(fleet.vm_ids))
    packing = Packing(fleet, fleet.home, none, memory_overcommit)
    for vm in np.flatnonzero(fleet.home < 0):
        fits = packing.fits(int(vm), 1.0)
        if fits.any():
            free = np.where(fits, fleet.ram_mb - packing.ram_mb, -np.inf)
            packing.move(int(vm), int(np.argmax(free)))
    return packing.host_of
