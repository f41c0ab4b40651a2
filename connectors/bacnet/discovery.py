"""What a BACnet network holds: devices and their objects with name, unit, description and present value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bacpypes3.pdu import Address

from connectors.bacnet.device import DeviceClient, RefusedByDeviceError, SilentDeviceError
from connectors.bacnet.link import BacnetLink
from connectors.bacnet.settings import BacnetDevice, BacnetSettings
from connectors.bacnet.values import number

_POINT_TYPES = ("analog-", "binary-", "multi-state-")
_PROPERTIES = ("object-name", "description", "units", "present-value")
HIGHEST_INSTANCE = 4_194_302


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundObject:
    """An object of a device, as the device describes it."""

    device: int
    address: str
    object: str
    name: str
    description: str
    unit: str
    value: float | None


async def discover(
    link: BacnetLink, settings: BacnetSettings, low: int, high: int, address: str | None
) -> list[FoundObject]:
    """All point-like objects of the devices that answer Who-Is.

    Args:
        link: the running stack.
        settings: timeouts and chunk size.
        low: lowest device instance asked for.
        high: highest.
        address: where to ask; None to broadcast.
    """
    target = Address(address) if address else None
    answers = await link.app.who_is(low, high, address=target, timeout=settings.timeout_s)
    found: list[FoundObject] = []
    seen: set[tuple[int, str]] = set()
    for answer in answers:
        key = (int(answer.iAmDeviceIdentifier[1]), str(answer.pduSource))
        if key not in seen:
            seen.add(key)
            found.extend(await _objects(link, settings, *key))
    return found


async def _objects(link: BacnetLink, settings: BacnetSettings, instance: int, address: str) -> list[FoundObject]:
    client = DeviceClient(str(instance), BacnetDevice(instance=instance, address=address), link, settings)
    try:
        names = [name for name in await _object_list(client, instance) if name.startswith(_POINT_TYPES)]
        rows = await client.read([(name, _PROPERTIES) for name in names])
    except SilentDeviceError:
        return []
    return [
        FoundObject(
            device=instance,
            address=address,
            object=name,
            name=str(row.get("object-name", "")),
            description=str(row.get("description", "")),
            unit=str(row.get("units", "")),
            value=number(row.get("present-value")),
        )
        for name, row in zip(names, rows, strict=True)
    ]


async def _object_list(client: DeviceClient, instance: int) -> list[str]:
    """The device's list of objects; element by element where it is too long for one answer."""
    device = f"device,{instance}"
    try:
        listed: Any = await client.read_property(device, "object-list")
        return [str(item) for item in listed]
    except RefusedByDeviceError:
        length = int(await client.read_property(device, "object-list", 0))
        return [str(await client.read_property(device, "object-list", index)) for index in range(1, length + 1)]
