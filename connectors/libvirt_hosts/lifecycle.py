"""Start, shut down, save and resize guests: ask, wait, read again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import libvirt

from connectors.libvirt_hosts.domain import sight
from connectors.libvirt_hosts.link import HostError, HostLink
from connectors.libvirt_hosts.look import GuestState
from connectors.libvirt_hosts.settings import StubbornGuest
from twin.errors import OutsideWorldError

POLL_S = 0.2
PAGE_BYTES = 4096
GIVEN_SHARE = 0.5
"""Most that a guest is asked to give back of the memory that it says it can spare."""
_LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
UNKNOWN_OUTCOME = frozenset({libvirt.VIR_ERR_OPERATION_TIMEOUT})
"""Codes after which the world must be read: the operation may or may not have happened."""


def _on(link: HostLink, uuid: str, work: Callable[[Any], Any], timeout_s: float | None = None) -> None:
    link.call(lambda connection: work(connection.lookupByUUIDString(uuid)), timeout_s)


def _wait_for(link: HostLink, uuid: str, wanted: frozenset[GuestState], limit_s: float) -> GuestState | None:
    """The last state seen, which is in ``wanted`` unless time ran out.

    Raises:
        HostError: the host does not answer at the end.
    """
    end = time.monotonic() + limit_s
    while True:
        seen = sight(link, uuid)
        if seen.reachable and seen.state in wanted:
            return seen.state
        if time.monotonic() > end:
            if not seen.reachable:
                raise HostError(seen.error)
            return seen.state
        time.sleep(POLL_S)


def start(link: HostLink, uuid: str, limit_s: float) -> None:
    """Starts a guest that is off on its host.

    Raises:
        OutsideWorldError: it does not run afterwards.
    """
    error = _attempt(link, uuid, lambda domain: domain.create())
    if _wait_for(link, uuid, frozenset({GuestState.RUNNING}), limit_s) is not GuestState.RUNNING:
        message = f"{link.name}: the guest does not run after its start ({error or 'no error given'})"
        raise OutsideWorldError(message)


def _attempt(link: HostLink, uuid: str, work: Callable[[Any], Any], timeout_s: float | None = None) -> HostError | None:
    """The error, as a hint only: the guest is read afterwards."""
    try:
        _on(link, uuid, work, timeout_s)
    except HostError as error:
        return error
    return None


def shut_down(link: HostLink, uuid: str, limit_s: float, stubborn: StubbornGuest) -> None:
    """Asks the guest, waits, then does what policy says.

    Raises:
        OutsideWorldError: it still runs.
    """
    off = frozenset({GuestState.SHUT_OFF, GuestState.SAVED})
    error = _attempt(link, uuid, lambda domain: domain.shutdown())
    if _wait_for(link, uuid, off, limit_s) in off:
        return
    if stubborn is StubbornGuest.SAVE:
        save(link, uuid, limit_s)
    elif stubborn is StubbornGuest.FORCE:
        _attempt(link, uuid, lambda domain: domain.destroy())
        if _wait_for(link, uuid, off, limit_s) not in off:
            message = f"{link.name}: the guest still runs after its plug was pulled"
            raise OutsideWorldError(message)
    else:
        hint = f" ({error})" if error else ""
        message = f"{link.name}: the guest was asked to shut down and still runs after {limit_s:g} s{hint}"
        raise OutsideWorldError(message)


def save(link: HostLink, uuid: str, limit_s: float) -> None:
    """Managed save: the guest's memory goes to the host's disk.

    Raises:
        OutsideWorldError: it still runs.
    """
    error = _attempt(link, uuid, lambda domain: domain.managedSave(0), limit_s)
    if _wait_for(link, uuid, frozenset({GuestState.SAVED}), limit_s) is not GuestState.SAVED:
        message = f"{link.name}: the guest was not saved ({error or 'no error given'})"
        raise OutsideWorldError(message)


def resize_vcpus(link: HostLink, uuid: str, vcpus: int, limit_s: float) -> None:
    """Plugs or unplugs vCPUs of a running guest.

    Raises:
        OutsideWorldError: the count is not reached within the limit.
    """
    error = _attempt(link, uuid, lambda domain: domain.setVcpusFlags(vcpus, _LIVE), limit_s)
    _reach(link, uuid, lambda domain: domain.vcpusFlags(_LIVE), vcpus, limit_s, "vCPUs", error)


def memory_fault(link: HostLink, uuid: str, memory_bytes: float) -> str:
    """Why the guest's balloon may not be set to this, empty when it may.

    Raises:
        HostError: the host does not answer.
    """
    if memory_bytes % PAGE_BYTES:
        return f"{memory_bytes:g} bytes are no whole pages of {PAGE_BYTES} bytes"
    stats = link.call(lambda connection: connection.lookupByUUIDString(uuid).memoryStats())
    now_bytes = stats["actual"] * 1024.0
    if memory_bytes >= now_bytes:
        return ""
    if "usable" not in stats:
        return (
            "the guest does not tell what memory it can spare: it lacks a balloon driver, or <stats period> is not set"
        )
    least = now_bytes - GIVEN_SHARE * stats["usable"] * 1024.0
    if memory_bytes >= least:
        return ""
    return f"{memory_bytes:.0f} bytes would starve the guest: with what it uses now it needs {least:.0f}"


def resize_memory(link: HostLink, uuid: str, memory_bytes: float, limit_s: float) -> None:
    """Sets the balloon of a running guest; where that fails, the old target is set again, so that nothing comes late.

    Raises:
        OutsideWorldError: the guest does not take or give the memory within the limit.
    """
    kib = round(memory_bytes / 1024)
    before: int = link.call(lambda connection: connection.lookupByUUIDString(uuid).info()[2])
    error = _attempt(link, uuid, lambda domain: domain.setMemoryFlags(kib, _LIVE))
    try:
        _reach(link, uuid, lambda domain: domain.info()[2], kib, limit_s, "KiB of memory", error)
    except OutsideWorldError:
        _attempt(link, uuid, lambda domain: domain.setMemoryFlags(before, _LIVE))
        raise


def _reach(
    link: HostLink,
    uuid: str,
    ask: Callable[[Any], int],
    wanted: int,
    limit_s: float,
    what: str,
    error: HostError | None,
) -> None:
    """Reads until the figure is there. An error that leaves the outcome open costs the full wait, a plain one not."""
    end = time.monotonic() + (limit_s if error is None or error.code is None or error.code in UNKNOWN_OUTCOME else 0.0)
    while True:
        seen: int | None = None
        with contextlib.suppress(HostError):
            seen = link.call(lambda connection: ask(connection.lookupByUUIDString(uuid)))
        if seen == wanted:
            return
        if time.monotonic() > end:
            message = f"{link.name}: the guest shows {seen} {what}, not {wanted} ({error or 'no error given'})"
            raise OutsideWorldError(message)
        time.sleep(POLL_S)
