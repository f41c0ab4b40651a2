"""``understudy emulate``: the EnergyPlus building as a BACnet/IP device, commanded through the BACnet connector."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from peers import ROOT, free_port, wait_until

pytest.importorskip("bacpypes3")
pytest.importorskip("pyenergyplus")

from connectors.bacnet.connector import BacnetConnector
from connectors.bacnet.served import HEARTBEAT
from connectors.bacnet.settings import BacnetDevice, BacnetPoint, BacnetSettings, Heartbeat
from connectors.emulator.bundled_site import bundled_site_folder
from connectors.set_point import OURS, Allowance
from twin.plan import Action, ActionKind, CheckVerdict

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture
def building(tmp_path: Path) -> Iterator[BacnetConnector]:
    shutil.copy(bundled_site_folder() / "site.yaml", tmp_path)
    shutil.copytree(bundled_site_folder() / "telemetry", tmp_path / "telemetry")
    port = free_port(socket.SOCK_DGRAM)
    argv = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "twin", "emulate", "--json", "--speed", "900"]
    argv += ["--bind", f"127.0.0.1/8:{port}", "--workspace", str(tmp_path)]
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
    reader.start()

    def told() -> dict | None:
        try:
            return json.loads("".join(lines))
        except ValueError:
            return None

    try:
        objects = wait_until(told, 240.0, "the building to be served")["objects"]
    except AssertionError:
        process.kill()
        raise
    commandable = Allowance(min=0.0, max=60.0)
    points = {
        point: BacnetPoint(device="it", object=name, write=commandable if name.startswith("analog-value") else None)
        for point, name in objects.items()
    }
    connector = BacnetConnector(
        "building",
        BacnetSettings(
            bind=f"127.0.0.1/8:{free_port(socket.SOCK_DGRAM)}",
            devices={"it": BacnetDevice(instance=1001, address=f"127.0.0.1:{port}")},
            points=points,
            heartbeat=Heartbeat(device="it", object=HEARTBEAT, every_s=5.0),
        ),
    )
    yield connector
    connector.close()
    process.terminate()
    process.wait(30)
    reader.join(5)
    process.stdout.close()
    log.close()


def test_every_zone_is_commanded_and_given_back(building: BacnetConnector) -> None:
    """Setpoints of all zones go through; the building obeys them; afterwards no slot of ours is left."""
    wanted = [point for point in building.points() if point.endswith("/heating_setpoint_unoccupied_c")]
    assert len(wanted) == 15
    actions = [
        Action(
            id=point, kind=ActionKind.SET_POINT, connector="building", point=point, value=21.5, expected=None,
            tolerance=1e-3,
        )
        for point in wanted
    ]  # fmt: skip
    assert {building.check(action).verdict for action in actions} == {CheckVerdict.READY}
    receipts = [building.apply(action) for action in actions]
    assert {(r.value, r.held_by) for r in building.read(wanted)} == {(21.5, OURS)}
    occupied = [point.replace("unoccupied", "occupied") for point in wanted]
    warm = [f"{point.partition('/')[0]}/zone_heating_setpoint" for point in wanted]
    lowest = min(float(r.value) for r in building.read(occupied))
    wait_until(
        lambda: all(float(r.value) >= min(21.5, lowest) - 0.01 for r in building.read(warm)), 60.0, "setpoints in force"
    )
    for receipt in receipts:
        building.release(receipt)
    assert all(r.own_value is None and r.held_by is None for r in building.read(wanted))
