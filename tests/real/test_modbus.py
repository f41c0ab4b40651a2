"""The Modbus connector against a real server: pymodbus in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from peers import HERE, Peer, free_port, wait_for_port

pytest.importorskip("pymodbus")

from connectors.conformance import CHECKS, Trial
from connectors.protocols.modbus import ModbusConnector, ModbusPoint, ModbusSettings, NumberType, Table, WordOrder
from connectors.set_point import Allowance
from twin.errors import BadInputError, OutsideWorldError
from twin.plan import Action, ActionKind
from twin.vocab import PointKind

pytestmark = pytest.mark.real
POINTS = {
    "setpoint": ModbusPoint(
        address=0, scale=0.1, kind=PointKind.ZONE_COOLING_SETPOINT, unit="degC", write=Allowance(min=16, max=28)
    ),
    "float": ModbusPoint(address=2, type=NumberType.FLOAT32, write=Allowance(min=0, max=50)),
    "counter": ModbusPoint(address=4, type=NumberType.UINT32, word_order=WordOrder.LITTLE),
    "outdoor": ModbusPoint(address=0, table=Table.INPUT, scale=0.1),
    "ghost": ModbusPoint(address=500),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    peer = Peer([sys.executable, HERE / "modbus_server.py", port], log=tmp_path_factory.mktemp("modbus") / "log")
    wait_for_port(port, peer)
    yield port
    peer.stop()


@pytest.fixture
def connector(server: int) -> Iterator[ModbusConnector]:
    made = ModbusConnector("plc", ModbusSettings(host="127.0.0.1", port=server, points=POINTS))
    yield made
    made.close()


def set_to(value: float, point: str = "setpoint") -> Action:
    return Action(
        id="a", kind=ActionKind.SET_POINT, connector="plc", point=point, value=value, expected=None, tolerance=0.05
    )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_modbus_connector_keeps_the_contract(check, connector: ModbusConnector, server: int) -> None:
    def somebody() -> float:
        other = ModbusConnector("other", connector.settings)
        other.apply(set_to(25.0))
        other.close()
        return 25.0

    nobody = ModbusSettings(host="127.0.0.1", port=free_port(), points=POINTS, timeout_s=1.0)
    check(
        Trial(
            connector=connector,
            readable=["setpoint", "outdoor", "float"],
            unreadable="ghost",
            action=set_to(23.5),
            forbidden=[set_to(99.0), set_to(1.0, "counter"), set_to(float("nan"))],
            unreachable=ModbusConnector("nobody", nobody),
            timeout_s=5.0,
            overwrite=somebody,
        )
    )
    connector.write(set_to(21.5))


def test_types_word_order_and_scaling_are_applied(connector: ModbusConnector) -> None:
    values = [reading.value for reading in connector.read(["setpoint", "float", "counter", "outdoor"])]
    assert values == [pytest.approx(21.5), 21.5, 123456.0, pytest.approx(-5.5)]


def test_a_value_that_does_not_fit_its_registers_is_bad_input(connector: ModbusConnector) -> None:
    wide = {"x": replace(POINTS["setpoint"], write=Allowance(min=-1e9, max=1e9))}
    other = ModbusConnector("plc", replace(connector.settings, points=wide))
    with pytest.raises(BadInputError, match="does not fit"):
        other.apply(set_to(1e8, "x"))
    other.close()


def test_input_registers_cannot_be_configured_for_writing() -> None:
    with pytest.raises(BadInputError, match="input registers cannot be written"):
        ModbusPoint(address=1, table=Table.INPUT, write=Allowance(min=0, max=1))


def test_a_server_that_stops_is_an_error_and_one_that_returns_is_found(tmp_path: Path) -> None:
    port = free_port()
    peer = Peer([sys.executable, HERE / "modbus_server.py", port], log=tmp_path / "log")
    wait_for_port(port, peer)
    connector = ModbusConnector("plc", ModbusSettings(host="127.0.0.1", port=port, points=POINTS, timeout_s=1.0))
    assert connector.read(["float"])[0].value == 21.5
    peer.stop()
    with pytest.raises(OutsideWorldError):
        connector.read(["float"])
    peer.start()
    wait_for_port(port, peer)
    assert connector.read(["float"])[0].value == 21.5
    connector.close()
    peer.stop()
