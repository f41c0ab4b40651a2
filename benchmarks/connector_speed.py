"""Speed of each connector against its real peer: the table of docs/connectors.md.

Run: ``python benchmarks/connector_speed.py`` (all peers that are installed), ``… --only bacnet,modbus``, ``--quick``
(those that start at once) or ``--json``. The peers are those of the tests, on loopback or in namespaces.
"""

# ruff: noqa: E402  # run as a file, it must find the packages beside its folder first

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "real")]

from connectors.set_point import Allowance
from twin.plan import Action, ActionKind, PointId
from twin.ports import Connector

READ_S = 4.0
WRITES = 40
ALLOWED = Allowance(min=0.0, max=60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    connector: str
    peer: str
    points: int
    reads_per_s: float
    read_p99_ms: float
    writes_per_s: float | None
    write_p99_ms: float | None


def p99_ms(times_s: Sequence[float]) -> float:
    """The 99th percentile in ms; of few samples, the largest."""
    return 1000.0 * (statistics.quantiles(times_s, n=100)[98] if len(times_s) >= 100 else max(times_s))


def measured(
    name: str, peer: str, connector: Connector, points: Sequence[PointId], command: PointId | None = None
) -> Row:
    """Reads all points again and again for ``READ_S`` seconds, then sets one point ``WRITES`` times.

    A write is what ``apply`` does: a look at the point, the verdict, the write.
    """
    connector.read(points)
    reads: list[float] = []
    began = time.monotonic()
    while time.monotonic() - began < READ_S:
        reads.append(_timed(lambda: connector.read(points)))
    writes = (
        [_timed(lambda i=i: connector.apply(_set(connector, command, 20.0 + i % 2))) for i in range(WRITES)]
        if command
        else []
    )
    return Row(
        connector=name,
        peer=peer,
        points=len(points),
        reads_per_s=round(len(reads) * len(points) / sum(reads), 1),
        read_p99_ms=round(p99_ms(reads), 1),
        writes_per_s=round(len(writes) / sum(writes), 1) if writes else None,
        write_p99_ms=round(p99_ms(writes), 1) if writes else None,
    )


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _set(connector: Connector, point: PointId, value: float) -> Action:
    return Action(
        id=f"set {value}",
        kind=ActionKind.SET_POINT,
        connector=connector.name,
        point=point,
        value=value,
        expected=None,
        tolerance=1e-6,
    )


@contextmanager
def _peer(argv: Sequence[object], folder: Path, port: int) -> Iterator[None]:
    from peers import Peer, wait_for_port

    process = Peer([str(part) for part in argv], log=folder / f"{port}.log")
    try:
        wait_for_port(port, process)
        yield
    finally:
        process.stop()


def bacnet(folder: Path) -> Row:
    """A device with 1000 analog inputs and 500 commandable values."""
    from peers import BacnetPeer, free_port

    from connectors.bacnet.connector import BacnetConnector
    from connectors.bacnet.settings import BacnetDevice, BacnetPoint, BacnetSettings

    device = BacnetPeer(folder / "bacnet.log", points=1000)
    names = {f"input-{n}": BacnetPoint(device="it", object=f"analog-input,{n}") for n in range(1, 1001)}
    names["command"] = BacnetPoint(device="it", object="analog-value,1", write=ALLOWED)
    connector = BacnetConnector(
        "bacnet",
        BacnetSettings(
            bind=f"127.0.0.1/8:{free_port(socket.SOCK_DGRAM)}",
            devices={"it": BacnetDevice(instance=device.instance, address=device.address)},
            points=names,
        ),
    )
    try:
        peer = f"bacpypes3 {version('bacpypes3')}"
        return measured("BACnet/IP", peer, connector, [name for name in names if name != "command"], "command")
    finally:
        connector.close()
        device.stop()


def modbus(folder: Path) -> Row:
    """Twenty registers."""
    from peers import HERE, free_port

    from connectors.protocols.modbus import ModbusConnector, ModbusPoint, ModbusSettings

    port = free_port()
    points = {f"register-{n}": ModbusPoint(address=n, write=ALLOWED) for n in range(20)}
    with _peer([sys.executable, HERE / "modbus_server.py", port], folder, port):
        connector = ModbusConnector("modbus", ModbusSettings(host="127.0.0.1", port=port, points=points))
        peer = f"pymodbus {version('pymodbus')} server"
        row = measured("Modbus TCP", peer, connector, list(points), "register-19")
        connector.close()
    return row


def mqtt(folder: Path) -> Row:
    """One device behind mosquitto; a command counts when the broker has taken it."""
    from peers import HERE, Peer, free_port

    from connectors.protocols.mqtt import MqttConnector, MqttPoint, MqttSettings

    port = free_port()
    conf = folder / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin") or "mosquitto"
    state = MqttPoint(state_topic="hq/state", path="setpoint", set_topic="hq/cmd/setpoint", write=ALLOWED)
    points = {"setpoint": state, "temperature": MqttPoint(state_topic="hq/state", path="room.temperature")}
    with _peer([program, "-c", conf], folder, port):
        device = Peer([sys.executable, HERE / "mqtt_device.py", port], log=folder / "device.log")
        connector = MqttConnector("mqtt", MqttSettings(host="127.0.0.1", port=port, tls=False, points=points))
        row = measured("MQTT", f"mosquitto {_first_line([program, '-h'], 2)}", connector, list(points), "setpoint")
        connector.close()
        device.stop()
    return row


def prometheus(folder: Path) -> Row:
    """Ten series by instant query."""
    from peers import free_port

    from connectors.protocols.prometheus import PrometheusConnector, PrometheusSeries, PrometheusSettings
    from connectors.protocols.web import WebSettings

    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\nscrape_configs:\n"
        f"  - {{job_name: self, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n"
    )
    flags = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    points = {f"series-{n}": PrometheusSeries(query=f"vector({n})") for n in range(10)}
    with _peer(["prometheus", *flags], folder, port):
        settings = PrometheusSettings(server=WebSettings(url=f"http://127.0.0.1:{port}"), points=points)
        connector = PrometheusConnector("prometheus", settings)
        row = measured("Prometheus", _first_line(["prometheus", "--version"], 2), connector, list(points))
        connector.close()
    return row


def redfish(folder: Path) -> Row:
    """Power state of four systems; switching takes seconds there, so it is not timed."""
    from peers import free_port

    from connectors.protocols.redfish import RedfishConnector, RedfishHost, RedfishSettings
    from connectors.protocols.web import WebSettings

    systems = [
        {"uuid": f"{n}" * 8, "name": f"h{n}", "power_state": "On", "external_notifier": False, "nics": []}
        for n in range(1, 5)
    ]
    conf = folder / "sushy.conf"
    conf.write_text(
        f"SUSHY_EMULATOR_FAKE_DRIVER = True\nSUSHY_EMULATOR_FAKE_SYSTEMS = {systems!r}\n"
        f"SUSHY_EMULATOR_STATE_DIR = {str(folder)!r}\n"
    )
    port = free_port()
    program = Path(sys.executable).with_name("sushy-emulator")
    hosts = {str(s["name"]): RedfishHost(system=f"/redfish/v1/Systems/{s['uuid']}") for s in systems}
    with _peer([program, "--config", conf, "--port", port, "--interface", "127.0.0.1"], folder, port):
        settings = RedfishSettings(server=WebSettings(url=f"http://127.0.0.1:{port}"), hosts=hosts)
        connector = RedfishConnector("redfish", settings)
        row = measured("Redfish", f"sushy-tools {version('sushy-tools')}", connector, connector.points())
        connector.close()
    return row


def calendars(folder: Path) -> Row:
    """A room with a daily meeting, asked by CalDAV."""
    import httpx2
    from peers import free_port

    from connectors.protocols.calendars import CalendarConnector, CalendarKind, CalendarSettings, RoomCalendar
    from connectors.protocols.web import WebSettings
    from connectors.secret import SecretSource

    port = free_port()
    config = folder / "radicale.conf"
    config.write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n[auth]\ntype = none\n"
        f"[storage]\nfilesystem_folder = {folder / 'radicale'}\n"
    )
    start = datetime.now(UTC) - timedelta(days=30)
    event = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//b//b//EN\r\nBEGIN:VEVENT\r\nUID:d\r\nDTSTAMP:20260101T000000Z\r\n"
        f"DTSTART:{start:%Y%m%dT%H%M%SZ}\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    rooms = {"room": RoomCalendar(path="/rooms/r1/", kind=CalendarKind.CALDAV)}
    with _peer([sys.executable, "-m", "radicale", "--config", config], folder, port):
        url = f"http://127.0.0.1:{port}"
        with httpx2.Client(base_url=url, auth=("rooms", "any"), trust_env=False) as client:
            client.put("/rooms/r1/", content=event.encode(), headers={"Content-Type": "text/calendar"})
        os.environ["BENCHMARK_PASSWORD"] = "any"
        server = WebSettings(url=url, username="rooms", password=SecretSource(env="BENCHMARK_PASSWORD"))
        connector = CalendarConnector("calendars", CalendarSettings(server=server, points=rooms))
        row = measured("calendars", f"radicale {version('radicale')}", connector, list(rooms))
        connector.close()
    return row


def libvirt(folder: Path) -> Row:
    """Three hosts with three guests; a write is a live migration of a calm guest, to and fro."""
    import libvirt as binding
    from peers import rig_cluster

    from connectors.libvirt_hosts.connector import LibvirtConnector
    from connectors.libvirt_hosts.settings import LibvirtHost, LibvirtSettings, MoveRules

    rig = rig_cluster().up(hosts=3, guests=3, mem=96)
    try:
        rig.reset()
        settings = LibvirtSettings(
            hosts={host: LibvirtHost(uri=rig.uri(host, "tcp")) for host in rig.hosts},
            rules=MoveRules(shared_paths=[str(rig.dir / "shared")]),
            guests=["g1"],
        )
        connector = LibvirtConnector("libvirt", settings)
        peer = f"libvirt {binding.getVersion() // 1_000_000}.{binding.getVersion() // 1000 % 1000}, 3 hosts, QEMU TCG"
        row = measured("libvirt", peer, connector, connector.points())
        move = Action(
            id="move", kind=ActionKind.LIVE_MIGRATE, connector="libvirt", point="vm/g1/host", value="h2", expected=None
        )
        times = [_timed(lambda i=i: connector.apply(replace(move, value=("h2", "h1")[i % 2]))) for i in range(10)]
        connector.close()
    finally:
        rig.down()
    return replace(row, writes_per_s=round(len(times) / sum(times), 2), write_p99_ms=round(p99_ms(times), 0))


def home_assistant(folder: Path) -> Row:
    """A thermostat of the real core; needs UNDERSTUDY_HOME_ASSISTANT."""
    from peers import Peer, free_port, wait_for_port
    from test_home_assistant import CONFIG, POINTS, _login

    from connectors.protocols.home_assistant import HomeAssistantConnector, HomeAssistantSettings
    from connectors.protocols.web import WebSettings
    from connectors.secret import SecretSource

    program, port = os.environ["UNDERSTUDY_HOME_ASSISTANT"], free_port()
    (folder / "configuration.yaml").write_text(CONFIG.format(port=port))
    subprocess.run(
        [program, "--script", "auth", "-c", folder, "add", "twin", "ha-password"], check=True, capture_output=True
    )
    peer = Peer([program, "-c", folder, "--skip-pip"], log=folder / "ha.log")
    try:
        wait_for_port(port, peer, 120.0)
        url = f"http://127.0.0.1:{port}"
        os.environ["BENCHMARK_TOKEN"] = _login(url)
        server = WebSettings(url=url, token=SecretSource(env="BENCHMARK_TOKEN"))
        connector = HomeAssistantConnector("ha", HomeAssistantSettings(server=server, points=POINTS))
        points = [point for point in POINTS if point != "ghost"]
        row = measured("Home Assistant", "Home Assistant 2025.1.4", connector, points, "setpoint")
        connector.close()
    finally:
        peer.stop()
    return row


def _first_line(command: Sequence[str], word: int) -> str:
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    words = (told.stdout or told.stderr).split()
    return " ".join(words[:3]) if word >= len(words) else words[word]


BENCHES: Mapping[str, Callable[[Path], Row]] = {
    "bacnet": bacnet,
    "libvirt": libvirt,
    "redfish": redfish,
    "prometheus": prometheus,
    "mqtt": mqtt,
    "home_assistant": home_assistant,
    "modbus": modbus,
    "calendars": calendars,
}


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    head = "| connector | peer | points | reads/s | p99 of a read of all, ms | writes/s | p99 of a write, ms |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    for row in rows:
        cells: list[Any] = [
            row.connector,
            row.peer,
            row.points,
            row.reads_per_s,
            row.read_p99_ms,
            "–" if row.writes_per_s is None else row.writes_per_s,
            "–" if row.write_p99_ms is None else row.write_p99_ms,
        ]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(BENCHES))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="only peers that start at once")
    options = parser.parse_args()
    rows = []
    for name in ["bacnet", "modbus"] if options.quick else options.only.split(","):
        if name == "home_assistant" and "UNDERSTUDY_HOME_ASSISTANT" not in os.environ:
            print("home_assistant: skipped, UNDERSTUDY_HOME_ASSISTANT is not set", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows.append(BENCHES[name](Path(folder)))
    print(json.dumps([asdict(row) for row in rows], indent=1) if options.json else table(rows))


if __name__ == "__main__":
    main()
