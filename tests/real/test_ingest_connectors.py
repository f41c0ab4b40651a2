"""``understudy ingest`` from Prometheus and a dead calendar at once: the dead one is named, the living is stored."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from peers import ROOT, Peer, free_port, require_program, wait_for_port

pytest.importorskip("httpx2")

pytestmark = pytest.mark.real
BLOCK = """
connectors:
  prom:
    type: prometheus
    server: {{url: "http://127.0.0.1:{port}"}}
    points: {{outdoor_air_temperature: {{query: "vector(12.5)"}}}}
    step_s: 1
    history_s: 60
  rooms:
    type: calendars
    server: {{url: "http://127.0.0.1:{nobody}", timeout_s: 1}}
    points: {{core/zone_occupancy: {{path: /r1.ics}}}}
"""
SOURCES = """
sources:
  live:
    connector: prom
    columns: [{column: outdoor_air_temperature, kind: outdoor_air_temperature, unit: degC}]
  booked:
    connector: rooms
    columns: [{column: "{zone}/zone_occupancy", kind: zone_occupancy, unit: people}]
"""


def test_a_dead_connector_is_named_and_the_living_one_is_stored(tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "ws"
    (tmp_path / "prometheus.yml").write_text("scrape_configs: []\n")
    flags = [f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
    program = require_program("prometheus", "prometheus")
    peer = Peer([program, *flags, f"--web.listen-address=127.0.0.1:{port}"], log=tmp_path / "log")
    try:
        wait_for_port(port, peer)
        time.sleep(0.5)
        understudy = [sys.executable, "-m", "twin"]
        subprocess.run([*understudy, "init", folder], cwd=ROOT, check=True, capture_output=True)
        template = (folder / "site.yaml").read_text()
        begin = template.index("\nsources:")
        block = BLOCK.format(port=port, nobody=free_port())
        (folder / "site.yaml").write_text(template[:begin] + SOURCES + block)
        done = subprocess.run(
            [*understudy, "ingest", "--workspace", folder, "--json"],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    finally:
        peer.stop()
    told = json.loads(done.stdout)
    assert done.returncode == 4, done.stderr
    assert list(told["failed_connectors"]) == ["rooms"]
    assert told["sources"]["live"]["new_rows"] >= 55
    assert told["sources"]["booked"]["rows"] == 0
