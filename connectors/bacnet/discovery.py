"""What a BACnet network holds: devices and their objects with name, unit, description and present value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bacpypes3.pdu import Address

from connectors.bacnet.device import DeviceClient, RefusedByDeviceError, SilentDeviceError
from connectors.bacnet.link import BacnetLink
from connectors.bacnet.settings import BacnetDevice, BacnetSettings
from connectors.bacnet.values import number
from connectors.mapping_proposals import Described, Discovery

UNITS: Mapping[str, str] = {
    "degrees-celsius": "degC",
    "degrees-fahrenheit": "degF",
    "degrees-kelvin": "K",
    "percent": "percent",
    "percent-relative-humidity": "percent",
    "parts-per-million": "ppm",
    "watts": "W",
    "kilowatts": "kW",
    "megawatts": "MW",
    "btus-per-hour": "Btu/h",
    "kilograms-per-second": "kg/s",
    "cubic-meters-per-second": "m3/s",
    "cubic-meters-per-hour": "m3/h",
    "liters-per-second": "L/s",
    "cubic-feet-per-minute": "cfm",
    "meters-per-second": "m/s",
    "watts-per-square-meter": "W/m2",
}
"""BACnet's name of a unit → ours."""
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


def described(found: Iterable[FoundObject], settings: BacnetSettings) -> Discovery:
    """Objects as points of the connector; devices that it does not know yet are added to its settings."""
    names = {device.instance: name for name, device in settings.devices.items()}
    devices: dict[str, object] = {}
    points = []
    for one in found:
        if one.device not in names:
            names[one.device] = f"d{one.device}"
            devices[names[one.device]] = {"instance": one.device, "address": one.address}
        place = {"device": names[one.device], "object": one.object}
        points.append(Described(name=one.name, description=one.description, unit=UNITS.get(one.unit, ""), place=place))
    return Discovery(points=points, settings={"devices": devices} if devices else {})


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
