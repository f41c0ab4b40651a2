"""Settings of a libvirt connector: hosts and the rules of moving guests between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from connectors.secret import SecretSource
from twin.errors import BadInputError

_TRANSPORTS = ("qemu:///", "qemu+unix://", "qemu+tcp://", "qemu+tls://", "qemu+ssh://")


@dataclass(frozen=True, slots=True, kw_only=True)
class LibvirtHost:
    """A hypervisor host and how it is reached, by us and by its peers."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    uri: str
    migrate_uri: str | None = None
    """The URI by which other hosts reach its daemon; ``uri`` when None."""
    memory_bytes: float | None = None
    """Memory that guests may take together, where it is less than the machine has."""
    username: str | None = None
    password: SecretSource | None = None


class StubbornGuest(StrEnum):
    """What to do with a guest that does not shut down when asked."""

    LEAVE = "leave"
    """Report that it still runs."""
    SAVE = "save"
    """Managed save: memory goes to disk, the guest continues at the next start."""
    FORCE = "force"
    """Pull its plug; only where the owner says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRules:
    """How a guest may be moved, and how long that may take."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    deadline_s_per_gib: float = 60.0
    shortest_deadline_s: float = 30.0
    verify_s: float = 60.0
    """How long both hosts are asked again while what they say is no state to end in."""
    source_gives_up_s: float = 25.0
    """How long a source waits for a silent target before it goes on alone: ``keepalive_interval`` times
    ``keepalive_count`` of the hosts' ``qemu.conf``."""
    longer_downtime_ms: int = 1000
    """Pause allowed to the guest once half of the deadline has passed."""
    auto_converge: bool = False
    """Whether a guest that dirties memory faster than the link may be slowed down in a second attempt."""
    moves_per_host: int = 1
    memory_margin_bytes: float = 64e6
    """Free memory that must be left at the target."""
    shared_paths: Sequence[str] = ()
    """Folders that every host sees; disks elsewhere keep a guest from moving."""
    pinned: Sequence[str] = ()
    apart: Sequence[Sequence[str]] = ()
    """Groups of guests of which no two may share a host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LibvirtSettings:
    """Everything a libvirt connector is told."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    hosts: Mapping[str, LibvirtHost]
    rules: MoveRules = field(default_factory=MoveRules)
    guests: Sequence[str] = ()
    """Guests that we may act on; none means look only."""
    timeout_s: float = 10.0
    """The longest that one call to a host may take."""
    keepalive_s: int = 5
    keepalive_count: int = 3
    shutdown_s: float = 120.0
    stubborn: StubbornGuest = StubbornGuest.LEAVE

    def __post_init__(self) -> None:
        faults = []
        for name, host in self.hosts.items():
            for uri in filter(None, (host.uri, host.migrate_uri)):
                if not uri.startswith(_TRANSPORTS):
                    faults.append(f"hosts.{name}: {uri!r} is not one of {', '.join(_TRANSPORTS)}")
                if "no_verify=1" in uri:
                    faults.append(f"hosts.{name}: no_verify=1 switches off certificate checks; remove it")
        if faults:
            raise BadInputError.gather(faults)
