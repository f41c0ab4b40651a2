"""Proposes hosts and VMs for a new site from what its hypervisors show: a fragment of ``site.yaml`` to review."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from connectors.host_types import PublishedServer
from connectors.mapping_proposals import on_one_line
from connectors.settings.facts import ID_PATTERN
from twin.compute.live import LiveHost, LivePlacement, LiveVm, joined
from twin.errors import BadInputError
from twin.site import Host, HostType, Vm

MB_PER_GB = 1024.0
NO_ROOM = "give each host the 'zone' in which it stands: its heat and its power count only there"
UNKNOWN_CORE_MIPS = 2000.0
"""Speed of a core where the host does not tell its clock; only shares of it count. [MIPS]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineProposal:
    """Hosts and VMs as a person shall confirm them."""

    host_types: tuple[HostType, ...]
    hosts: tuple[Host, ...]
    vms: tuple[Vm, ...]
    remarks: tuple[str, ...]
    """What could not be proposed, and what to look at."""


def propose_machines(
    live: LivePlacement, servers: Sequence[PublishedServer], zones: Sequence[str] = ()
) -> MachineProposal:
    """One type for all hosts of equal cores and memory, with the power curve of the most alike published server.

    Args:
        live: what the hosts show.
        servers: published servers with power curves.
        zones: of the site; the only one is where the hosts stand.

    Raises:
        BadInputError: no host answers, or no server is given.
    """
    if not live.hosts or not servers:
        message = f"no host answers (silent: {', '.join(live.silent) or 'none'}), so nothing can be proposed"
        raise BadInputError(message)
    room = zones[0] if len(zones) == 1 else None
    types: dict[str, HostType] = {}
    type_of: dict[str, HostType] = {}
    for host in live.hosts:
        kind = _type(host, servers)
        known = types.get(kind.name, kind)
        types[kind.name] = replace(known, core_mips=max(known.core_mips, kind.core_mips))
    for host in live.hosts:
        type_of[host.id] = types[_type(host, servers).name]
    group = {vm: f"apart-{n}" for n, names in enumerate(joined(live.apart), start=1) for vm in names}
    return MachineProposal(
        host_types=tuple(types.values()),
        hosts=tuple(Host(id=host.id, type=type_of[host.id].name, zone=room) for host in live.hosts),
        vms=tuple(_vm(vm, type_of[vm.host], group.get(vm.id)) for vm in live.vms if _can_be_named(vm, type_of)),
        remarks=(*([] if room else [NO_ROOM]), *_remarks(live, type_of)),
    )


def _type(host: LiveHost, servers: Sequence[PublishedServer]) -> HostType:
    like = min(servers, key=lambda one: (abs(one.type.cores - host.cores), -one.facts.year, one.type.name))
    memory_gb = round(host.ram_mb / MB_PER_GB)
    return HostType(
        name=f"host-{host.cores}c-{memory_gb}g",
        cores=host.cores,
        core_mips=round(host.core_mips) or UNKNOWN_CORE_MIPS,
        ram_mb=float(int(host.ram_mb)),
        power_w=like.type.power_w,
        source=f"power of {like.type.name} ({like.type.cores} cores), a guess: put your own table here",
    )


def _vm(vm: LiveVm, kind: HostType, group: str | None) -> Vm:
    return Vm(
        id=vm.id,
        vcpus=vm.vcpus or 1,
        mips=(vm.vcpus or 1) * kind.core_mips,
        ram_mb=float(round(vm.ram_mb)) or 1.0,
        host=vm.host,
        anti_affinity=group,
        pinned=vm.pinned,
        barred_hosts=vm.barred_hosts,
    )


def _can_be_named(vm: LiveVm, hosts: dict[str, HostType]) -> bool:
    return re.fullmatch(ID_PATTERN, vm.id) is not None and vm.host in hosts


def _remarks(live: LivePlacement, hosts: dict[str, HostType]) -> Iterator[str]:
    for name in live.silent:
        yield f"{name} cannot be asked; its host and VMs are missing here"
    for vm, why in sorted(live.unclear.items()):
        yield f"{vm} is left out: {why}"
    for one in live.vms:
        if not _can_be_named(one, hosts):
            yield f"{on_one_line(one.id)!r} is left out: no id for a site file, or its host is not listed"
        elif one.stays:
            yield f"{one.id} stays on {one.host}: {one.stays}"


def machine_fragment(proposal: MachineProposal, connector: str) -> str:
    """Lines for ``site.yaml``: host types, hosts, VMs, the VMs' CPU as telemetry; remarks as comments."""
    lines = [f"# proposed from what the hosts of {connector} show now; check every line, then move it to site.yaml"]
    lines.append("host_types:")
    for kind in proposal.host_types:
        lines.append(f"  - name: {kind.name}")
        lines.append(f"    cores: {kind.cores}")
        lines.append(f"    core_mips: {kind.core_mips:g}")
        lines.append(f"    ram_mb: {kind.ram_mb:.0f}")
        lines.append(f"    power_w: [{', '.join(f'{watts:g}' for watts in kind.power_w)}]")
        lines.append(f'    source: "{kind.source}"')
    lines.append("hosts:")
    lines += [f"  - {{id: {host.id}, type: {host.type}{_room(host)}}}" for host in proposal.hosts]
    lines.append("vms:")
    lines += [f"  - {{{_vm_facts(vm)}}}" for vm in proposal.vms]
    lines += [
        "sources:",
        f"  {connector}:",
        f"    connector: {connector}",
        "    columns:",
        '      - {column: "vm/{vm}/cpu_utilization", kind: vm_cpu_utilization, unit: fraction}',
    ]
    return "\n".join([*lines, *(f"# {remark}" for remark in proposal.remarks)]) + "\n"


def _room(host: Host) -> str:
    return f", zone: {host.zone}" if host.zone else ""


def _vm_facts(vm: Vm) -> str:
    facts = [f"id: {vm.id}", f"vcpus: {vm.vcpus}", f"mips: {vm.mips:g}", f"ram_mb: {vm.ram_mb:g}", f"host: {vm.host}"]
    facts += [f"anti_affinity: {vm.anti_affinity}"] if vm.anti_affinity else []
    facts += ["pinned: true"] if vm.pinned else []
    facts += [f"barred_hosts: [{', '.join(vm.barred_hosts)}]"] if vm.barred_hosts else []
    return ", ".join(facts)
