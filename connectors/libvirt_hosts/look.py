"""What libvirt hosts hold: guests with size, state and counters, by one bulk call per host that waits for no guest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import libvirt

from connectors.libvirt_hosts.link import HostError, HostLink


class GuestState(StrEnum):
    """States of a guest on one host."""

    RUNNING = "running"
    PAUSED = "paused"
    MOVING = "moving"
    """Paused because a migration is handing it over, or waiting as the half that is to become it."""
    SAVED = "saved"
    SHUT_OFF = "shut_off"
    OTHER = "other"


_STATES: Mapping[int, GuestState] = {
    libvirt.VIR_DOMAIN_RUNNING: GuestState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: GuestState.RUNNING,
    libvirt.VIR_DOMAIN_SHUTDOWN: GuestState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: GuestState.PAUSED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: GuestState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTOFF: GuestState.SHUT_OFF,
    libvirt.VIR_DOMAIN_CRASHED: GuestState.SHUT_OFF,
}
_MOVING_REASONS = frozenset(
    {libvirt.VIR_DOMAIN_PAUSED_MIGRATION, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP}
)


def guest_state(state: int, reason: int) -> GuestState:
    """Our word for libvirt's state and reason."""
    if state == libvirt.VIR_DOMAIN_PAUSED and reason in _MOVING_REASONS:
        return GuestState.MOVING
    if state == libvirt.VIR_DOMAIN_SHUTOFF and reason == libvirt.VIR_DOMAIN_SHUTOFF_SAVED:
        return GuestState.SAVED
    return _STATES.get(state, GuestState.OTHER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A guest as one host shows it."""

    name: str
    uuid: str
    host: str
    state: GuestState
    vcpus: int
    memory_bytes: float
    memory_max_bytes: float
    counters: Mapping[str, float]
    """Since its start: ``cpu_time_s``, ``block_read_bytes``, ``block_write_bytes``, ``net_rx_bytes``, ``net_tx_bytes``.
    """

    @property
    def active(self) -> bool:
        """Whether a process of it exists."""
        return self.state not in {GuestState.SHUT_OFF, GuestState.SAVED}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """A host and its guests at one moment."""

    name: str
    cpus: int
    cpu_mhz: float
    memory_bytes: float
    free_bytes: float
    guests: Sequence[Guest]


def look_at(link: HostLink) -> HostView:
    """The host now.

    Raises:
        HostError: it does not answer.
    """
    return link.call(lambda connection: _view(link.name, connection))


def look_at_all(links: Iterable[HostLink]) -> dict[str, HostView | HostError]:
    """All hosts at once; a dead one costs its own timeout only."""
    chosen = list(links)
    if not chosen:
        return {}
    with ThreadPoolExecutor(max_workers=len(chosen)) as pool:
        return dict(zip([link.name for link in chosen], pool.map(_look_or_error, chosen), strict=True))


def _look_or_error(link: HostLink) -> HostView | HostError:
    try:
        return look_at(link)
    except HostError as error:
        return error


def _view(name: str, connection: Any) -> HostView:
    rows = connection.getAllDomainStats(0, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT)
    info = connection.getInfo()
    return HostView(
        name=name,
        cpus=int(info[2]),
        cpu_mhz=float(info[3]),
        memory_bytes=float(info[1]) * 1024.0**2,
        free_bytes=float(connection.getFreeMemory()),
        guests=[_guest(name, domain, stats) for domain, stats in rows],
    )


def _guest(host: str, domain: Any, stats: Mapping[str, Any]) -> Guest:
    return Guest(
        name=domain.name(),
        uuid=domain.UUIDString(),
        host=host,
        state=guest_state(int(stats.get("state.state", -1)), int(stats.get("state.reason", -1))),
        vcpus=int(stats.get("vcpu.current", 0)),
        memory_bytes=float(stats.get("balloon.current", 0)) * 1024.0,
        memory_max_bytes=float(stats.get("balloon.maximum", 0)) * 1024.0,
        counters={
            "cpu_time_s": float(stats.get("cpu.time", 0)) / 1e9,
            "block_read_bytes": _sum(stats, "block", "rd.bytes"),
            "block_write_bytes": _sum(stats, "block", "wr.bytes"),
            "net_rx_bytes": _sum(stats, "net", "rx.bytes"),
            "net_tx_bytes": _sum(stats, "net", "tx.bytes"),
        },
    )


def _sum(stats: Mapping[str, Any], group: str, counter: str) -> float:
    count = int(stats.get(f"{group}.count", 0))
    return float(sum(stats.get(f"{group}.{index}.{counter}", 0) for index in range(count)))


def once(views: Iterable[HostView]) -> dict[str, Guest]:
    """Each guest once, by UUID: during a move it is seen on two hosts and belongs where it runs.

    Where neither half runs (the moment of hand-over) the half that is not waiting counts; then the active one.
    """
    rank: Callable[[Guest], int] = lambda guest: _RANK.index(guest.state)  # noqa: E731
    chosen: dict[str, Guest] = {}
    for view in views:
        for guest in view.guests:
            if guest.uuid not in chosen or rank(guest) < rank(chosen[guest.uuid]):
                chosen[guest.uuid] = guest
    return chosen


def doubled(views: Iterable[HostView]) -> dict[str, tuple[str, ...]]:
    """Hosts of each guest of which two copies are alive and none of them is the waiting half of a move."""
    alive: dict[str, list[str]] = {}
    for view in views:
        for guest in view.guests:
            if guest.active and guest.state is not GuestState.MOVING:
                alive.setdefault(guest.uuid, []).append(view.name)
    return {uuid: tuple(hosts) for uuid, hosts in alive.items() if len(hosts) > 1}


_RANK = [
    GuestState.RUNNING,
    GuestState.PAUSED,
    GuestState.MOVING,
    GuestState.OTHER,
    GuestState.SAVED,
    GuestState.SHUT_OFF,
]


class Picture:
    """All hosts at one moment; guests counted once."""

    def __init__(self, found: Mapping[str, HostView | HostError]) -> None:
        self.views = {name: view for name, view in found.items() if isinstance(view, HostView)}
        self.silent = sorted(name for name, view in found.items() if isinstance(view, HostError))
        self.guests = once(self.views.values())
        self.doubled = doubled(self.views.values())

    def all_named(self, name: str) -> list[Guest]:
        """Guests of that name, which are several where hosts were not told of each other."""
        return [guest for guest in self.guests.values() if guest.name == name]

    def named(self, name: str) -> Guest | None:
        """The one guest of that name, or the only one of them that is active; None otherwise."""
        found = self.all_named(name)
        chosen = found if len(found) == 1 else [guest for guest in found if guest.active]
        return chosen[0] if len(chosen) == 1 else None
