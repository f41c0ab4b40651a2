"""A closet with three real hosts: site file, telemetry, a twin of first guesses, and how a plan for it comes about."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("libvirt")
pytest.importorskip("httpx2")


from connectors.governance import Principal, propose
from connectors.model_store import ModelStore
from connectors.settings import load_site
from connectors.telemetry_store import ParquetTelemetryStore
from optimizer.goals import Goal
from twin.building.parameters import SPECS, Parameters
from twin.cli.control_room import ControlRoom
from twin.cli.proposals import accepted_model, days_ahead, draft_plan, rehearsal_of, searched
from twin.cli.workspace import Workspace
from twin.model import Model
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


def connectors(rig, url: str) -> str:
    hosts = "".join(f"      {host}: {{uri: '{rig.uri(host, 'tcp')}'}}\n" for host in rig.hosts)
    power = "".join(f"      {h}: {{system: /redfish/v1/Systems/{uuid}, power: true}}\n" for h, uuid in SYSTEMS.items())
    return (
        "connectors:\n  building: {type: simulated_building}\n"
        f"  cloud:\n    type: libvirt\n    hosts:\n{hosts}    guests: [g1, g2, g3]\n    timeout_s: 4\n"
        f"    rules: {{shared_paths: ['{rig.dir / 'shared'}'], memory_margin_bytes: 16.0e+6, apart: [[g1, g3]]}}\n"
        f"  bmc:\n    type: redfish\n    server: {{url: '{url}'}}\n    hosts:\n{power}"
    )


def points() -> str:
    """The telemetry that a plan needs beside the guests' CPU."""
    return (
        "  rest:\n    files: [none.csv]\n    columns:\n"
        "      - {column: out, kind: outdoor_air_temperature, unit: degC}\n"
        "      - {column: '{zone}.temp', kind: zone_air_temperature, unit: degC}\n"
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
        ensemble=tuple(Parameters({"wall_u": SPECS["wall_u"].guess * share}) for share in (0.9, 1.1)),
        structural={"cooling": 0.1, "fan": 0.1, "heating_electric": 0.1},
    )
    ModelStore(folder / "var" / "models", Model.from_json).save(made)


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
