"""From real hosts to fewer of them and back: discover, propose, approve, push, look, roll back.

The building is simulated; hosts and guests are libvirt's and QEMU's, the power of the hosts is sushy's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("libvirt")
pytest.importorskip("httpx2")

from libvirt_moves import unbroken
from peers import Peer, free_port, require_program, wait_for_port

from connectors.governance import Principal, Role, propose
from connectors.model_store import ModelStore
from connectors.settings import load_site
from connectors.telemetry_store import ParquetTelemetryStore
from optimizer.goals import Goal
from twin.building.parameters import Parameters
from twin.cli import run
from twin.cli.control_room import ControlRoom, open_control_room
from twin.cli.proposals import accepted_model, days_ahead, draft_plan, rehearsal_of, searched
from twin.cli.workspace import Workspace
from twin.model import Model
from twin.plan import ActionKind, PlanState
from twin.text.canonical import digest

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
SYSTEMS = {f"h{i}": f"{i}" * 8 + "-1111-1111-1111-111111111111" for i in (1, 2, 3)}
PASSWORD = "a long enough password"
SITE = """
schema_version: 1
name: closet
time_zone: UTC
location: {latitude_deg: 42, longitude_deg: -88}
step_min: 15
zones:
  - {id: room, floor: 0, floor_area_m2: 60, conditioned: true}
air_handlers:
  - {id: unit, system: packaged_single_zone, zones: [room]}
operation:
  heating_setpoint_c: {occupied: 20, unoccupied: 16}
  cooling_setpoint_c: {occupied: 25, unoccupied: 28}
  operating_hours: {mon-sun: ["00:00", "24:00"], holidays: off}
  power_down_idle_hosts: false
"""


class HurriedClock:
    """Real time, but waiting is skipped."""

    def __init__(self) -> None:
        self._skipped_s = 0.0

    def now(self) -> datetime:
        return datetime.now(tz=UTC) + timedelta(seconds=self._skipped_s)

    def monotonic(self) -> float:
        return time.monotonic() + self._skipped_s

    def wait(self, seconds: float) -> None:
        self._skipped_s += seconds


@pytest.fixture
def redfish(tmp_path: Path) -> Iterator[str]:
    """Power of the three hosts; switching it does not touch the rig."""
    program = require_program("sushy-emulator", "sushy-tools from PyPI")
    systems = [
        {"uuid": uuid, "name": name, "power_state": "On", "external_notifier": False, "nics": []}
        for name, uuid in SYSTEMS.items()
    ]
    (tmp_path / "conf.py").write_text(
        f"SUSHY_EMULATOR_FAKE_DRIVER = True\nSUSHY_EMULATOR_FAKE_SYSTEMS = {systems!r}\n"
        f"SUSHY_EMULATOR_STATE_DIR = {str(tmp_path)!r}\n"
    )
    port = free_port()
    argv = [program, "--config", tmp_path / "conf.py", "--port", port, "--interface", "127.0.0.1"]
    peer = Peer(argv, log=tmp_path / "sushy.log")
    wait_for_port(port, peer)
    yield f"http://127.0.0.1:{port}"
    peer.stop()


def connectors(rig, url: str) -> str:
    hosts = "".join(f"      {host}: {{uri: '{rig.uri(host, 'tcp')}'}}\n" for host in rig.hosts)
    power = "".join(f"      {h}: {{system: /redfish/v1/Systems/{uuid}, power: true}}\n" for h, uuid in SYSTEMS.items())
    return (
        "connectors:\n  building: {type: simulated_building}\n"
        f"  cloud:\n    type: libvirt\n    hosts:\n{hosts}    guests: [g1, g2, g3]\n    timeout_s: 4\n"
        f"    rules: {{shared_paths: ['{rig.dir / 'shared'}'], memory_margin_bytes: 16.0e+6, apart: [[g1, g3]]}}\n"
        f"  bmc:\n    type: redfish\n    server: {{url: '{url}'}}\n    hosts:\n{power}"
    )


def telemetry(folder: Path) -> None:
    """Eight quiet days: weather, the room, guests that ask for a tenth of their CPU."""
    site = load_site(folder / "site.yaml").site
    end = pd.Timestamp.now(tz="UTC").floor("15min")
    times = pd.date_range(end - pd.Timedelta(days=8), end, freq="15min", inclusive="left")
    day = 2 * np.pi * np.arange(len(times)) / 96
    values = {"outdoor_air_temperature": 24.0 + 5.0 * np.sin(day), "zone_air_temperature": 22.0 + 0.3 * np.sin(day)}
    rows = [
        pd.DataFrame({"timestamp": times, "point": one.id, "value": values.get(one.kind, 0.1 + 0.0 * day)})
        for one in site.points
    ]
    ParquetTelemetryStore(folder / "var" / "telemetry").append(pd.concat(rows, ignore_index=True))


def model(folder: Path) -> None:
    """A twin of first guesses that counts as accepted: its errors are not what is tried here."""
    site = load_site(folder / "site.yaml").site
    now = datetime.now(tz=UTC)
    made = Model(
        site=site.name,
        site_digest=digest(site),
        data_digest="0" * 64,
        code_version="1",
        start=now - timedelta(days=8),
        end=now,
        seed=0,
        accepted=True,
        reasons=(),
        metrics={},
        parameters=Parameters(),
        ensemble=(),
        structural={"cooling": 0.1, "fan": 0.1, "heating_electric": 0.1},
    )
    ModelStore(folder / "var" / "models", Model.from_json).save(made)


def discovered(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict:
    assert run(["site", "discover", "cloud", "--workspace", str(folder), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def by_hand(rig, guest: str, there: str) -> None:
    here = rig.where(guest)[0]
    rig.virsh(here, "migrate", "--live", "--p2p", "--persistent", "--undefinesource", guest, rig.uri(there, "tcp"))


def proposed(here: Workspace, room: ControlRoom, who: Principal) -> str:
    """As ``understudy plan propose`` does, with few trials."""
    ahead = days_ahead(here, None, seed=0, samples=1)
    rehearsal = rehearsal_of(here, ahead, room.connectors, seed=0)
    proposal = searched(rehearsal, Goal.parse("energy"), trials=4, seed=0)
    plan = draft_plan(
        here,
        proposal,
        rehearsal,
        accepted_model(here),
        room.connectors,
        proposer=who.name,
        now=room.clock.now(),
        policy_digest=room.policies.bundle().digest,
        seed=0,
    )
    return propose(room.store, plan, who).plan_id


def test_real_hosts_are_discovered_emptied_by_a_plan_and_used_again(
    fresh, redfish: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "ws"
    folder.mkdir()
    (folder / "site.yaml").write_text(SITE + connectors(fresh, redfish))
    found = discovered(folder, capsys)
    assert {vm["id"]: vm["host"] for vm in found["vms"]} == {"g1": "h1", "g2": "h2", "g3": "h3"}
    assert {vm["anti_affinity"] for vm in found["vms"]} == {"apart-1", None}
    points = "  rest:\n    files: [none.csv]\n    columns:\n"
    points += "      - {column: out, kind: outdoor_air_temperature, unit: degC}\n"
    points += "      - {column: '{zone}.temp', kind: zone_air_temperature, unit: degC}\n"
    (folder / "site.yaml").write_text(SITE + found["fragment"] + points + connectors(fresh, redfish))
    telemetry(folder)
    model(folder)
    for guest, there in (("g1", "h2"), ("g2", "h1")):  # what the file says is no longer so
        by_hand(fresh, guest, there)
    clock = HurriedClock()
    room = open_control_room(folder, clock=clock)
    for name in ("paula", "anna", "olga"):
        room.identity.add(name, PASSWORD, [Role.PROPOSER, Role.APPROVER, Role.OPERATOR])
    people = {name: room.identity.authenticate(name, PASSWORD) for name in ("paula", "anna", "olga")}
    plan_id = proposed(Workspace.at(folder), room, people["paula"])
    plan = room.store.plan(plan_id)
    machines = [step.action for step in plan.steps() if step.action.kind is not ActionKind.SET_POINT]
    assert [(one.connector, one.point, one.expected, one.value) for one in machines] == [
        ("cloud", "vm/g2/host", "h1", "h2"),
        ("bmc", "host/h1/power", "on", "off"),
    ]
    assert "g1 is on h2, not on h1 as the site file says" in plan.evidence.assumptions
    for name in ("anna", "olga"):
        room.approvals.approve(plan_id, people[name], "looked at")
    assert room.control.push(plan_id, "olga").state is PlanState.PUSHED
    assert [fresh.where(guest) for guest in ("g1", "g2", "g3")] == [["h2"], ["h2"], ["h3"]]
    assert room.connectors["bmc"].read(["host/h1/power"])[0].value == "off"
    assert room.control.rollback(plan_id, "olga").state is PlanState.ROLLED_BACK
    assert [fresh.where(guest) for guest in ("g1", "g2", "g3")] == [["h2"], ["h1"], ["h3"]]
    assert room.connectors["bmc"].read(["host/h1/power"])[0].value == "on"
    assert room.folder.verify(room.store) == []
    for guest in ("g1", "g2", "g3"):
        unbroken(fresh, guest)
