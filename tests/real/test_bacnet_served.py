"""A building served as a BACnet device: our commands reach it, operators win, silence gives it back."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from peers import free_port, wait_until

pytest.importorskip("bacpypes3")

from connectors.bacnet.connector import BacnetConnector
from connectors.bacnet.served import HEARTBEAT, PASS_TIME, ServedBuilding, ServiceSettings
from connectors.bacnet.settings import BacnetDevice, BacnetPoint, BacnetSettings, Heartbeat
from connectors.conformance import CHECKS, Trial
from connectors.set_point import OURS, Allowance
from twin.errors import OutsideWorldError
from twin.plan import Action, ActionKind, Reading

pytestmark = pytest.mark.real
NOON = datetime(2023, 10, 30, 12, tzinfo=UTC)
SETPOINT, TEMPERATURE = "core/cooling_setpoint_occupied_c", "core/zone_air_temperature"


class Room:
    """The least building: a temperature that follows its setpoint step by step."""

    def __init__(self) -> None:
        self.program = {SETPOINT: 24.0, "ahu/hours_mon_start_h": 6.0}
        self.overrides: dict[str, float] = {}
        self.temperature, self.steps = 26.0, 0

    def points(self) -> tuple[str, ...]:
        return (*self.program, TEMPERATURE)

    def in_force(self) -> dict[str, float]:
        return {**self.program, **self.overrides}

    def read(self, points) -> list[Reading]:
        values = {**self.in_force(), TEMPERATURE: self.temperature}
        return [Reading(point=point, value=values[point], at=datetime.now(UTC)) for point in points]

    def operate(self, point: str, value: float | None) -> None:
        if value is None:
            self.overrides.pop(point, None)
        else:
            self.overrides[point] = value

    def now(self) -> datetime:
        return NOON + self.steps * timedelta(minutes=15)

    def advance_steps(self, steps: int) -> None:
        self.steps += steps
        self.temperature += 0.5 * (self.in_force()[SETPOINT] - self.temperature)


class Service:
    """The served building in a thread of its own."""

    def __init__(self, building, **changes: object) -> None:
        self.port = free_port(socket.SOCK_DGRAM)
        base = ServiceSettings(bind=f"127.0.0.1/8:{self.port}", step_s=900.0, speed=9000.0, silence_s=60.0)
        self.building, self.served = building, ServedBuilding(building, replace(base, **changes))
        self.loop, self.stop, self.ready = asyncio.new_event_loop(), asyncio.Event(), asyncio.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        wait_until(self.ready.is_set, what="service")

    def _run(self) -> None:
        self.loop.run_until_complete(self.served.run(self.stop, self.ready))
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(10.0)

    def connector(self, allowance: Allowance, beat: bool = False, **changes: object) -> BacnetConnector:
        names = self.served.object_names()
        commands = self.building.in_force()
        points = {
            point: BacnetPoint(device="it", object=name, write=allowance if point in commands else None)
            for point, name in names.items()
        }
        wanted = BacnetSettings(
            bind=f"127.0.0.1/8:{free_port(socket.SOCK_DGRAM)}",
            devices={"it": BacnetDevice(instance=1001, address=f"127.0.0.1:{self.port}")},
            points={**points, "ghost": BacnetPoint(device="it", object="analog-value,4000")},
            heartbeat=Heartbeat(device="it", object=HEARTBEAT, every_s=0.2) if beat else None,
            timeout_s=1.0,
        )
        return BacnetConnector("building", replace(wanted, **changes))


@pytest.fixture
def opened() -> Iterator[list]:
    things: list = []
    yield things
    for thing in reversed(things):
        thing.close()


def cooler(value: float = 22.0) -> Action:
    return Action(
        id="cool", kind=ActionKind.SET_POINT, connector="building", point=SETPOINT, value=value, expected=None,
        tolerance=1e-3,
    )  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_served_building_keeps_the_contract(check, opened: list) -> None:
    opened.append(service := Service(Room()))
    opened.append(connector := service.connector(Allowance(min=18.0, max=28.0)))
    check(
        Trial(
            connector=connector,
            readable=[SETPOINT, "ahu/hours_mon_start_h"],
            unreadable="ghost",
            action=cooler(),
            forbidden=[cooler(99.0), replace(cooler(), point=TEMPERATURE)],
        )
    )


def test_a_command_reaches_the_local_controller_and_its_release_gives_the_program_back(opened: list) -> None:
    opened.append(service := Service(Room()))
    opened.append(connector := service.connector(Allowance(min=18.0, max=28.0)))
    receipt = connector.apply(cooler())
    wait_until(lambda: connector.read([TEMPERATURE])[0].value == pytest.approx(22.0, abs=0.1), what="cooler room")
    assert service.building.overrides == {SETPOINT: 22.0}
    connector.release(receipt)
    wait_until(lambda: service.building.overrides == {}, what="own program")
    wait_until(lambda: connector.read([TEMPERATURE])[0].value == pytest.approx(24.0, abs=0.1), what="warmer room")


def test_a_writer_that_falls_silent_loses_its_slots(opened: list) -> None:
    opened.append(service := Service(Room(), silence_s=1.0))
    connector = service.connector(Allowance(min=18.0, max=28.0), beat=True)
    connector.apply(cooler())
    with pytest.raises(AssertionError):
        wait_until(lambda: service.served.released > 0, 2.5, "a release while the heart beats")
    assert connector.read([SETPOINT])[0].held_by == OURS
    connector.close()
    wait_until(lambda: service.building.overrides == {}, what="own program after silence")
    assert service.served.released >= 1


def test_sensors_and_names_cannot_be_written(opened: list) -> None:
    opened.append(service := Service(Room()))
    opened.append(connector := service.connector(Allowance(min=0.0, max=50.0)))
    client = connector._client("it")
    from bacpypes3.primitivedata import Real

    sensor = service.served.object_names()[TEMPERATURE]
    with pytest.raises(OutsideWorldError, match="write-access-denied"):
        connector._link.call(client.write(sensor, Real(1.0), 13), 5.0)


def test_in_lock_step_time_passes_as_far_as_somebody_waits(opened: list) -> None:
    opened.append(service := Service(Room(), lockstep=True))
    opened.append(connector := service.connector(Allowance(min=18.0, max=28.0), lockstep=PASS_TIME, speed=900.0))
    clock = connector.world_clock()
    assert (clock.now(), service.building.steps) == (NOON, 0)
    clock.wait(1000.0)
    assert (clock.now(), clock.monotonic(), service.building.steps) == (NOON + timedelta(seconds=1000), 1000.0, 1)
    clock.wait(800.0)
    assert (clock.now(), service.building.steps) == (NOON + timedelta(minutes=30), 2)
    assert connector.read([TEMPERATURE])[0].at == NOON + timedelta(minutes=30)


def test_a_served_building_tells_its_own_time(opened: list) -> None:
    opened.append(service := Service(Room(), speed=1800.0))
    opened.append(connector := service.connector(Allowance(min=18.0, max=28.0), speed=1800.0))
    clock = connector.world_clock()
    wait_until(lambda: clock.now() >= NOON + timedelta(minutes=30), what="time passing there")
    assert clock.now().timestamp() % 900 == 0.0
    assert connector.clock_difference_s() == 0.0
