"""What a guest's definition and a host say about moving it there: disks, CPU, names, jobs."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree as ET

import libvirt

from connectors.libvirt_hosts.link import HostError, HostLink
from connectors.libvirt_hosts.look import GuestState, guest_state
from connectors.libvirt_hosts.moving import Cause, Sight

MARK = "https://understudy.invalid/libvirt/surplus"
"""Name space of the note that a halted surplus copy carries."""
_CAUSES = {
    (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_MIGRATION_CANCELED): Cause.CANCELLED,
    (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_MIGRATED): Cause.ARRIVED,
}
_LAST_JOB = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED
JOB_ENDED = frozenset({libvirt.VIR_DOMAIN_JOB_NONE, libvirt.VIR_DOMAIN_JOB_COMPLETED})


def sight(link: HostLink, uuid: str) -> Sight:
    """The guest as one host shows it now; an unreachable host is a fact, not an error."""
    try:
        return link.call(lambda connection: _sight(link.name, connection, uuid))
    except HostError as error:
        return Sight(host=link.name, reachable=False, error=str(error))


def _sight(host: str, connection: Any, uuid: str) -> Sight:
    try:
        domain = connection.lookupByUUIDString(uuid)
        said = domain.state()
        state = guest_state(*said)
        stats = domain.jobStats() if state is GuestState.RUNNING else {}
        cause = _cause(domain, *said)
        last = domain.jobStats(_LAST_JOB) if cause is Cause.ARRIVED else {}
    except libvirt.libvirtError as error:
        if error.get_error_code() in {libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID}:
            return Sight(host=host, reachable=True)
        raise
    return Sight(
        host=host,
        reachable=True,
        state=state,
        job=stats.get("type", libvirt.VIR_DOMAIN_JOB_NONE) not in JOB_ENDED,
        elapsed_s=float(stats.get("time_elapsed", 0)) / 1000.0,
        iterations=int(stats.get("memory_iteration", 0)),
        cause=cause,
        stood_still_s=last["downtime"] / 1000.0 if "downtime" in last else None,
    )


def _cause(domain: Any, state: int, reason: int) -> Cause:
    if state == libvirt.VIR_DOMAIN_PAUSED and reason == libvirt.VIR_DOMAIN_PAUSED_USER:
        return Cause.SURPLUS if _marked(domain) else Cause.OTHER
    return _CAUSES.get((state, reason), Cause.OTHER)


def _marked(domain: Any) -> bool:
    try:
        domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, MARK, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            return False
        raise
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What of a guest's definition matters for a move."""

    name: str
    uuid: str
    emulator: str | None
    arch: str
    machine: str
    virt_type: str
    cpu: str | None
    """The ``<cpu>`` element as text."""
    disks: tuple[tuple[str, str], ...]
    """Type and source of each disk."""


def definition_of(xml: str) -> Definition:
    """The definition in a domain's XML."""
    root = ET.fromstring(xml)
    kind = root.find("os/type")
    cpu = root.find("cpu")
    return Definition(
        name=root.findtext("name", ""),
        uuid=root.findtext("uuid", ""),
        emulator=root.findtext("devices/emulator"),
        arch="" if kind is None else kind.get("arch", ""),
        machine="" if kind is None else kind.get("machine", ""),
        virt_type=root.get("type", ""),
        cpu=None if cpu is None else ET.tostring(cpu, encoding="unicode"),
        disks=tuple(filter(None, (_disk(disk) for disk in root.iterfind("devices/disk")))),
    )


def _disk(disk: ET.Element) -> tuple[str, str] | None:
    source = disk.find("source")
    if source is None:
        return None
    return disk.get("type", ""), next(iter(source.attrib.values()), "")


def unshared_disks(disks: Sequence[tuple[str, str]], shared_paths: Sequence[str]) -> tuple[str, ...]:
    """Disks that the target cannot be known to see: local files and devices outside the shared folders."""
    folders = [PurePosixPath(path) for path in shared_paths]

    def shared(kind: str, source: str) -> bool:
        path = PurePosixPath(source)
        return kind == "network" or (
            kind in {"file", "block"} and ".." not in path.parts and any(path.is_relative_to(f) for f in folders)
        )

    return tuple(source for kind, source in disks if not shared(kind, source))


def cpu_fits(connection: Any, wanted: Definition) -> bool:
    """Whether the host's hypervisor offers every CPU feature that the guest uses."""
    if wanted.cpu is None:
        return True
    verdict = connection.compareHypervisorCPU(
        wanted.emulator, wanted.arch or None, wanted.machine or None, wanted.virt_type or None, wanted.cpu
    )
    return verdict in {libvirt.VIR_CPU_COMPARE_IDENTICAL, libvirt.VIR_CPU_COMPARE_SUPERSET}


def jobs_under_way(connection: Any) -> int:
    """Guests of the host with a job on them, or waiting as the half of a move."""
    count = 0
    for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        with contextlib.suppress(libvirt.libvirtError):
            waiting = guest_state(*domain.state()) is GuestState.MOVING
            count += waiting or domain.jobInfo()[0] not in JOB_ENDED
    return count


def knows(connection: Any, lookup: str, key: str) -> bool:
    """Whether the host has a guest under that name or UUID; ``lookup`` is the binding's method."""
    try:
        getattr(connection, lookup)(key)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return False
        raise
    return True
