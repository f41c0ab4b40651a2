"""Talks to one BACnet device: one request at a time, with a breaker, in chunks that the device can take."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from bacpypes3.apdu import AbortPDU, AbortReason, ErrorRejectAbortNack, RejectPDU, RejectReason
from bacpypes3.basetypes import ErrorType
from bacpypes3.pdu import Address

from connectors.bacnet.link import BacnetLink
from connectors.bacnet.settings import BacnetDevice, BacnetSettings
from connectors.bacnet.values import object_identifier
from twin.errors import OutsideWorldError

Wanted = tuple[str, tuple[str, ...]]
"""An object and the properties to read of it."""
Found = Mapping[str, Any]
"""Properties of one object that could be read, by name."""

_TOO_LARGE = frozenset(
    {
        AbortReason.segmentationNotSupported,
        AbortReason.bufferOverflow,
        AbortReason.apduTooLong,
        AbortReason.outOfResources,
    }
)


class SilentDeviceError(OutsideWorldError):
    """The device did not answer in time, or did not lately and is left alone for a while."""


class RefusedByDeviceError(OutsideWorldError):
    """The device answered with an error."""


class DeviceClient:
    """Requests to one device. Not for use outside the link's loop."""

    def __init__(self, name: str, device: BacnetDevice, link: BacnetLink, settings: BacnetSettings) -> None:
        self.name = name
        self._device = device
        self._link = link
        self._settings = settings
        self._lock = asyncio.Lock()
        self._address: Any = None
        self._shut_until = 0.0
        self._chunk = settings.chunk
        self.alive: bool | None = None
        """What the last request showed; None before the first."""
        self.returned = asyncio.Event()
        """Set each time the device answers again after silence; cleared by whoever acts on it."""

    async def address(self) -> Any:
        """The device's address, found by Who-Is on first use and after each silence."""
        if self._address is None:
            self._require_open()
            target = Address(self._device.address) if self._device.address else None
            instance = self._device.instance
            found = await self._link.app.who_is(instance, instance, address=target, timeout=self._settings.timeout_s)
            if not found:
                self._fall_silent()
                where = self._device.address or "the local network"
                message = f"BACnet device {self.name} ({instance}) does not answer Who-Is at {where}"
                raise SilentDeviceError(message)
            self._address = found[0].pduSource
        return self._address

    async def exclusive(self, request: Coroutine[Any, Any, Any]) -> Any:
        """The answer to one request, sent when no other is under way.

        Raises:
            SilentDeviceError: no answer.
            RefusedByDeviceError: an error as answer; the stack's own error is its cause.
        """
        try:
            async with self._lock:
                self._require_open()
                answer = await request
        except ErrorRejectAbortNack as error:
            answer = error
        finally:
            request.close()
        if isinstance(answer, ErrorRejectAbortNack):
            self._raise_for(answer)
        self._be_alive()
        return answer

    def _require_open(self) -> None:
        left_s = self._shut_until - time.monotonic()
        if left_s > 0:
            message = f"BACnet device {self.name} did not answer; next try in {left_s:.0f} s"
            raise SilentDeviceError(message)

    def _raise_for(self, answer: Any) -> None:
        if isinstance(answer, AbortPDU) and answer.apduAbortRejectReason == AbortReason.noResponse:
            self._fall_silent()
            message = f"BACnet device {self.name} did not answer within {self._settings.timeout_s:g} s"
            raise SilentDeviceError(message)
        self._be_alive()
        message = f"BACnet device {self.name} answered: {answer}"
        raise RefusedByDeviceError(message) from _AnsweredError(answer)

    def _fall_silent(self) -> None:
        self.alive = False
        self._address = None
        self._shut_until = time.monotonic() + self._settings.breaker_s

    def _be_alive(self) -> None:
        if self.alive is False:
            self.returned.set()
        self.alive = True

    async def read(self, wanted: Sequence[Wanted]) -> list[Found]:
        """Properties per object, in order; what could not be read is missing.

        Raises:
            SilentDeviceError: the device does not answer at all.
        """
        found: list[Found] = []
        while len(found) < len(wanted):
            part = wanted[len(found) : len(found) + max(1, self._chunk)]
            found.extend(await self._read_part(part))
        return found

    async def _read_part(self, part: Sequence[Wanted]) -> list[Found]:
        if self._chunk < 1:
            return [await self._read_single(item) for item in part]
        try:
            return await self._read_multiple(part)
        except RefusedByDeviceError as error:
            if self._shrink(error, len(part)):
                half = max(1, len(part) // 2)
                chunks = [part[i : i + half] for i in range(0, len(part), half)]
                return [found for chunk in chunks for found in await self._read_part(chunk)]
            return [await self._read_single(item) for item in part]

    def _shrink(self, error: RefusedByDeviceError, size: int) -> bool:
        """Whether a smaller multi-read may work; if not, single reads are used from now on where it is unknown."""
        answer = error.__cause__.answer if isinstance(error.__cause__, _AnsweredError) else None
        if isinstance(answer, RejectPDU) and answer.apduAbortRejectReason == RejectReason.unrecognizedService:
            self._chunk = 0
        elif isinstance(answer, AbortPDU) and answer.apduAbortRejectReason in _TOO_LARGE and size > 1:
            self._chunk = size // 2
            return True
        return False

    async def _read_multiple(self, part: Sequence[Wanted]) -> list[Found]:
        address = await self.address()
        asked: list[Any] = []
        for name, properties in part:
            asked += [object_identifier(name), list(properties)]
        rows = await self.exclusive(self._link.app.read_property_multiple(address, asked))
        found: dict[str, dict[str, Any]] = {}
        for row in rows:
            if not isinstance(row[3], ErrorType):
                found.setdefault(str(row[0]), {})[str(row[1])] = row[3]
        return [found.get(str(object_identifier(name)), {}) for name, _ in part]

    async def _read_single(self, item: Wanted) -> Found:
        name, properties = item
        found: dict[str, Any] = {}
        for prop in properties:
            try:
                found[prop] = await self.read_property(name, prop)
            except RefusedByDeviceError:
                continue
        return found

    async def read_property(self, name: str, prop: str, index: int | None = None) -> Any:
        """One property, or one element of it."""
        address = await self.address()
        return await self.exclusive(
            self._link.app.read_property(address, object_identifier(name), prop, array_index=index)
        )

    async def write(self, name: str, value: Any, priority: int | None) -> None:
        """Writes the present value, into a slot where ``priority`` is given."""
        address = await self.address()
        await self.exclusive(
            self._link.app.write_property(address, object_identifier(name), "present-value", value, priority=priority)
        )

    async def probe(self) -> bool:
        """Whether the device answers now, breaker or not."""
        self._shut_until = -math.inf
        try:
            await self.read_property(f"device,{self._device.instance}", "system-status")
        except SilentDeviceError:
            return False
        except RefusedByDeviceError:
            return True
        return True


class _AnsweredError(Exception):
    """Carries the stack's answer, which is no Exception of its own."""

    def __init__(self, answer: Any) -> None:
        super().__init__(str(answer))
        self.answer = answer
