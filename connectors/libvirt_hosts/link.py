"""Calls to one libvirt host that always end: each runs in a thread of its own and is abandoned when it hangs."""

from __future__ import annotations

import contextlib
import ctypes
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import libvirt

from connectors.libvirt_hosts.settings import LibvirtHost
from connectors.secret import Secret
from twin.errors import OutsideWorldError

T = TypeVar("T")
MOST_HANGING_CALLS = 4
_event_loop_lock = threading.Lock()
_event_loop: threading.Thread | None = None


class HostError(OutsideWorldError):
    """A host answered with an error, or not at all (``code`` None)."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


def start_event_loop() -> None:
    """Runs libvirt's event loop, which keepalive needs, once per process. Must precede the first connection."""
    global _event_loop  # noqa: PLW0603  # libvirt has one event loop per process
    with _event_loop_lock:
        if _event_loop is None:
            libvirt.registerErrorHandler(lambda *_: None, None)
            libvirt.virEventRegisterDefaultImpl()
            _event_loop = threading.Thread(target=_run_events, name="libvirt-events", daemon=True)
            _event_loop.start()


def _run_events() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def never_finalize(connection: Any) -> None:
    """Keeps the interpreter from closing a connection by itself.

    At exit no event loop is left to notice that a host is gone, so that close would wait for its answer for ever. A
    guest of a closed connection keeps it open underneath, so none may be left over either.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def discard(connection: Any) -> Pending[Any]:
    """Closes a connection in a thread of its own, since a host that is gone lets it wait."""
    return Pending(connection.close)


class Pending(Generic[T]):
    """A call under way in its own thread."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._result: list[T] = []
        self.error: libvirt.libvirtError | None = None
        self._thread = threading.Thread(target=self._run, name="libvirt-call", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result.append(self._work())
        except libvirt.libvirtError as error:
            self.error = error.with_traceback(
                None
            )  # its frames hold guests, which hold the connection: see never_finalize

    def done(self, timeout_s: float = 0.0) -> bool:
        """Whether the call has ended, after waiting up to ``timeout_s``."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def result(self) -> T:
        """What the call returned.

        Raises:
            libvirt.libvirtError: what it raised.
        """
        if self.error is not None:
            raise self.error
        return self._result[0]


class HostLink:
    """One host: a cached connection with keepalive, dropped whenever it misbehaves."""

    def __init__(
        self, name: str, host: LibvirtHost, *, timeout_s: float, keepalive_s: int, keepalive_count: int
    ) -> None:
        self.name = name
        self._host = host
        self._timeout_s = timeout_s
        self._keepalive = (keepalive_s, keepalive_count)
        self._connection: Any = None
        self._hanging: list[Pending[Any]] = []
        self._lock = threading.Lock()

    @property
    def migrate_uri(self) -> str:
        """Where other hosts reach this one's daemon."""
        return self._host.migrate_uri or self._host.uri

    @property
    def memory_bytes(self) -> float | None:
        """Declared memory for guests, None where the machine's own counts."""
        return self._host.memory_bytes

    def open(self) -> Any:  # the binding carries no types
        """A new connection; blocks as long as the host likes, so call it from a thread."""
        start_event_loop()
        if self._host.username is None and self._host.password is None:
            connection = libvirt.open(self._host.address)
        else:
            password = self._host.password.load(f"hosts.{self.name}.password") if self._host.password else None
            wanted = [libvirt.VIR_CRED_AUTHNAME, libvirt.VIR_CRED_PASSPHRASE]
            connection = libvirt.openAuth(self._host.address, [wanted, self._answer, password], 0)
        never_finalize(connection)
        with contextlib.suppress(libvirt.libvirtError):  # a local socket may not need it
            connection.setKeepAlive(*self._keepalive)
        return connection

    def _answer(self, credentials: list[list[Any]], password: Secret | None) -> int:
        for credential in credentials:
            name = credential[0] == libvirt.VIR_CRED_AUTHNAME
            credential[4] = self._host.username if name else (password.reveal() if password else "")
        return 0

    def call(self, work: Callable[[Any], T], timeout_s: float | None = None) -> T:
        """The result of ``work(connection)``.

        Raises:
            HostError: the host answered with an error, did not answer in time, or has too many calls hanging.
        """
        self._hanging = [call for call in self._hanging if not call.done()]
        if len(self._hanging) >= MOST_HANGING_CALLS:
            message = f"{self.name}: {len(self._hanging)} calls hang in its libvirt daemon; none is added"
            raise HostError(message)
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        pending = Pending(lambda: work(self._connected()))
        if not pending.done(limit_s):
            self._hanging.append(pending)
            self.close(wait_s=0.0)
            message = f"{self.name}: no answer within {limit_s:g} s"
            raise HostError(message)
        try:
            return pending.result()
        except libvirt.libvirtError as error:
            message = f"{self.name}: {error}"
            raise HostError(message, error.get_error_code()) from error

    def start(self, work: Callable[[Any], T]) -> Pending[T]:
        """Begins a long call on a connection of its own."""
        return Pending(lambda: self._work_alone(work))

    def _work_alone(self, work: Callable[[Any], T]) -> T:
        connection = self.open()
        try:
            return work(connection)
        finally:
            discard(connection)

    def _connected(self) -> Any:
        connection = self._connection
        if connection is None or not connection.isAlive():
            self.close(wait_s=0.0)
            connection = self.open()
            self._connection = connection
        return connection

    def reachable(self) -> bool:
        """Whether the host answers now."""
        try:
            self.call(lambda connection: connection.getLibVersion())
        except HostError:
            return False
        return True

    def clock_s(self) -> float:
        """Seconds of our monotonic clock that one round trip takes."""
        start = time.monotonic()
        self.call(lambda connection: connection.getLibVersion())
        return time.monotonic() - start

    def close(self, wait_s: float | None = None) -> None:
        """Forgets the connection; guests and running jobs are not affected."""
        connection, self._connection = self._connection, None
        if connection is not None:
            discard(connection).done(self._timeout_s if wait_s is None else wait_s)
