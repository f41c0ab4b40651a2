"""Settings of a libvirt connector: hosts and the rules of moving guests between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

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
    pki_path: str | None = None
    """Folder of ``cacert.pem``, ``clientcert.pem``, ``clientkey.pem`` for ``qemu+tls``; libvirt's own when None."""
    username: str | None = None
    password: SecretSource | None = None

    @property
    def address(self) -> str:
        """The URI that we open, with the folder of our certificates."""
        if self.pki_path is None:
            return self.uri
        return f"{self.uri}{'&' if '?' in self.uri else '?'}pkipath={quote(self.pki_path)}"


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
            faults += _key_faults(name, host)
        if faults:
            raise BadInputError.gather(faults)


def _key_faults(name: str, host: LibvirtHost) -> list[str]:
    """What is wrong with the folder of certificates, empty where none is named."""
    if host.pki_path is None:
        return []
    folder = Path(host.pki_path)
    if not host.uri.startswith("qemu+tls://"):
        return [f"hosts.{name}: pki_path is for qemu+tls://, not for {host.uri!r}; remove it"]
    if not folder.is_absolute():
        return [f"hosts.{name}: pki_path {host.pki_path!r} is no absolute path"]
    wanted = ("cacert.pem", "clientcert.pem", "clientkey.pem")
    missing = [file for file in wanted if not (folder / file).is_file()]
    if missing:
        return [f"hosts.{name}: pki_path {host.pki_path} lacks {', '.join(missing)}"]
    mode = (folder / "clientkey.pem").stat().st_mode & 0o777
    return [f"hosts.{name}: {folder / 'clientkey.pem'} has mode {mode:o}; make it 600"] if mode & 0o077 else []
