"""The MQTT connector against mosquitto with passwords and an access list, and a device behind it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from peers import HERE, Peer, free_port, require_program, wait_for_port, wait_until

pytest.importorskip("paho.mqtt.client")

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from connectors.conformance import CHECKS, Trial
from connectors.protocols.mqtt import MqttConnector, MqttPoint, MqttSettings
from connectors.secret import SecretSource
from connectors.set_point import Allowance
from twin.errors import OutsideWorldError
from twin.plan import Action, ActionKind

pytestmark = pytest.mark.real
POINTS = {
    "setpoint": MqttPoint(
        state_topic="hq/state", path="setpoint", status_topic="hq/status", set_topic="hq/cmd/setpoint",
        write=Allowance(min=16, max=28),
    ),
    "temperature": MqttPoint(state_topic="hq/state", path="room.temperature", status_topic="hq/status"),
    "ghost": MqttPoint(state_topic="hq/state", path="no.such.key"),
    "forbidden": MqttPoint(
        state_topic="hq/state", path="setpoint", set_topic="hq/config", write=Allowance(min=16, max=28)
    ),
}  # fmt: skip
ACL = """user device
topic readwrite hq/#
user understudy
topic read hq/#
topic write hq/cmd/#
topic readwrite understudy/#
user watcher
topic read #
"""


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, Peer]]:
    program = require_program("mosquitto", "mosquitto")
    passwords = tmp_path / "passwords"
    for user in ("device", "understudy", "watcher"):
        flags = ["-b"] if passwords.exists() else ["-b", "-c"]
        subprocess.run(["mosquitto_passwd", *flags, passwords, user, f"{user}-pw"], check=True)
    (tmp_path / "acl").write_text(ACL)
    for file in (passwords, tmp_path / "acl"):
        file.chmod(0o600)
    port = free_port()
    (tmp_path / "conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous false\nuser root\n"
        f"password_file {passwords}\nacl_file {tmp_path / 'acl'}\n"
    )
    peer = Peer([program, "-c", tmp_path / "conf"], log=tmp_path / "mosquitto.log")
    wait_for_port(port, peer)
    device = Peer([sys.executable, HERE / "mqtt_device.py", port], log=tmp_path / "device.log")
    monkeypatch.setenv("UNDERSTUDY_TEST_MQTT", "understudy-pw")
    yield port, device
    device.stop()
    peer.stop()


def settings(port: int, **changes: object) -> MqttSettings:
    base = MqttSettings(
        host="127.0.0.1", port=port, tls=False, username="understudy",
        password=SecretSource(env="UNDERSTUDY_TEST_MQTT"),
        status_topic="understudy/status", points=POINTS, timeout_s=2.0,
    )  # fmt: skip
    return replace(base, **changes)


@pytest.fixture
def connector(broker: tuple[int, Peer]) -> Iterator[MqttConnector]:
    made = MqttConnector("mq", settings(broker[0]))
    wait_until(lambda: made.read(["setpoint"])[0].value is not None, what="first state")
    yield made
    made.close()


def set_to(value: float, point: str = "setpoint") -> Action:
    return Action(id="a", kind=ActionKind.SET_POINT, connector="mq", point=point, value=value, expected=None)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_mqtt_connector_keeps_the_contract(check, connector: MqttConnector, broker: tuple[int, Peer]) -> None:
    def somebody() -> float:
        other = MqttConnector("other", replace(connector.settings, client_id="other", status_topic=None))
        other.apply(set_to(25.0))
        other.close()
        return 25.0

    check(
        Trial(
            connector=connector,
            readable=["setpoint", "temperature"],
            unreadable="ghost",
            action=set_to(23.5),
            forbidden=[set_to(99.0), set_to(20.0, "temperature")],
            unreachable=MqttConnector("nobody", settings(free_port())),
            timeout_s=5.0,
            overwrite=somebody,
            secrets=["understudy-pw"],
        )
    )


def test_a_wrong_password_is_an_error_that_does_not_show_it(broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_TEST_MQTT", "guessed-pw")
    connector = MqttConnector("mq", settings(broker[0]))
    with pytest.raises(OutsideWorldError, match="login refused") as caught:
        connector.read(["setpoint"])
    assert "guessed-pw" not in f"{caught.value!r}"


def test_a_command_that_the_broker_does_not_let_through_is_seen_in_the_read_back(connector: MqttConnector) -> None:
    before = connector.read(["forbidden"])[0].value
    connector.apply(set_to(27.0, "forbidden"))
    assert connector.read(["forbidden"])[0].value == before


def test_a_device_whose_last_will_speaks_has_no_value(connector: MqttConnector, broker: tuple[int, Peer]) -> None:
    broker[1].stop()
    wait_until(lambda: connector.read(["setpoint"])[0].value is None, what="last will of the device")


def test_our_last_will_says_that_we_are_gone(connector: MqttConnector, broker: tuple[int, Peer]) -> None:
    told: list[str] = []
    watcher = paho.Client(CallbackAPIVersion.VERSION2, client_id="watcher")
    watcher.username_pw_set("watcher", "watcher-pw")
    watcher.on_message = lambda _client, _data, message: told.append(message.payload.decode())
    watcher.connect("127.0.0.1", broker[0])
    watcher.subscribe("understudy/status", 1)
    watcher.loop_start()
    wait_until(lambda: told == ["online"], what="online")
    connector._client.socket().close()
    wait_until(lambda: "offline" in told, 10.0, "our last will")
    watcher.disconnect()
    watcher.loop_stop()
