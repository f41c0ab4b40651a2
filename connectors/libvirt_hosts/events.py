"""Listens to hosts, each over a connection of its own that is opened anew when it is lost.

Events only hurry a look; they prove nothing, and some are missed while a connection is down. So whoever listens also
asks from time to time, and each connection that comes back is an event.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import libvirt

from connectors.libvirt_hosts.link import HostLink, Pending, discard

Heard = Callable[[str], object]
"""Takes a sentence on what happened; called from libvirt's own thread, so it must not ask a host."""
RETRY_S = 2.0

_LIFECYCLE: Mapping[int, str] = {
    libvirt.VIR_DOMAIN_EVENT_DEFINED: "was defined",
    libvirt.VIR_DOMAIN_EVENT_UNDEFINED: "was undefined",
    libvirt.VIR_DOMAIN_EVENT_STARTED: "started",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: "was paused",
    libvirt.VIR_DOMAIN_EVENT_RESUMED: "went on",
    libvirt.VIR_DOMAIN_EVENT_STOPPED: "stopped",
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: "shuts down",
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: "sleeps",
    libvirt.VIR_DOMAIN_EVENT_CRASHED: "crashed",
}
_BY_MOVE = frozenset(
    {
        (libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_MIGRATED),
        (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED),
        (libvirt.VIR_DOMAIN_EVENT_RESUMED, libvirt.VIR_DOMAIN_EVENT_RESUMED_MIGRATED),
        (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED),
    }
)


def lifecycle_sentence(host: str, guest: str, event: int, detail: int) -> str:
    """A lifecycle event in words."""
    done = _LIFECYCLE.get(event, f"changed (event {event})")
    return f"{host}: {guest} {done}{' by a live migration' if (event, detail) in _BY_MOVE else ''}"


class Watch:
    """Ears on hosts, from its making until ``close``."""

    def __init__(self, links: Iterable[HostLink], heard: Heard, *, timeout_s: float) -> None:
        self._ears = [_Ear(link, heard, timeout_s) for link in links]

    @property
    def listening(self) -> frozenset[str]:
        """Hosts whose events arrive now."""
        return frozenset(ear.name for ear in self._ears if ear.open)

    def close(self) -> None:
        """Stops listening."""
        for ear in self._ears:
            ear.close()


class _Ear:
    """One host: connect, register, wait until the connection is lost, and again."""

    def __init__(self, link: HostLink, heard: Heard, timeout_s: float) -> None:
        self.name = link.name
        self.open = False
        self._link, self._heard, self._timeout_s = link, heard, timeout_s
        self._lost = threading.Event()
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name=f"watch {link.name}", daemon=True).start()

    def close(self) -> None:
        self._stopped.set()
        self._lost.set()

    def _run(self) -> None:
        opening: Pending[Any] | None = None
        while not self._stopped.is_set():
            opening = opening or Pending(self._opened)
            if not opening.done(self._timeout_s):
                continue  # a second attempt would hang as well
            if opening.error is None:
                self._listen(opening.result())
            opening = None
            self._stopped.wait(RETRY_S)

    def _listen(self, connection: Any) -> None:
        self.open = True
        self._heard(f"{self.name}: its events are heard")
        self._lost.wait()
        self.open = False
        discard(connection)
        if not self._stopped.is_set():
            self._heard(f"{self.name}: its events are not heard any more; it is asked from time to time")

    def _opened(self) -> Any:
        connection = self._link.open()
        self._lost.clear()
        connection.registerCloseCallback(lambda *_: self._lost.set(), None)
        register = connection.domainEventRegisterAny
        register(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._lifecycle, None)
        register(None, libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, self._job, None)
        return connection

    def _lifecycle(self, _: Any, domain: Any, event: int, detail: int, __: object) -> None:
        self._heard(lifecycle_sentence(self.name, domain.name(), event, detail))

    def _job(self, _: Any, domain: Any, ___: object, __: object) -> None:
        self._heard(f"{self.name}: a job on {domain.name()} ended")
