"""A real gateway on a real socket, whose failure is set per request, and the connector that talks to it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from twin.errors import OutsideWorldError
from twin.plan import Action, Capability, Check, CheckVerdict, Quality, Reading, Receipt
from twin.plans.guardrails import OWN

TIMEOUT_S = 0.3


@dataclass
class Gateway:
    """The world behind the socket: program values, our slot, and what goes wrong next."""

    program: dict[str, float]
    own: dict[str, float] = field(default_factory=dict)
    next_faults: list[str] = field(default_factory=list)
    """For the next writes: ``close``, ``hang``, ``error``, ``lost``, ``ignore`` or ``ok``."""
    dies_after: int | None = None
    """Writes after which nothing answers any more."""
    delay_s: float = 0.0
    """Time that each request takes."""
    writes: int = 0
    log: list[tuple[float, str, float | None]] = field(default_factory=list)
    """Moment, point and value of each write, by the monotonic clock that all processes of a machine share."""
    port: int = 0

    def write(self, point: str, value: float | None) -> None:
        """Fills or empties our slot."""
        self.log.append((time.monotonic(), point, value))
        if value is None:
            self.own.pop(point, None)
        else:
            self.own[point] = value


class Handler(BaseHTTPRequestHandler):
    gateway: Gateway

    def log_message(self, *_: object) -> None:
        return

    def _dead(self) -> bool:
        dead = self.gateway.dies_after is not None and self.gateway.writes >= self.gateway.dies_after
        if dead:
            self.close_connection = True
        return dead

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        if self._dead():
            return
        time.sleep(self.gateway.delay_s)
        point = self.path[1:]
        program, own = self.gateway.program.get(point), self.gateway.own.get(point)
        self._answer(200, {"value": program if own is None else own, "own": own})

    def do_PUT(self) -> None:
        if self._dead():
            return
        time.sleep(self.gateway.delay_s)
        value = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["value"]
        fault = self.gateway.next_faults.pop(0) if self.gateway.next_faults else "ok"
        if fault not in {"ignore", "lost"}:
            self.gateway.write(self.path[1:], value)
        self.gateway.writes += 1
        if fault in {"close", "lost"}:
            self.close_connection = True
            return
        if fault == "hang":
            time.sleep(3 * TIMEOUT_S)
        self._answer(500 if fault == "error" else 200, {"ok": True})


@contextmanager
def serving(program: Mapping[str, float]) -> Iterator[Gateway]:
    """A gateway on a free port of this machine."""
    gateway = Gateway(program=dict(program))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"gateway": gateway}))
    server.daemon_threads = True
    gateway.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield gateway
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class GatewayConnector:
    """Talks to the gateway; every error of the wire is the same OutsideWorldError."""

    capabilities = frozenset({Capability.READ, Capability.WRITE, Capability.RELEASE})

    def __init__(self, name: str, port: int, timeout_s: float = TIMEOUT_S) -> None:
        self.name = name
        self._port = port
        self._timeout_s = timeout_s

    def _ask(self, method: str, point: str, body: object = None) -> Mapping[str, float | None]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout_s)
        try:
            connection.request(method, f"/{point}", body=json.dumps(body))
            response = connection.getresponse()
            if response.status != 200:
                message = f"{self.name}: answered {response.status}"
                raise OutsideWorldError(message)
            answer: Mapping[str, float | None] = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            message = f"{self.name}: {type(error).__name__}: {error}"
            raise OutsideWorldError(message) from error
        else:
            return answer
        finally:
            connection.close()

    def read(self, points: Sequence[str]) -> Sequence[Reading]:
        return [self._read(point) for point in points]

    def _read(self, point: str) -> Reading:
        answer = self._ask("GET", point)
        own = answer["own"]
        good = Quality.BAD if answer["value"] is None else Quality.GOOD
        return Reading(
            point=point,
            value=answer["value"],
            at=datetime.now(UTC),
            quality=good,
            held_by=None if own is None else OWN,
            own_value=own,
        )

    def check(self, _: Action) -> Check:
        return Check(verdict=CheckVerdict.READY)

    def apply(self, action: Action) -> Receipt:
        self._ask("PUT", action.point, {"value": action.value})
        return Receipt(
            action_id=action.id,
            connector=self.name,
            kind=action.kind,
            point=action.point,
            value=action.value,
            prior=None,
            prior_held_by=None,
        )

    def release(self, receipt: Receipt) -> None:
        self._ask("PUT", receipt.point, {"value": None})
