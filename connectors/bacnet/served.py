"""A building served as a BACnet/IP device: its commands with priority arrays, its sensors as inputs.

What the slots of a command say goes to the building's local controller as an override; empty slots leave the point to
the building's own program. When the heartbeat of a remote writer stops, its slot is emptied, so the building falls
back to its own program when we go silent.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from bacpypes3.app import Application
from bacpypes3.basetypes import BinaryPV, EngineeringUnits, PriorityValue
from bacpypes3.errors import ExecutionError
from bacpypes3.local.analog import AnalogInputObject, AnalogOutputObject, AnalogValueObject
from bacpypes3.local.binary import BinaryValueObject
from bacpypes3.local.cmd import Commandable
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject
from bacpypes3.primitivedata import Date, Null, Real, Time

from twin.plan import PointId, Reading

HEARTBEAT = "binary-value,1"
PASS_TIME = "analog-output,1"
"""In lock-step: seconds that shall pass."""
SOCKET_OPENS_S = 0.2
"""The stack opens its socket in the background and does not tell when it is done."""


SILENCE_LOOK_S = 5.0
"""How often the heartbeat is looked at where a step takes longer."""
MOST_PASSED_S = 86_400.0
"""Longest time that may pass at one word. [s]"""


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

    def now(self) -> datetime:
        """The building's own time, UTC."""
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
    lockstep: bool = False
    """Time passes only as far as a reader asks, by writing seconds to ``PASS_TIME``."""
    watched_priority: int = 13
    silence_s: float = 180.0
    """Seconds without a change of the heartbeat after which the watched slot is emptied everywhere."""


class BuildingDevice(DeviceObject):  # type: ignore[misc]
    """The device; its clock is the building's and tells UTC. It moves together with the readings, not in between."""

    _moment = datetime(1900, 1, 1, tzinfo=UTC)
    utcOffset = 0  # noqa: N815 - the stack's name
    daylightSavingsStatus = False  # noqa: N815

    @property
    def localDate(self) -> Date:  # noqa: N802
        """The day of the building."""
        return Date((self._moment.year - 1900, self._moment.month, self._moment.day, self._moment.isoweekday()))

    @localDate.setter
    def localDate(self, value: object) -> None:  # noqa: N802
        """Ignored: nobody sets the building's clock."""

    @property
    def localTime(self) -> Time:  # noqa: N802
        """The time of day of the building."""
        at = self._moment
        return Time((at.hour, at.minute, at.second, at.microsecond // 10_000))

    @localTime.setter
    def localTime(self, value: object) -> None:  # noqa: N802
        """Ignored."""


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


class PassTimeObject(AnalogOutputObject):  # type: ignore[misc]
    """Takes seconds that shall pass; each write adds to what is still to pass."""

    _asked: Any = None

    async def write_property(
        self,
        attr: Any,  # a property's name or number
        value: Any,  # whatever was on the wire
        index: int | None = None,
        priority: int | None = None,
    ) -> None:
        """Hands the seconds over."""
        if isinstance(value, Null) or not 0.0 <= float(value) <= MOST_PASSED_S:
            raise ExecutionError(errorClass="property", errorCode="valueOutOfRange")
        self._asked.put_nowait(float(value))


class HeartbeatObject(Commandable, BinaryValueObject):  # type: ignore[misc]
    """Toggled by a remote writer while it holds anything."""

    _beaten_at = 0.0
    """On the monotonic clock. [s]"""

    async def write_property(
        self,
        attr: Any,  # a property's name or number
        value: Any,  # whatever was on the wire
        index: int | None = None,
        priority: int | None = None,
    ) -> None:
        """Remembers when the heart beat last."""
        await super().write_property(attr, value, index, priority)
        self._beaten_at = time.monotonic()


class ServedBuilding:
    """The device and the building's time. Runs in one event loop: ``await run(stop)``."""

    def __init__(self, building: Building, settings: ServiceSettings) -> None:
        self._building = building
        self._settings = settings
        self._commands: dict[PointId, Any] = {}
        self._sensors: dict[PointId, Any] = {}
        self._given: dict[PointId, float | None] = {}
        self._heartbeat: Any = None
        self._device: Any = None
        self._asked: asyncio.Queue[float] = asyncio.Queue()
        self._owed_s = 0.0
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
        self._device = device = BuildingDevice(
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
        self._heartbeat._beaten_at = time.monotonic()
        device._moment = self._moment()
        passing = PassTimeObject(objectIdentifier=("analog-output", 1), objectName="pass_time", presentValue=Real(0.0))
        passing._asked = self._asked
        values = self._shown()
        for point, name in self.object_names().items():
            kind, _, number = name.partition(",")
            table, make = (self._commands, CommandObject) if kind == "analog-value" else (self._sensors, SensorObject)
            table[point] = _made(make, (kind, int(number)), point, values.get(point, 0.0))
        more = [passing] if wanted.lockstep else []
        return [device, port, self._heartbeat, *more, *self._commands.values(), *self._sensors.values()]

    def _shown(self) -> dict[PointId, float]:
        """Values as they stand; commands as the building's own program has them."""
        readings = self._building.read(self._building.points())
        return {reading.point: reading.value for reading in readings if isinstance(reading.value, float)}

    async def _pass_step(self, stop: asyncio.Event) -> None:
        wanted = self._settings
        if wanted.lockstep:
            await self._pass_asked(stop)
            return
        end = time.monotonic() + wanted.step_s / wanted.speed
        while (left_s := end - time.monotonic()) > 0.0:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), min(left_s, SILENCE_LOOK_S))
                return
            self._drop_the_silent()
        await self._advance()

    async def _pass_asked(self, stop: asyncio.Event) -> None:
        """Lets pass what a reader asks for; what is left of a step is owed to the next."""
        waits = [asyncio.ensure_future(self._asked.get()), asyncio.ensure_future(stop.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if not waits[0].done():
            waits[0].cancel()
            return
        waits[1].cancel()
        self._owed_s += float(waits[0].result())
        while self._owed_s >= self._settings.step_s:
            self._owed_s -= self._settings.step_s
            await self._advance()
        self._device._moment = self._moment()

    async def _advance(self) -> None:
        self._drop_the_silent()
        self._hand_over()
        await asyncio.get_running_loop().run_in_executor(None, self._building.advance_steps, 1)
        self._show()

    def _moment(self) -> datetime:
        return self._building.now() + timedelta(seconds=self._owed_s)

    def _drop_the_silent(self) -> None:
        """Empties the watched slot everywhere when the heartbeat was not written for too long."""
        if time.monotonic() - self._heartbeat._beaten_at < self._settings.silence_s:
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
        self._device._moment = self._moment()
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


LIMITS: Sequence[tuple[str, float, float]] = (
    ("_rate_k_h", 0.0, 10.0),
    ("_c", 5.0, 40.0),
    ("_k", 0.0, 15.0),
    ("_h", 0.0, 24.0),
    ("_min", 0.0, 240.0),
    ("_fraction", 0.0, 1.0),
    ("/called_by_occupancy", 0.0, 1000.0),
    ("/economizer", 0.0, 1.0),
)
"""How the name of a command of ``twin.building.points`` ends, and what may be written to it."""


def connector_block(served: ServedBuilding, settings: ServiceSettings) -> dict[str, object]:
    """The block of a site file that connects to the served building, from any free port of this machine."""
    names = served.object_names()
    return {
        "type": "bacnet",
        "bind": "127.0.0.1/8:0",
        "speed": settings.step_s if settings.lockstep else settings.speed,
        **({"lockstep": PASS_TIME} if settings.lockstep else {}),
        "devices": {"it": {"instance": settings.instance, "address": re.sub(r"/\d+", "", settings.bind)}},
        "heartbeat": {"device": "it", "object": HEARTBEAT, "every_s": min(60.0, settings.silence_s / 3)},
        "breaker_s": 5.0,
        "points": {point: _point_block(point, name) for point, name in names.items()},
    }


def _point_block(point: PointId, name: str) -> dict[str, object]:
    limits = next(((low, high) for ending, low, high in LIMITS if point.endswith(ending)), None)
    block: dict[str, object] = {"device": "it", "object": name}
    if limits is None or not name.startswith("analog-value"):
        return block
    return block | {"write": {"min": limits[0], "max": limits[1]}}
