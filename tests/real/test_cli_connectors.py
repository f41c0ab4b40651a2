"""``connector check`` on a real device."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from peers import ROOT, BacnetPeer, free_port

pytestmark = pytest.mark.real
BLOCK = """
connectors:
  bms:
    type: bacnet
    bind: 127.0.0.1/8:{own}
    devices:
      ahu: {{instance: 1001, address: "127.0.0.1:{port}"}}
    points:
      zone-1/cooling_setpoint: {{device: ahu, object: "analog-value,1", write: {{min: 15, max: 30}}}}
      zone-2/temperature: {{device: ahu, object: "analog-input,2"}}
      {more}
    timeout_s: 0.5
"""


def understudy(*argv: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "twin", *map(str, argv)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def checked(folder: Path, port: int, more: str = "") -> tuple[int, dict]:
    if not (folder / "site.yaml").exists():
        assert understudy("init", folder).returncode == 0
    template = (folder / "site.yaml").read_text().partition("\nconnectors:")[0]
    block = BLOCK.format(own=free_port(socket.SOCK_DGRAM), port=port, more=more)
    (folder / "site.yaml").write_text(template + block)
    done = understudy("connector", "check", "bms", "--workspace", folder, "--json")
    return done.returncode, json.loads(done.stdout)


def test_a_healthy_device_passes_and_nothing_is_written(bacnet_peer: BacnetPeer, tmp_path: Path) -> None:
    code, told = checked(tmp_path / "ws", bacnet_peer.port)
    assert (code, told["ok"]) == (0, True)
    assert "1 of 2 points asked may be written now: zone-1/cooling_setpoint" in told["facts"][3]["told"]
    assert bacnet_peer.slots(1) == {}


def test_a_point_that_does_not_resolve_and_a_dead_device_fail(bacnet_peer: BacnetPeer, tmp_path: Path) -> None:
    code, told = checked(tmp_path / "ws", bacnet_peer.port, 'ghost: {device: ahu, object: "analog-value,777"}')
    assert code == 4
    assert "not: ghost" in told["facts"][1]["told"]
    bacnet_peer.stop()
    code, told = checked(tmp_path / "ws", bacnet_peer.port)
    assert code == 4
    assert told["facts"] == [{"what": "reached", "ok": False, "told": told["facts"][0]["told"]}]


def test_points_are_proposed_from_what_the_device_says(bacnet_peer: BacnetPeer, tmp_path: Path) -> None:
    checked(tmp_path / "ws", bacnet_peer.port)
    done = understudy("site", "discover", "bms", "--workspace", tmp_path / "ws", "--json")
    assert done.returncode == 0, done.stderr
    kinds = {one["place"]["object"]: one["kind"] for one in json.loads(done.stdout)["proposals"]}
    assert kinds["analog-value,2"] == "zone_cooling_setpoint"
    assert kinds["analog-input,3"] == "zone_air_temperature"
    assert kinds["binary-value,1"] is None
