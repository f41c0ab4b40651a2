"""The demo's plan over BACnet/IP, command by command as docs/emulator.md tells it, in a building in another process."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from peers import ROOT, free_port, wait_until

pytest.importorskip("bacpypes3")
pytest.importorskip("pyenergyplus")

from connectors.bacnet.connector import BacnetConnector
from connectors.bacnet.served import HEARTBEAT
from connectors.registry import build
from connectors.settings import load_site
from twin.cli import run

pytestmark = [pytest.mark.real, pytest.mark.slow]
ROLES = {"planner": ["proposer"], "facility": ["approver", "operator"], "platform": ["approver"]}


class Office:
    """The workspace, its commands, and the served building's slots as the device itself tells them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def says(self, *argv: str) -> Any:
        """The JSON document of a command that succeeds."""
        ended = run([*argv, "--workspace", str(self.folder), "--json"])
        out, said = self.capsys.readouterr()
        assert ended == 0, said
        return json.loads(out) if out else None

    def slots_of_ours(self) -> int:
        """Objects with something in our slot, the heartbeat among them."""
        connector = build(load_site(self.folder / "site.yaml").connectors["building"], lambda: datetime.now(UTC))
        assert isinstance(connector, BacnetConnector)
        try:
            held = sum(reading.own_value is not None for reading in connector.read(connector.points()))
            beat = connector._link.call(connector._client("it").read([(HEARTBEAT, ("priority-array",))]), 5.0)
            filled = beat[0]["priority-array"][connector.settings.priority - 1].null is None
        finally:
            connector.close()
        return held + filled


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """The bundled site, calibrated, with its building served in lock-step by another process."""
    monkeypatch.setenv("UNDERSTUDY_PASSWORD", "rehearsal-2023")
    made = Office(tmp_path / "office", capsys)
    made.says("init", str(made.folder), "--example")
    made.says("ingest")
    assert made.says("calibrate", "--quick")["accepted"]
    argv = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "twin", "emulate", "--lockstep", "--connect"]
    argv += ["--bind", f"127.0.0.1/8:{free_port(socket.SOCK_DGRAM)}", "--workspace", str(made.folder)]
    with (tmp_path / "served").open("w") as said:
        served = subprocess.Popen(argv, cwd=ROOT, stdout=said, stderr=said)
    wait_until(lambda: "leads there now" in (tmp_path / "served").read_text(), 240.0, "the building to be served")
    yield made
    served.terminate()
    served.wait(30)


def test_the_demo_plan_goes_through_bacnet_and_leaves_no_slot_behind(office: Office) -> None:
    for name, roles in ROLES.items():
        office.says("user", "add", name, *(part for role in roles for part in ("--role", role)))
    plan = office.says("plan", "propose", "--goal", "hvac", "--trials", "20", "--as", "planner")["plan_id"]
    assert office.says("plan", "approve", plan, "--as", "facility")["state"] == "proposed"
    assert office.says("plan", "approve", plan, "--as", "platform")["state"] == "approved"
    pushed = office.says("plan", "push", plan, "--as", "facility")
    assert (pushed["state"], set(pushed["steps"].values())) == ("pushed", {"verified"})
    assert office.slots_of_ours() > 10
    office.says("agent", "--every-s", "3600", "--rounds", "26")
    office.says("ingest", "--source", "live")
    savings = {one["meter"]: one for one in office.says("plan", "verify", plan, "--as", "facility")["savings"]}
    predicted, realised = savings["hvac_kwh"]["predicted_pct"], savings["hvac_kwh"]["saving_pct"]
    assert savings["hvac_kwh"]["verdict"] == "saved"
    assert realised["low"] <= predicted["high"]
    assert predicted["low"] <= realised["high"]
    assert office.says("plan", "show", plan)["state"] == "confirmed"
    assert office.slots_of_ours() > 10
    office.says("plan", "release-all", "--as", "facility")
    assert office.slots_of_ours() == 0
