"""Where guests stand and what they may do: the hosts' live state as the planner takes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import libvirt

from connectors.libvirt_hosts.domain import Definition, cpu_fits, definition_of, unshared_disks
from connectors.libvirt_hosts.link import HostError, HostLink
from connectors.libvirt_hosts.look import Guest, GuestState, HostView, Picture
from connectors.libvirt_hosts.settings import LibvirtSettings
from twin.compute.live import LiveHost, LivePlacement, LiveVm

BYTES_PER_MB = 1024.0**2
Definitions = Mapping[str, Definition]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What definitions and CPUs say, beyond the counters of a look."""

    definitions: Definitions
    """By UUID, of active guests."""
    misfits: Mapping[str, frozenset[str]]
    """Host → guests (by UUID) whose CPU it lacks features of."""
    halves: Mapping[str, tuple[str, ...]]
    """Guest (by UUID) under way → hosts that hold its waiting half."""
    silent: tuple[str, ...]
    """Hosts that fell silent while they were asked."""


def placement_of(picture: Picture, links: Mapping[str, HostLink], settings: LibvirtSettings) -> LivePlacement:
    """Hosts and guests for the planner; each guest counts once, where it runs.

    Args:
        picture: a look at all hosts.
        links: to ask for definitions and CPUs.
        settings: which guests may be moved, and by which rules.
    """
    found = _hardware(picture, links)
    silent = {*picture.silent, *found.silent}
    names = dict.fromkeys(guest.name for guest in picture.guests.values())
    single = [guest for name in names if (guest := picture.named(name)) is not None]
    return LivePlacement(
        hosts=tuple(_host(view, settings) for view in picture.views.values() if view.name not in silent),
        vms=tuple(_vm(guest, found, settings) for guest in single if guest.uuid not in picture.doubled),
        silent=tuple(sorted(silent)),
        unclear=_unclear(picture, names),
        apart=tuple(frozenset(group) for group in settings.rules.apart),
    )


def _unclear(picture: Picture, names: Iterable[str]) -> dict[str, str]:
    twice = {
        name: f"guests of this name are at {' and '.join(sorted(one.host for one in picture.all_named(name)))}"
        for name in names
        if picture.named(name) is None
    }
    return twice | {
        picture.guests[uuid].name: f"two copies of it are alive, at {' and '.join(hosts)}"
        for uuid, hosts in picture.doubled.items()
    }


def _host(view: HostView, settings: LibvirtSettings) -> LiveHost:
    declared = settings.hosts[view.name].memory_bytes
    room = (declared or view.memory_bytes) - settings.rules.memory_margin_bytes
    return LiveHost(id=view.name, cores=view.cpus, core_mips=view.cpu_mhz, ram_mb=max(0.0, room) / BYTES_PER_MB)


def _vm(guest: Guest, found: Hardware, settings: LibvirtSettings) -> LiveVm:
    definition = found.definitions.get(guest.uuid)
    lone = () if definition is None else unshared_disks(definition.disks, settings.rules.shared_paths)
    for_good = [
        (guest.name in settings.rules.pinned, "it is pinned to its host"),
        (bool(lone), f"{', '.join(lone)} lies outside rules.shared_paths"),
    ]
    for_now = [
        (guest.name not in settings.guests, "it is not under 'guests', so it is not touched"),
        (not guest.active, "it is off"),
        (guest.uuid in found.halves, "it is being moved"),
        (guest.state is not GuestState.RUNNING, f"it is {guest.state}"),
        (definition is None, "its definition cannot be read"),
    ]
    return LiveVm(
        id=guest.name,
        host=guest.host,
        running=guest.active,
        vcpus=guest.vcpus,
        ram_mb=guest.memory_max_bytes / BYTES_PER_MB,
        stays=next((reason for holds, reason in (*for_good, *for_now) if holds), ""),
        pinned=any(holds for holds, _ in for_good),
        half_on=found.halves.get(guest.uuid, ()),
        barred_hosts=tuple(host for host, names in sorted(found.misfits.items()) if guest.uuid in names),
    )


def _hardware(picture: Picture, links: Mapping[str, HostLink]) -> Hardware:
    definitions: dict[str, Definition] = {}
    misfits: dict[str, frozenset[str]] = {}
    silent = []
    for name in picture.views:
        try:
            definitions |= links[name].call(_definitions)
        except HostError:
            silent.append(name)
    for name in picture.views:
        try:
            misfits[name] = links[name].call(lambda connection: _misfits(connection, definitions.values()))
        except HostError:
            silent.append(name)
    return Hardware(definitions=definitions, misfits=misfits, halves=_halves(picture), silent=tuple(silent))


def _halves(picture: Picture) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for view in picture.views.values():
        for guest in view.guests:
            if guest.state is GuestState.MOVING and picture.guests[guest.uuid].host != view.name:
                found[guest.uuid] = (*found.get(guest.uuid, ()), view.name)
    return found


def _definitions(connection: Any) -> dict[str, Definition]:
    found = {}
    for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        try:
            found[domain.UUIDString()] = definition_of(domain.XMLDesc(0))
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:  # it left while we asked
                raise
    return found


def _misfits(connection: Any, definitions: Iterable[Definition]) -> frozenset[str]:
    """Guests whose CPU the host lacks features of; each kind of CPU is compared once."""
    known: dict[tuple[str | None, ...], bool] = {}
    misfits = set()
    for one in definitions:
        kind = (one.emulator, one.arch, one.machine, one.virt_type, one.cpu)
        if kind not in known:
            known[kind] = cpu_fits(connection, one)
        if not known[kind]:
            misfits.add(one.uuid)
    return frozenset(misfits)
