"""Each connector against its real peer, which is that of the tests: on loopback or in namespaces."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from connector_speed.rows import ALLOWED, Effort, MissingPeerError, Row, program, served, setting, timed, told_version
from twin.plan import Action, ActionKind
from twin.ports import Connector


def bacnet(folder: Path, effort: Effort) -> Row:
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
        inputs = [name for name in names if name != "command"]
        peer = ("bacpypes3", version("bacpypes3"))
        return timed("bacnet", peer, connector, inputs, effort, setting(connector, "command"))
    finally:
        connector.close()
        device.stop()


def modbus(folder: Path, effort: Effort) -> Row:
    """Twenty registers."""
    from peers import HERE, free_port

    from connectors.protocols.modbus import ModbusConnector, ModbusPoint, ModbusSettings

    port = free_port()
    points = {f"register-{n}": ModbusPoint(address=n, write=ALLOWED) for n in range(20)}
    with served([sys.executable, HERE / "modbus_server.py", port], folder, port):
        connector = ModbusConnector("modbus", ModbusSettings(host="127.0.0.1", port=port, points=points))
        peer = ("pymodbus server", version("pymodbus"))
        row = timed("modbus", peer, connector, list(points), effort, setting(connector, "register-19"))
        connector.close()
    return row


def mqtt(folder: Path, effort: Effort) -> Row:
    """One device behind mosquitto; a command counts when the broker has taken it."""
    from peers import HERE, Peer, free_port

    from connectors.protocols.mqtt import MqttConnector, MqttPoint, MqttSettings

    port = free_port()
    conf = folder / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    broker = program("mosquitto")
    state = MqttPoint(state_topic="hq/state", path="setpoint", set_topic="hq/cmd/setpoint", write=ALLOWED)
    points = {"setpoint": state, "temperature": MqttPoint(state_topic="hq/state", path="room.temperature")}
    with served([broker, "-c", conf], folder, port):
        device = Peer([sys.executable, HERE / "mqtt_device.py", port], log=folder / "device.log")
        connector = MqttConnector("mqtt", MqttSettings(host="127.0.0.1", port=port, tls=False, points=points))
        peer = ("mosquitto", told_version([broker, "-h"], 2))
        row = timed("mqtt", peer, connector, list(points), effort, setting(connector, "setpoint"))
        connector.close()
        device.stop()
    return row


def prometheus(folder: Path, effort: Effort) -> Row:
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
    server = program("prometheus")
    with served([server, *flags], folder, port):
        settings = PrometheusSettings(server=WebSettings(url=f"http://127.0.0.1:{port}"), points=points)
        connector = PrometheusConnector("prometheus", settings)
        peer = ("Prometheus", told_version([server, "--version"], 2))
        row = timed("prometheus", peer, connector, list(points), effort)
        connector.close()
    return row


def redfish(folder: Path, effort: Effort) -> Row:
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
    emulator = program("sushy-emulator")
    hosts = {str(s["name"]): RedfishHost(system=f"/redfish/v1/Systems/{s['uuid']}") for s in systems}
    with served([emulator, "--config", conf, "--port", port, "--interface", "127.0.0.1"], folder, port):
        settings = RedfishSettings(server=WebSettings(url=f"http://127.0.0.1:{port}"), hosts=hosts)
        connector = RedfishConnector("redfish", settings)
        peer = ("sushy-emulator", version("sushy-tools"))
        row = timed("redfish", peer, connector, connector.points(), effort)
        connector.close()
    return row


def calendars(folder: Path, effort: Effort) -> Row:
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
    with served([sys.executable, "-m", "radicale", "--config", config], folder, port):
        url = f"http://127.0.0.1:{port}"
        with httpx2.Client(base_url=url, auth=("rooms", "any"), trust_env=False) as client:
            client.put("/rooms/r1/", content=event.encode(), headers={"Content-Type": "text/calendar"})
        os.environ["BENCHMARK_PASSWORD"] = "any"
        server = WebSettings(url=url, username="rooms", password=SecretSource(env="BENCHMARK_PASSWORD"))
        connector = CalendarConnector("calendars", CalendarSettings(server=server, points=rooms))
        row = timed("calendars", ("radicale", version("radicale")), connector, list(rooms), effort)
        connector.close()
    return row


def libvirt(folder: Path, effort: Effort) -> Row:
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
        number = binding.getVersion()
        peer = ("libvirt, 3 hosts, QEMU TCG", f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}")
        return timed("libvirt", peer, connector, connector.points(), effort, moving(connector), effort.moves)
    finally:
        rig.down()


def moving(connector: Connector) -> Callable[[int], object]:
    """Moves a calm guest to and fro."""

    def write(number: int) -> object:
        target = ("h2", "h1")[number % 2]
        point = "vm/g1/host"
        kind = ActionKind.LIVE_MIGRATE
        return connector.apply(
            Action(id=f"move {target}", kind=kind, connector="libvirt", point=point, value=target, expected=None)
        )

    return write


def home_assistant(folder: Path, effort: Effort) -> Row:
    """A thermostat of the real core; needs UNDERSTUDY_HOME_ASSISTANT."""
    from peers import Peer, free_port, wait_for_port
    from test_home_assistant import CONFIG, POINTS, _login

    from connectors.protocols.home_assistant import HomeAssistantConnector, HomeAssistantSettings
    from connectors.protocols.web import WebSettings
    from connectors.secret import SecretSource

    core, port = os.environ.get("UNDERSTUDY_HOME_ASSISTANT"), free_port()
    if core is None:
        raise MissingPeerError("UNDERSTUDY_HOME_ASSISTANT does not name an installed Home Assistant")
    (folder / "configuration.yaml").write_text(CONFIG.format(port=port))
    subprocess.run(
        [core, "--script", "auth", "-c", folder, "add", "twin", "ha-password"], check=True, capture_output=True
    )
    peer = Peer([core, "-c", folder, "--skip-pip"], log=folder / "ha.log")
    try:
        wait_for_port(port, peer, 120.0)
        url = f"http://127.0.0.1:{port}"
        os.environ["BENCHMARK_TOKEN"] = _login(url)
        server = WebSettings(url=url, token=SecretSource(env="BENCHMARK_TOKEN"))
        connector = HomeAssistantConnector("ha", HomeAssistantSettings(server=server, points=POINTS))
        points = [point for point in POINTS if point != "ghost"]
        told = told_version([core, "--version"], 0)
        row = timed(
            "home_assistant", ("Home Assistant", told), connector, points, effort, setting(connector, "setpoint")
        )
        connector.close()
    finally:
        peer.stop()
    return row


BENCHES: Mapping[str, Callable[[Path, Effort], Row]] = {
    "bacnet": bacnet,
    "libvirt": libvirt,
    "redfish": redfish,
    "prometheus": prometheus,
    "mqtt": mqtt,
    "home_assistant": home_assistant,
    "modbus": modbus,
    "calendars": calendars,
}
