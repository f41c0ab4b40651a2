"""MQTT: states by topic, commands confirmed by the state topic and never retained, a last will of our own."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from connectors.protocols.plain import Measure, PlainConnector, finite
from connectors.protocols.trust import distrusted, trust
from connectors.secret import SecretSource
from connectors.set_point import Allowance
from twin.errors import OutsideWorldError
from twin.plan import Action, PointId, Quality, Reading
from twin.vocab import PointKind

MOST_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttPoint:
    """A state topic and, where we may command, the topic for it."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    state_topic: str
    path: str = ""
    """Keys within a JSON payload, separated by dots; empty where the payload is the number."""
    status_topic: str | None = None
    """Where the device's last will says ``offline``."""
    set_topic: str | None = None
    kind: PointKind | None = None
    unit: str | None = None
    scale: float = 1.0
    write: Allowance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """Everything an MQTT connector is told."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    host: str
    port: int = 8883
    tls: bool = True
    ca_file: str | None = None
    username: str | None = None
    password: SecretSource | None = None
    client_id: str = "understudy"
    status_topic: str | None = None
    """Where we say online, and the broker says offline when we are gone."""
    points: Mapping[str, MqttPoint]
    timeout_s: float = 5.0
    max_age_s: float = 900.0
    hold_s: float = 7200.0
    """Expiry sent with a command that has none of its own."""


class MqttConnector(PlainConnector):
    """One broker. States arrive by themselves; a read gives the last one with its age."""

    def __init__(
        self, name: str, settings: MqttSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        super().__init__(name, {p: f.write if f.set_topic else None for p, f in settings.points.items()}, clock)
        self.settings = settings
        self._messages: dict[str, tuple[bytes, datetime, float]] = {}
        self._news = threading.Condition()
        self._client: paho.Client | None = None
        self._state = ""
        self._subscribed = False

    def _connected(self) -> paho.Client:
        """The client, logged in and subscribed.

        Raises:
            OutsideWorldError: the broker does not answer or does not accept the login.
        """
        if self._client is None:
            self._client = self._open()
        with self._news:
            ready = self._news.wait_for(lambda: self._subscribed or self._state, self.settings.timeout_s)
        if not ready or self._state:
            reason = self._state or f"no answer within {self.settings.timeout_s:g} s"
            self.close()
            message = f"{self.name}: MQTT broker {self.settings.host}:{self.settings.port}: {reason}"
            raise OutsideWorldError(message)
        return self._client

    def _open(self) -> paho.Client:
        wanted = self.settings
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=wanted.client_id)
        if wanted.username is not None:
            password = wanted.password.load(f"{self.name}.password") if wanted.password else None
            client.username_pw_set(wanted.username, password.reveal() if password else None)
        if wanted.tls:
            client.tls_set_context(trust(wanted.ca_file, f"{self.name}.ca_file"))
        if wanted.status_topic:
            client.will_set(wanted.status_topic, "offline", qos=1, retain=True)
        client.on_socket_open = _send_at_once
        client.on_connect, client.on_message = self._on_connect, self._on_message
        client.on_disconnect, client.on_subscribe = self._on_disconnect, self._on_subscribe
        self._state, self._subscribed = "", False
        try:
            client.connect(wanted.host, wanted.port, keepalive=30)
        except (OSError, ValueError) as error:
            said = distrusted(error, "ca_file") or str(error)
            message = f"{self.name}: MQTT broker {wanted.host}:{wanted.port}: {said}"
            raise OutsideWorldError(message) from None
        client.loop_start()
        return client

    def _on_connect(self, client: paho.Client, _data: object, _flags: object, reason: Any, _props: object) -> None:
        if reason.is_failure:
            with self._news:
                self._state = f"login refused ({reason})"
                self._news.notify_all()
            return
        if self.settings.status_topic:
            client.publish(self.settings.status_topic, "online", qos=1, retain=True)
        topics = {t for p in self.settings.points.values() for t in (p.state_topic, p.status_topic) if t}
        client.subscribe([(topic, 1) for topic in sorted(topics)])

    def _on_subscribe(self, _client: paho.Client, _data: object, _mid: int, _codes: object, _props: object) -> None:
        with self._news:
            self._subscribed = True
            self._news.notify_all()

    def _on_disconnect(self, _client: object, _data: object, _flags: object, _reason: object, _props: object) -> None:
        with self._news:
            self._subscribed = False
            self._messages.clear()
            self._news.notify_all()

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        if len(message.payload) <= MOST_BYTES:
            with self._news:
                self._messages[message.topic] = (bytes(message.payload), self._clock(), time.monotonic())
                self._news.notify_all()

    def look(self, points: Sequence[PointId]) -> Mapping[PointId, Reading]:
        """The last state of each point, after waiting a moment for retained ones."""
        self._connected()
        topics = {self.settings.points[point].state_topic for point in points}
        with self._news:
            self._news.wait_for(lambda: topics <= self._messages.keys(), min(1.0, self.settings.timeout_s))
            return {point: reading for point in points if (reading := self._reading(point)) is not None}

    def _reading(self, point: PointId) -> Reading | None:
        facts = self.settings.points[point]
        payload, at, when = self._messages.get(facts.state_topic, (b"", self._clock(), 0.0))
        raw = finite(_at_path(payload, facts.path))
        if raw is None:
            return None
        status = self._messages.get(facts.status_topic or "", (b"", at, 0.0))[0]
        if status == b"offline":
            return None
        alive = status == b"online"
        old = not alive and time.monotonic() - when > self.settings.max_age_s
        return Reading(
            point=point,
            value=_measure(facts).inside(raw),
            at=self._clock() if alive else at,
            quality=Quality.STALE if old else Quality.GOOD,
        )

    def write(self, action: Action) -> None:
        """Publishes the command; whether it was obeyed is for the state topic to say."""
        facts = self.settings.points[action.point]
        left_s = self.settings.hold_s
        if action.expires_at is not None:
            left_s = (action.expires_at - self._clock()).total_seconds()
        command = {
            "v": _measure(facts).outside(float(action.value)),
            "id": action.id,
            "expires_s": round(left_s, 1),
        }
        sent = self._connected().publish(str(facts.set_topic), json.dumps(command), qos=1, retain=False)
        try:
            sent.wait_for_publish(self.settings.timeout_s)
        except (RuntimeError, ValueError) as error:
            message = f"{self.name}: the command for {action.point} was not taken ({error})"
            raise OutsideWorldError(message) from None
        if not sent.is_published():
            message = f"{self.name}: the broker did not confirm the command for {action.point}"
            raise OutsideWorldError(message)

    def close(self) -> None:
        """Logs off."""
        client, self._client = self._client, None
        if client is not None:
            if self.settings.status_topic and client.is_connected():
                client.publish(self.settings.status_topic, "offline", qos=1, retain=True).wait_for_publish(1.0)
            client.disconnect()
            client.loop_stop()


def _send_at_once(_client: object, _data: object, opened: Any) -> None:
    """A command is small and waits for its confirmation: it must not wait for more to send."""
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _measure(facts: MqttPoint) -> Measure:
    return Measure(kind=facts.kind, unit=facts.unit, scale=facts.scale)


def _at_path(payload: bytes, path: str) -> object:
    """What stands at a path in the payload, None where it does not lead anywhere."""
    try:
        node: object = json.loads(payload) if path else payload.decode()
    except (ValueError, RecursionError):
        return None
    for key in path.split(".") if path else ():
        node = node.get(key) if isinstance(node, dict) else None
    return node
