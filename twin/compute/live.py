"""Where VMs really stand: what the hosts show now, and the site as it has to be planned from there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from twin.compute.fleet import Array
from twin.drivers import Drivers
from twin.site import Host, HostType, Site, Vm

WORTH_NOTING = 0.1
"""Share of memory that a host may lack, as kernels and margins take it, before it is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveHost:
    """A host that answers."""

    id: str
    cores: int
    core_mips: float
    """Clock of a core, taken as its speed. [MHz as MIPS]"""
    ram_mb: float
    """Memory that VMs may take together. [MB]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveVm:
    """A VM as the hosts show it; during a live migration it counts once, where it runs."""

    id: str
    host: str
    """Where it runs, or where it would start."""
    running: bool
    vcpus: int
    ram_mb: float
    """Memory that it may grow to. [MB]"""
    stays: str = ""
    """Why it may not be moved; empty when it may."""
    pinned: bool = False
    """Whether it stays for good: by a rule, or since only its host has its disks."""
    half_on: tuple[str, ...] = ()
    """Hosts that hold a waiting half of it while it is moved."""
    barred_hosts: tuple[str, ...] = ()
    """Hosts that lack what it needs: features of its CPU model, its disks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePlacement:
    """All hosts of one connector at one moment."""

    hosts: tuple[LiveHost, ...] = ()
    vms: tuple[LiveVm, ...] = ()
    silent: tuple[str, ...] = ()
    """Hosts that cannot be asked."""
    unclear: Mapping[str, str] = field(default_factory=dict)
    """VM → why nobody can say where it stands, as with two running copies."""
    apart: tuple[frozenset[str], ...] = ()
    """Groups of VMs of which no two may share a host."""

    def running_on(self, host: str) -> int | None:
        """VMs that would die with a host; None when nobody can say."""
        if host not in {one.id for one in self.hosts} or self.unclear:
            return None
        return sum(vm.running and host in {vm.host, *vm.half_on} for vm in self.vms)


def together(placements: Iterable[LivePlacement]) -> LivePlacement:
    """The placements of several connectors as one."""
    found = list(placements)
    return LivePlacement(
        hosts=tuple(host for one in found for host in one.hosts),
        vms=tuple(vm for one in found for vm in one.vms),
        silent=tuple(name for one in found for name in one.silent),
        unclear={vm: why for one in found for vm, why in one.unclear.items()},
        apart=tuple(group for one in found for group in one.apart),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementChange:
    """A VM that stands otherwise than at the look before."""

    vm: str
    before: str
    """As in ``runs on h1``, ``is off at h1``, ``is nowhere``."""
    now: str

    def __str__(self) -> str:
        return f"{self.vm} {self.now}; before: {self.before}"


class PlacementMemory:
    """Where each VM was last seen; what nobody can tell now is kept as it was."""

    def __init__(self) -> None:
        self._known: dict[str, str] | None = None

    def look(self, live: LivePlacement) -> tuple[PlacementChange, ...]:
        """Changes since the last look, none at the first."""
        now = {vm.id: f"{'runs on' if vm.running else 'is off at'} {vm.host}" for vm in live.vms}
        known, clear = self._known, not live.silent
        self._known = {**(known or {}), **now}
        if known is None:
            return ()
        gone = [vm for vm in known if vm not in now and vm not in live.unclear and clear]
        self._known |= dict.fromkeys(gone, "is nowhere")
        return tuple(
            PlacementChange(vm=vm, before=known.get(vm, "is nowhere"), now=there)
            for vm, there in self._known.items()
            if known.get(vm, "is nowhere") != there
        )


@dataclass(frozen=True, slots=True)
class Note:
    """How the world differs from the site file, or what is assumed about it."""

    about: str
    """Host or VM; empty for all of them."""
    sentence: str
    differs: bool = True
    """Whether the world is not as the site file says; else it is about what may be done."""

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSite:
    """A site with its hosts and VMs as they stand now."""

    site: Site
    columns: tuple[int, ...]
    """For each VM its position in the site file, -1 for one that the file lacks."""
    clear: bool = True
    """Whether it is known where everything stands; if not, nothing may be moved or switched off."""
    notes: tuple[Note, ...] = ()

    def demand(self, of_file: Array) -> Array:
        """Demand of the VMs as they stand; of one that nobody records it is its whole CPU.

        Args:
            of_file: share of its CPU for each VM of the site file, shape (…, VMs of the file).
        """
        full = np.ones((*of_file.shape[:-1], 1))
        found: Array = np.concatenate([of_file, full], axis=-1)[..., list(self.columns)]
        return found

    def drivers(self, of_file: Drivers) -> Drivers:
        """Drivers with the demand of the VMs as they stand."""
        known = of_file.vm_utilization
        return of_file if known is None else replace(of_file, vm_utilization=self.demand(known))


def live_site(site: Site, live: LivePlacement, off: Collection[str] = ()) -> LiveSite:
    """The site as its hosts show it; unknown is not good, so nothing may move while some host cannot be asked.

    Hosts that are off are left out; a VM that is off keeps its place, since it would start there; VMs that the site
    file lacks stay where they are.

    Args:
        site: as its file says.
        live: what hosts show.
        off: hosts that are known to be switched off.
    """
    return _Observation(site, live, frozenset(off)).result()


class _Observation:
    """One look, against one site file."""

    def __init__(self, site: Site, live: LivePlacement, off: frozenset[str]) -> None:
        self._site, self._live = site, live
        self._seen = {vm.id: vm for vm in live.vms}
        answering = {host.id for host in live.hosts}
        self._gone = off - answering
        self._asked = answering | set(live.silent) | off
        self._silent = [name for name in live.silent if name not in off]
        self._notes: list[Note] = []

    def result(self) -> LiveSite:
        hosts, types = self._hosts()
        known = {host.id for host in hosts}
        vms = [*self._listed(known), *self._strangers(known, {kind.name: kind for kind in types}, hosts)]
        why = self._obstacle()
        if why:
            vms = [(column, replace(vm, pinned=True)) for column, vm in vms]
            self._note("", f"no VM is moved while {why}", differs=False)
        placed = _kept_apart([vm for _, vm in vms], self._live.apart)
        site = replace(self._site, hosts=hosts, host_types=types, vms=placed)
        columns = tuple(column for column, _ in vms)
        return LiveSite(site=site, columns=columns, clear=not why, notes=tuple(self._notes))

    def _note(self, about: str, sentence: str, *, differs: bool = True) -> None:
        self._notes.append(Note(about, sentence, differs))

    def _obstacle(self) -> str:
        parts = [f"{', '.join(self._silent)} cannot be asked"] if self._silent else []
        parts += [f"{vm}: {why}" for vm, why in sorted(self._live.unclear.items())]
        return "; ".join(parts)

    def _hosts(self) -> tuple[tuple[Host, ...], tuple[HostType, ...]]:
        """Hosts that are not off; one with less memory than its type says gets a type of its own."""
        shown = {host.id: host for host in self._live.hosts}
        types = {kind.name: kind for kind in self._site.host_types}
        hosts: list[Host] = []
        for host in self._site.hosts:
            if host.id in self._gone:
                self._note(host.id, f"{host.id} is off and left as it is")
                continue
            kind, now = types[host.type], shown.get(host.id)
            if now is not None and now.ram_mb < kind.ram_mb:
                if now.ram_mb < (1.0 - WORTH_NOTING) * kind.ram_mb:
                    less = f"{host.id} has {now.ram_mb:.0f} MB for VMs, not the {kind.ram_mb:.0f} MB of its type"
                    self._note(host.id, less)
                own = replace(kind, name=f"{kind.name}@{host.id}", ram_mb=now.ram_mb)
                types[own.name] = own
                hosts.append(replace(host, type=own.name))
            else:
                hosts.append(host)
        return tuple(hosts), tuple(types.values())

    def _listed(self, known: Collection[str]) -> Iterator[tuple[int, Vm]]:
        for column, vm in enumerate(self._site.vms):
            now = self._seen.get(vm.id)
            nowhere = vm.host in self._gone or (vm.host in self._asked and not self._obstacle())
            if now is None and nowhere:
                self._note(vm.id, f"{vm.id} is in the site file and on none of the hosts; it is left out")
            elif now is None:
                yield column, vm
            elif now.host not in known:
                self._note(vm.id, f"{vm.id} is on {now.host}, which the site file lacks; it is left out")
            else:
                yield column, self._as_seen(vm, now)

    def _as_seen(self, vm: Vm, now: LiveVm) -> Vm:
        if vm.host is not None and vm.host != now.host:
            self._note(vm.id, f"{vm.id} is on {now.host}, not on {vm.host} as the site file says")
        stays = now.stays or ("" if now.running else "it is off")
        if stays and not vm.pinned:
            self._note(vm.id, f"{vm.id} stays on {now.host}: {stays}", differs=False)
        return replace(
            vm,
            host=now.host,
            vcpus=now.vcpus or vm.vcpus,
            mips=vm.mips / vm.vcpus * (now.vcpus or vm.vcpus),
            ram_mb=now.ram_mb or vm.ram_mb,
            pinned=vm.pinned or now.pinned or bool(stays),
            barred_hosts=tuple(sorted({*vm.barred_hosts, *now.barred_hosts})),
        )

    def _strangers(
        self, known: Collection[str], types: Mapping[str, HostType], hosts: Sequence[Host]
    ) -> Iterator[tuple[int, Vm]]:
        listed = {vm.id for vm in self._site.vms}
        speed = {host.id: types[host.type].core_mips for host in hosts}
        for now in self._live.vms:
            if now.id in listed or not now.running or now.host not in known:
                continue
            self._note(
                now.id, f"{now.id} on {now.host} is not in the site file: it stays there, its CPU counts as busy"
            )
            mips = now.vcpus * speed[now.host]
            yield -1, Vm(id=now.id, vcpus=now.vcpus, mips=mips, ram_mb=now.ram_mb, host=now.host, pinned=True)


def _kept_apart(vms: Sequence[Vm], apart: Sequence[frozenset[str]]) -> tuple[Vm, ...]:
    """VMs with the groups of the site file and of the hosts as one: groups that share a VM are joined."""
    if not apart:
        return tuple(vms)
    of_file: dict[str, set[str]] = {}
    for vm in vms:
        if vm.anti_affinity is not None:
            of_file.setdefault(vm.anti_affinity, set()).add(vm.id)
    groups = joined([*map(frozenset, of_file.values()), *apart])
    name = {vm: f"apart:{min(group)}" for group in groups for vm in group}
    return tuple(replace(vm, anti_affinity=name.get(vm.id)) for vm in vms)


def joined(groups: Sequence[frozenset[str]]) -> list[frozenset[str]]:
    """Groups that share a VM as one, since a VM of a site has one group."""
    done: list[frozenset[str]] = []
    for group in groups:
        touched = [one for one in done if one & group]
        done = [one for one in done if one not in touched] + [group.union(*touched)]
    return done
