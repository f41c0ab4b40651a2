"""Modbus TCP: registers with type, word order and scaling; no slots, so the old value is saved before a write."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from connectors.protocols.plain import Measure, PlainConnector, finite
from connectors.set_point import Allowance
from twin.errors import BadInputError, OutsideWorldError
from twin.plan import Action, PointId, Reading
from twin.vocab import PointKind


class Table(StrEnum):
    """Which registers."""

    HOLDING = "holding"
    INPUT = "input"


class NumberType(StrEnum):
    """How a number is laid out in registers."""

    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    FLOAT32 = "float32"
    FLOAT64 = "float64"


class WordOrder(StrEnum):
    """Which word of a number comes first."""

    BIG = "big"
    LITTLE = "little"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusPoint:
    """A number in registers."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    address: int
    """Zero-based."""
    table: Table = Table.HOLDING
    type: NumberType = NumberType.INT16
    word_order: WordOrder = WordOrder.BIG
    device_id: int = 1
    scale: float = 1.0
    """Register value × scale + offset is in ``unit``."""
    offset: float = 0.0
    kind: PointKind | None = None
    unit: str | None = None
    write: Allowance | None = None

    def __post_init__(self) -> None:
        if self.write is not None and self.table is Table.INPUT:
            message = f"address {self.address}: input registers cannot be written; remove 'write' or use table: holding"
            raise BadInputError(message)
        if self.scale == 0:
            message = f"address {self.address}: scale 0 loses the value; use another"
            raise BadInputError(message)

    @property
    def measure(self) -> Measure:
        """What the number means."""
        return Measure(kind=self.kind, unit=self.unit, scale=self.scale, offset=self.offset)

    @property
    def layout(self) -> Any:  # the library's enum
        """The library's name of the type: its letter and the number of registers."""
        return ModbusTcpClient.DATATYPE[self.type.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusSettings:
    """Everything a Modbus TCP connector is told."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    host: str
    port: int = 502
    timeout_s: float = 3.0
    points: Mapping[str, ModbusPoint]


class ModbusConnector(PlainConnector):
    """One Modbus TCP server, one request at a time."""

    def __init__(
        self, name: str, settings: ModbusSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        super().__init__(name, {point: facts.write for point, facts in settings.points.items()}, clock)
        self.settings = settings
        self._client: Any = ModbusTcpClient(settings.host, port=settings.port, timeout=settings.timeout_s, retries=1)
        self._lock = threading.Lock()

    def look(self, points: Sequence[PointId]) -> Mapping[PointId, Reading]:
        """Registers of each point; those that answer with an error or no number are left out."""
        found: dict[PointId, Reading] = {}
        for point in points:
            facts = self.settings.points[point]
            raw = self._read(facts)
            if raw is not None:
                found[point] = Reading(point=point, value=facts.measure.inside(raw), at=self._clock())
        return found

    def _read(self, facts: ModbusPoint) -> float | None:
        count = facts.layout.value[1]
        with self._lock:
            self._connect()
            ask = (
                self._client.read_input_registers if facts.table is Table.INPUT else self._client.read_holding_registers
            )
            try:
                answer = ask(facts.address, count=count, device_id=facts.device_id)
            except ModbusException as error:
                raise self._silent(error) from None
        if answer.isError():
            return None
        return finite(
            self._client.convert_from_registers(answer.registers, facts.layout, word_order=facts.word_order.value)
        )

    def _connect(self) -> None:
        if self._client.connected:
            return
        self._client.close()
        if not self._client.connect():
            message = (
                f"{self.name}: Modbus server {self.settings.host}:{self.settings.port} does not accept a connection"
            )
            raise OutsideWorldError(message)

    def _silent(self, error: Exception) -> OutsideWorldError:
        self._client.close()
        return OutsideWorldError(f"{self.name}: no answer from {self.settings.host}:{self.settings.port} ({error})")

    def write(self, action: Action) -> None:
        """Writes the registers of a holding point."""
        facts = self.settings.points[action.point]
        raw = facts.measure.outside(float(action.value))
        value = raw if facts.type.name.startswith("FLOAT") else round(raw)
        try:
            registers = self._client.convert_to_registers(value, facts.layout, word_order=facts.word_order.value)
        except (ModbusException, struct.error, ValueError, TypeError) as error:
            message = f"{action.point}: {value} does not fit {facts.type} ({error})"
            raise BadInputError(message) from None
        with self._lock:
            self._connect()
            try:
                answer = self._client.write_registers(facts.address, registers, device_id=facts.device_id)
            except ModbusException as error:
                raise self._silent(error) from None
        if answer.isError():
            message = f"{action.point}: the device answered {answer}"
            raise OutsideWorldError(message)

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()
