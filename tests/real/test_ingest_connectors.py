"""``understudy ingest`` from real systems at once: the dead one is named, the living are stored, nothing is lost."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from peers import ROOT, BacnetPeer, Peer, free_port, require_program, wait_for_port, wait_until

pytest.importorskip("httpx2")
pytest.importorskip("paho.mqtt.client")

from connectors.telemetry_store import ParquetTelemetryStore
from twin.cli import run

pytestmark = pytest.mark.real
BLOCK = """
connectors:
  prom:
    type: prometheus
    server: {{url: "http://127.0.0.1:{prom}", timeout_s: 1}}
    points: {{outdoor_air_temperature: {{query: "vector(12.5)"}}}}
    step_s: 1
    history_s: 60
  bms:
    type: bacnet
    bind: 127.0.0.1/8:{own}
    devices: {{ahu: {{instance: 1001, address: "127.0.0.1:{bacnet}"}}}}
    points: {{core/zone_air_temperature: {{device: ahu, object: "analog-input,1"}}}}
    timeout_s: 0.5
    breaker_s: 1
  broker:
    type: mqtt
    host: 127.0.0.1
    port: {mqtt}
    tls: false
    points: {{south: {{state_topic: hq/south}}}}
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
  bms:
    connector: bms
    columns: [{column: "{zone}/zone_air_temperature", kind: zone_air_temperature, unit: degC, only: [core]}]
  broker:
    connector: broker
    columns: [{column: south, kind: zone_air_temperature, unit: degF, of: south}]
  booked:
    connector: rooms
    columns: [{column: "{zone}/zone_occupancy", kind: zone_occupancy, unit: people}]
"""


class Prometheus(Peer):
    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        (folder / "prometheus.yml").write_text("scrape_configs: []\n")
        flags = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
        flags += [f"--web.listen-address=127.0.0.1:{self.port}"]
        super().__init__([require_program("prometheus", "prometheus"), *flags], log=folder / "prometheus.log")
        wait_for_port(self.port, self)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    """A broker that knows the temperature of the south zone, in Fahrenheit."""
    from paho.mqtt.publish import single

    port = free_port()
    (tmp_path / "mosquitto").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    peer = Peer([require_program("mosquitto", "mosquitto"), "-c", tmp_path / "mosquitto"], log=tmp_path / "broker.log")
    wait_for_port(port, peer)
    single("hq/south", "68", qos=1, retain=True, hostname="127.0.0.1", port=port)
    yield port
    peer.stop()


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Prometheus]:
    peer = Prometheus(tmp_path)
    wait_until(lambda: "ready to receive" in peer.log.read_text(), 20.0, "Prometheus")
    yield peer
    peer.stop()


@pytest.fixture
def workspace(tmp_path: Path, prometheus: Prometheus, broker: int, bacnet_peer: BacnetPeer) -> Path:
    folder = tmp_path / "ws"
    subprocess.run([sys.executable, "-m", "twin", "init", folder], cwd=ROOT, check=True, capture_output=True)
    template = (folder / "site.yaml").read_text()
    places = {"prom": prometheus.port, "bacnet": bacnet_peer.port, "mqtt": broker, "nobody": free_port()}
    block = BLOCK.format(own=free_port(socket.SOCK_DGRAM), **places)
    (folder / "site.yaml").write_text(template[: template.index("\nsources:")] + SOURCES + block)
    return folder


@pytest.mark.parametrize(
    ("name", "points", "clock"),
    [
        ("prom", "1 of 1 points can be read", "s off ours"),
        ("bms", "1 of 1 points can be read", "s off ours"),
        ("broker", "1 of 1 points can be read", "does not tell its time"),
    ],
)
def test_a_check_tells_of_reach_points_clock_and_writing(
    workspace: Path, capsys: pytest.CaptureFixture[str], name: str, points: str, clock: str
) -> None:
    assert run(["connector", "check", name, "--workspace", str(workspace), "--json"]) == 0
    facts = {fact["what"]: fact["told"] for fact in json.loads(capsys.readouterr().out)["facts"]}
    assert facts["reached"].startswith("logged in and read 1 points")
    assert (facts["points"], clock in facts["clock"]) == (points, True)
    assert facts["writing"] in {"reads only", "0 of 1 points asked may be written now"}


class Following:
    """``understudy ingest --follow 1`` and what it says."""

    def __init__(self, workspace: Path, log: Path) -> None:
        self.log, self.store = log, ParquetTelemetryStore(workspace / "var" / "telemetry")
        argv = [sys.executable, "-m", "twin", "ingest", "--follow", "1", "--workspace", workspace, "--json"]
        with log.open("w") as said:
            self.process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=said)

    def waits_for(self, words: str, times: int = 1) -> None:
        wait_until(lambda: self.log.read_text().count(words) >= times, 40.0, words)

    def rows(self, point: str) -> list:
        return sorted(self.store.read([point])["timestamp"])

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


def test_a_dead_connector_is_named_and_the_living_are_stored(workspace: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "twin", "ingest", "--workspace", workspace, "--json"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert done.returncode == 4, done.stderr
    assert list(told["failed_connectors"]) == ["rooms"]
    assert told["sources"]["live"]["new_rows"] >= 55
    assert [told["sources"][name]["rows"] for name in ("bms", "broker", "booked")] == [1, 1, 0]


def test_followed_sources_fail_alone_and_what_was_missed_is_fetched_when_they_are_back(
    workspace: Path, tmp_path: Path, prometheus: Prometheus
) -> None:
    following = Following(workspace, tmp_path / "said")
    try:
        for name in ("prom", "bms", "broker"):
            following.waits_for(f"connector {name}: delivers")
        following.waits_for("connector rooms: rooms: no answer")
        prometheus.stop()
        following.waits_for("connector prom: prom: no answer")
        before = len(following.rows("core/zone_air_temperature"))
        time.sleep(3.0)
        assert len(following.rows("core/zone_air_temperature")) >= before + 2
        prometheus.start()
        following.waits_for("connector prom: delivers", times=2)
        time.sleep(1.5)
    finally:
        code = following.end()
    assert (code, "stopped" in following.log.read_text()) == (0, True)
    assert "Traceback" not in following.log.read_text()
    seconds = [round(stamp.timestamp()) for stamp in following.rows("outdoor_air_temperature")]
    assert seconds == list(range(seconds[0], seconds[-1] + 1))
    assert set(following.store.read(["south/zone_air_temperature"])["value"]) == {20.0}
