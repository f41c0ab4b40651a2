"""The BACnet stack in a thread of its own: an event loop that plain calls hand their requests to."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from bacpypes3.app import Application
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject
from bacpypes3.pdu import IPv4Address

from connectors.bacnet.settings import BacnetSettings
from twin.errors import BadInputError, OutsideWorldError

T = TypeVar("T")
START_TIMEOUT_S = 10.0


class BacnetLink:
    """Owns the socket, the stack and the loop; ``call`` runs a coroutine there and waits for it."""

    def __init__(self, settings: BacnetSettings) -> None:
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._app: Any = None
        self._lock = threading.Lock()

    @property
    def app(self) -> Any:  # the stack carries no types
        """The running stack."""
        return self._app

    def start(self) -> None:
        """Opens the socket; harmless when already open.

        Raises:
            BadInputError: the address to bind is malformed.
            OutsideWorldError: it cannot be bound.
        """
        with self._lock:
            if self._thread is not None:
                return
            _require_free(self._settings.bind)
            logging.getLogger("bacpypes3").setLevel(logging.ERROR)
            loop = self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=loop.run_forever, name="bacnet", daemon=True)
            self._thread.start()
            asyncio.run_coroutine_threadsafe(self._open(), loop).result(START_TIMEOUT_S)

    async def _open(self) -> None:
        wanted = self._settings
        device = DeviceObject(
            objectIdentifier=("device", wanted.instance),
            objectName=f"understudy-{wanted.instance}",
            vendorIdentifier=wanted.vendor,
            maxApduLengthAccepted=1476,
            segmentationSupported="segmentedBoth",
            maxSegmentsAccepted=64,
            apduTimeout=int(wanted.timeout_s * 1000),
            numberOfApduRetries=wanted.retries,
        )
        port = NetworkPortObject(wanted.bind, objectIdentifier=("network-port", 1), objectName="port-1")
        self._app = Application.from_object_list([device, port])

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """The result of a coroutine of the link's loop.

        Raises:
            OutsideWorldError: it took longer than ``timeout_s``.
        """
        try:
            self.start()
        except BaseException:
            work.close()
            raise
        if self._loop is None:
            work.close()
            message = "BACnet: the link was closed"
            raise OutsideWorldError(message)
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except FutureTimeoutError:
            future.cancel()
            message = f"BACnet: no result within {timeout_s:g} s"
            raise OutsideWorldError(message) from None
        except CancelledError:
            message = "BACnet: the link was closed while a request was under way"
            raise OutsideWorldError(message) from None

    def close(self) -> None:
        """Cancels what runs, closes the socket, ends the thread."""
        with self._lock:
            if self._thread is None or self._loop is None:
                return
            asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(START_TIMEOUT_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(START_TIMEOUT_S)
            self._loop.close()
            self._thread = self._loop = None

    async def _stop(self) -> None:
        mine = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not mine]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._app is not None:
            self._app.close()
            await asyncio.sleep(0)


def _require_free(bind: str) -> None:
    """The stack would retry for ever in silence, so the port is tried first."""
    try:
        host, port = IPv4Address(bind).addrTuple
    except (ValueError, TypeError):
        message = f"bind: {bind!r} is not an address; write it like 10.1.2.3/24:47808"
        raise BadInputError(message) from None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"bind: UDP {host}:{port} cannot be opened ({error.strerror}); choose a free port of this machine"
            raise OutsideWorldError(message) from None
