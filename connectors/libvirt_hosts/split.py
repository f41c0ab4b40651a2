"""Two copies of one guest after a broken hand-over: halt the later one, prove the other, take the later one away.

A source that loses its target between the last page and the answer goes on alone; a target that had only been hanging
goes on too when it wakes. Locks of the disks prevent that where there are any; elsewhere it is found and ended here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import libvirt

from connectors.libvirt_hosts.domain import MARK, sight
from connectors.libvirt_hosts.link import HostError, HostLink
from connectors.libvirt_hosts.look import GuestState
from connectors.libvirt_hosts.moving import Sight, Split, split_of

_LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
_ELEMENT = libvirt.VIR_DOMAIN_METADATA_ELEMENT


def mend(links: Mapping[str, HostLink], uuid: str, hosts: Sequence[str], gives_up_s: float) -> str:
    """Ends a split if it is one of a broken hand-over; what was done, empty when nothing was.

    Raises:
        HostError: a host did not answer on the way; what was begun is taken up by the next call.
    """
    split = split_of([sight(links[host], uuid) for host in hosts], gives_up_s)
    if split is None:
        return ""
    keep, surplus = links[split.keep.host], links[split.surplus.host]
    surplus.call(lambda connection: _halt(connection, uuid, split))
    if not _runs(sight(keep, uuid)):
        surplus.call(lambda connection: _go_on(connection, uuid))
        return ""
    if not split.proved:
        return f"the copy at {surplus.name} was halted, not destroyed: {split.why}"
    with contextlib.suppress(HostError):  # whatever it says, the host is read
        surplus.call(lambda connection: _destroy(connection, uuid))
    left = sight(surplus, uuid)
    if not left.reachable or left.state is not None:
        message = f"{surplus.name}: its surplus copy is halted but not gone ({left})"
        raise HostError(message)
    return f"the surplus copy at {surplus.name} was destroyed: {split.why}"


def _runs(seen: Sight) -> bool:
    return seen.reachable and seen.state is GuestState.RUNNING


def _halt(connection: Any, uuid: str, split: Split) -> None:
    domain = connection.lookupByUUIDString(uuid)
    if domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING:
        domain.suspend()
    if split.proved:
        note = f"<surplus kept={quoteattr(split.keep.host)} why={quoteattr(split.why)}/>"
        domain.setMetadata(_ELEMENT, note, "understudy", MARK, _LIVE)


def _go_on(connection: Any, uuid: str) -> None:
    domain = connection.lookupByUUIDString(uuid)
    domain.setMetadata(_ELEMENT, None, None, MARK, _LIVE)
    domain.resume()


def _destroy(connection: Any, uuid: str) -> None:
    domain = connection.lookupByUUIDString(uuid)
    persistent = domain.isPersistent()
    domain.destroy()
    if persistent:
        domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM)
