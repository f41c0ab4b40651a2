"""A building served as a BACnet/IP device: its commands with priority arrays, its sensors as inputs.

What the slots of a command say goes to the building's local controller as an override; empty slots leave the point to
the building's own program. When the heartbeat of a remote writer stops, its slot is emptied, so the building falls
back to its own program when we go silent.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bacpypes3.app import Application
from bacpypes3.basetypes import BinaryPV, EngineeringUnits, PriorityValue
from bacpypes3.errors import ExecutionError
from bacpypes3.local.analog import AnalogInputObject, AnalogValueObject
from bacpypes3.local.binary import BinaryValueObject
from bacpypes3.local.cmd import Commandable
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject
from bacpypes3.primitivedata import Null, Real

from twin.plan import PointId, Reading

HEARTBEAT = "binary-value,1"
SOCKET_OPENS_S = 0.2
"""The stack opens its socket in the background and does not tell when it is done."""


class Building(Protocol):
    """What is served: see ``connectors.emulator.building``."""

    def points(self) -> tuple[PointId, ...]:
        """All points, commands and readings."""
        ...

    def in_force(self) -> Mapping[PointId, float]:
        """The command points and what they stand at."""
        ...

    def read(self, points: Sequence[PointId]) -> Sequence[Reading]:
        """Readings now."""
        ...

    def operate(self, point: PointId, value: float | None) -> None:
        """Overrides a command point at the building, or lets it go with None."""
        ...

    def advance_steps(self, steps: int) -> None:
        """Lets time pass."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """How a building is served."""

    bind: str
    """Own address with prefix and port, as in ``10.1.2.3/24:47808``."""
    instance: int = 1001
    name: str = "building"
    step_s: float = 900.0
    """Length of a step of the building."""
    speed: float = 1.0
    """Seconds of the building that pass in a second; 1 is real time."""
    watched_priority: int = 13
    silence_s: float = 180.0
    """Seconds without a change of the heartbeat after which the watched slot is emptied everywhere."""


class CommandObject(Commandable, AnalogValueObject):  # type: ignore[misc]  # the stack carries no types
    """A command of the building with sixteen slots."""

    async def write_property(
        self,
        attr: Any,  # a property's name or number
        value: Any,  # whatever was on the wire
        index: int | None = None,
        priority: int | None = None,
    ) -> None:
        """Takes present values only, and only finite ones."""
        name = attr if isinstance(attr, str) else self._property_identifier_class(attr).attr
        if name != "presentValue":
            raise ExecutionError(errorClass="property", errorCode="writeAccessDenied")
        if not isinstance(value, Null) and not math.isfinite(float(value)):
            raise ExecutionError(errorClass="property", errorCode="valueOutOfRange")
        await super().write_property(attr, value, index, priority)


class SensorObject(AnalogInputObject):  # type: ignore[misc]
    """A reading of the building; it cannot be written."""

    async def write_property(self, *_: object, **__: object) -> None:
        """Refuses."""
        raise ExecutionError(errorClass="property", errorCode="writeAccessDenied")


class HeartbeatObject(Commandable, BinaryValueObject):  # type: ignore[misc]
    """Toggled by a remote writer while it holds anything."""


class ServedBuilding:
    """The device and the building's time. Runs in one event loop: ``await run(stop)``."""

    def __init__(self, building: Building, settings: ServiceSettings) -> None:
        self._building = building
        self._settings = settings
        self._commands: dict[PointId, Any] = {}
        self._sensors: dict[PointId, Any] = {}
        self._given: dict[PointId, float | None] = {}
        self._beat: tuple[float, float] = (-1.0, time.monotonic())
        self._heartbeat: Any = None
        self.released = 0
        """How many slots were emptied because their writer fell silent."""

    def object_names(self) -> dict[PointId, str]:
        """Point → object, commands as analog values and readings as analog inputs, in the order of the points."""
        commands = self._building.in_force()
        names: dict[PointId, str] = {}
        for point in self._building.points():
            kind = "analog-value" if point in commands else "analog-input"
            names[point] = f"{kind},{1 + sum(other.startswith(kind) for other in names.values())}"
        return names

    async def run(self, stop: asyncio.Event, ready: asyncio.Event | None = None) -> None:
        """Serves until ``stop`` is set.

        Args:
            stop: ends it.
            ready: set once the socket is open.
        """
        logging.getLogger("bacpypes3").setLevel(logging.ERROR)
        app = Application.from_object_list(self._objects())
        try:
            await asyncio.sleep(SOCKET_OPENS_S)
            if ready is not None:
                ready.set()
            while not stop.is_set():
                await self._pass_step(stop)
        finally:
            app.close()

    def _objects(self) -> list[Any]:
        wanted = self._settings
        device = DeviceObject(
            objectIdentifier=("device", wanted.instance),
            objectName=wanted.name,
            vendorIdentifier=999,
            maxApduLengthAccepted=1476,
            segmentationSupported="segmentedBoth",
            maxSegmentsAccepted=64,
        )
        port = NetworkPortObject(wanted.bind, objectIdentifier=("network-port", 1), objectName="port-1")
        self._heartbeat = HeartbeatObject(
            objectIdentifier=("binary-value", 1),
            objectName="heartbeat",
            description="toggle while commands are held",
            presentValue=BinaryPV("inactive"),
            relinquishDefault=BinaryPV("inactive"),
        )
        values = self._shown()
        for point, name in self.object_names().items():
            kind, _, number = name.partition(",")
            table, make = (self._commands, CommandObject) if kind == "analog-value" else (self._sensors, SensorObject)
            table[point] = _made(make, (kind, int(number)), point, values.get(point, 0.0))
        return [device, port, self._heartbeat, *self._commands.values(), *self._sensors.values()]

    def _shown(self) -> dict[PointId, float]:
        """Values as they stand; commands as the building's own program has them."""
        readings = self._building.read(self._building.points())
        return {reading.point: reading.value for reading in readings if isinstance(reading.value, float)}

    async def _pass_step(self, stop: asyncio.Event) -> None:
        try:
            await asyncio.wait_for(stop.wait(), self._settings.step_s / self._settings.speed)
        except TimeoutError:
            self._drop_the_silent()
            self._hand_over()
            await asyncio.get_running_loop().run_in_executor(None, self._building.advance_steps, 1)
            self._show()

    def _drop_the_silent(self) -> None:
        """Empties the watched slot everywhere when the heartbeat has not changed for too long."""
        now, state = time.monotonic(), float(int(self._heartbeat.presentValue))
        if state != self._beat[0]:
            self._beat = (state, now)
        if now - self._beat[1] < self._settings.silence_s:
            return
        index = self._settings.watched_priority - 1
        for held in (*self._commands.values(), self._heartbeat):
            if held.priorityArray[index].null is None:
                held.priorityArray[index] = PriorityValue(null=())
                self.released += 1

    def _hand_over(self) -> None:
        """Tells the local controller what the slots say; nothing is told twice."""
        for point, held in self._commands.items():
            filled = any(slot.null is None for slot in held.priorityArray)
            value = float(held.presentValue) if filled else None
            if self._given.get(point) != value:
                self._given[point] = value
                self._building.operate(point, value)

    def _show(self) -> None:
        """Present readings, and the own program's values where nobody commands."""
        values = self._shown()
        for point, sensor in self._sensors.items():
            if point in values:
                sensor.presentValue = Real(values[point])
        for point, held in self._commands.items():
            if self._given.get(point) is None and point in values:
                held.relinquishDefault = Real(values[point])
                held.recalculating()


def _made(make: Any, identifier: tuple[str, int], point: PointId, value: float) -> Any:
    unit = EngineeringUnits("degrees-celsius" if point.endswith(("_c", "temperature")) else "no-units")
    default = {"relinquishDefault": Real(value)} if identifier[0] == "analog-value" else {}
    return make(
        objectIdentifier=identifier,
        objectName=point,
        presentValue=Real(value),
        units=unit,
        covIncrement=0.05,
        **default,
    )


def site_fragment(served: ServedBuilding, settings: ServiceSettings, own_bind: str) -> str:
    """The block of a site file that connects to the served building; limits are left for a person to set."""
    address = settings.bind.replace("/8:", ":")
    lines = [
        "connectors:",
        f"  {settings.name}:",
        "    type: bacnet",
        f"    bind: {own_bind}",
        f'    devices: {{it: {{instance: {settings.instance}, address: "{address}"}}}}',
        f'    heartbeat: {{device: it, object: "{HEARTBEAT}"}}',
        "    points:",
    ]
    lines += [f'      {point}: {{device: it, object: "{name}"}}' for point, name in served.object_names().items()]
    return "\n".join(lines) + "\n"
