"""What the tests of the libvirt connector share: settings, actions, moves slow enough to be struck, faults."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace

import libvirt
from peers import wait_until

from connectors.libvirt_hosts.connector import LibvirtConnector
from connectors.libvirt_hosts.settings import LibvirtHost, LibvirtSettings, MoveRules
from twin.errors import OutsideWorldError, RefusedError
from twin.plan import Action, ActionKind


def settings(rig, transport: str = "tcp", **rules: object) -> LibvirtSettings:
    base = MoveRules(
        shortest_deadline_s=25.0, verify_s=30.0, source_gives_up_s=6.0, moves_per_host=1, memory_margin_bytes=16e6,
        shared_paths=[str(rig.dir / "shared")],
    )  # fmt: skip
    return LibvirtSettings(
        hosts={host: LibvirtHost(uri=rig.uri(host, transport), migrate_uri=rig.uri(host, "tcp")) for host in rig.hosts},
        rules=replace(base, **rules),
        guests=["g1", "g2"],
        timeout_s=4.0,
        keepalive_s=2,
        keepalive_count=3,
        shutdown_s=8.0,
    )


def to_host(host: str, guest: str = "g1") -> Action:
    return Action(
        id=f"move {guest} {host}", kind=ActionKind.LIVE_MIGRATE, connector="cloud", point=f"vm/{guest}/host",
        value=host, expected=None,
    )  # fmt: skip


def action(kind: ActionKind, field: str, value: object, guest: str = "g1") -> Action:
    return Action(
        id=f"{kind} {guest}", kind=kind, connector="cloud", point=f"vm/{guest}/{field}", value=value, expected=None
    )


def slow_down(rig, dirty: int = 25) -> None:
    """A move of g1 from h1 now takes four seconds or more; with dirty pages enough it never ends."""
    rig.rate("h1", 50)
    rig.control("g1", dirty=dirty, window=64)
    beats = len(rig.ticks("g1"))
    wait_until(lambda: len(rig.ticks("g1")) >= beats + 3, 60.0, "g1 to obey")  # it looks once a second


def unbroken(rig, guest: str = "g1") -> None:
    """The guest goes on, and its own clock lost and repeated nothing."""
    before = len(rig.ticks(guest))
    wait_until(lambda: len(rig.ticks(guest)) > before, 30.0, f"{guest} to go on")
    ticks = rig.ticks(guest)
    assert ticks == list(range(1, len(ticks) + 1))


class Background(threading.Thread):
    """An action applied in the background."""

    def __init__(self, connector: LibvirtConnector, wanted: Action) -> None:
        super().__init__(daemon=True)
        self.connector, self.wanted = connector, wanted
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.connector.apply(self.wanted)
        except (OutsideWorldError, RefusedError) as error:
            self.error = error

    def end(self, limit_s: float = 120.0) -> Exception | None:
        self.join(limit_s)
        assert not self.is_alive(), "the action did not end in time"
        return self.error


def moving(rig, guest: str = "g1", host: str = "h1") -> None:
    """Returns once the first pages have gone over, which is seconds before the hand-over."""

    def sent() -> bool:
        return int(job(rig, host, guest).get("memory_processed", 0)) > 0

    wait_until(sent, 30.0, f"a move of {guest} from {host}")


def job(rig, host: str, guest: str = "g1") -> dict[str, object]:
    """The running job of a guest, by the host's own socket."""
    connection = libvirt.open(rig.uri(host))
    try:
        return connection.lookupByName(guest).jobStats()
    except libvirt.libvirtError:
        return {}
    finally:
        connection.close()


def reason(rig, host: str, guest: str = "g1") -> str:
    """State and reason of a guest as the host tells them, such as ``running (migration canceled)``."""
    return rig.virsh(host, "domstate", "--reason", guest, check=False).stdout.strip()


def stop_daemon(rig, host: str) -> None:
    os.kill(rig.libvirtd_pid(host), signal.SIGSTOP)


def wake_daemon(rig, host: str) -> None:
    os.kill(rig.libvirtd_pid(host), signal.SIGCONT)
