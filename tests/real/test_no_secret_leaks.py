"""A whole run with a planted text as each secret, against services that shout back what they get: none is found."""

from __future__ import annotations

import base64
import json
import logging
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from unittest.mock import patch
from urllib.error import HTTPError
from urllib.parse import quote, quote_plus, urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest
from peers import ROOT, Peer, free_port, require_program, wait_for_port, wait_until

pytest.importorskip("httpx2")
pytest.importorskip("paho.mqtt.client")
pytest.importorskip("joserfc")
pytest.importorskip("icalendar")

from connectors.governance import propose
from connectors.settings.template import TEMPLATE
from connectors.simulated.trial_site import EVIDENCE, room_step, trial_plan
from twin.cli import run as understudy
from twin.cli.control_room import open_control_room, present_ground, principal_of

pytestmark = pytest.mark.real
KINDS = ("mqtt", "home_assistant", "caldav", "redfish", "prometheus", "oidc", "account", "wrong_password")
PEOPLE = (("paula", "proposer"), ("anna", "approver"), ("ben", "approver"), ("olga", "operator"), ("aude", "auditor"))
POINTS = {f"{room}/cooling_setpoint_occupied_c": 24.0 for room in ("room-0", "room-1", "room-2")}
BLOCKS = """
sources:
  weather:
    connector: prom
    columns: [{{column: outdoor, kind: outdoor_air_temperature, unit: degC}}]
  rooms:
    connector: booked
    columns: [{{column: core/zone_occupancy, kind: zone_occupancy, unit: people, of: core}}]
  home:
    connector: ha
    columns: [{{column: t, kind: zone_air_temperature, unit: degC, of: core}}]
connectors:
  building: {{type: simulated_building, points: {points}}}
  prom:
    type: prometheus
    server: {{url: "{url}/prom", username: reader, password: {{file: {folder}/prometheus.secret}}}}
    points: {{outdoor: {{query: up}}}}
  ha:
    type: home_assistant
    server: {{url: "{url}/ha", token: {{env: SECRET_HOME_ASSISTANT}}}}
    points: {{t: {{entity: sensor.t}}}}
  booked:
    type: calendars
    server: {{url: "{url}/dav", username: reader, password: {{env: SECRET_CALDAV}}}}
    points: {{core/zone_occupancy: {{path: /r1.ics}}}}
  bmc:
    type: redfish
    server: {{url: "{url}/bmc", username: reader, password: {{env: SECRET_REDFISH}}}}
    hosts: {{h1: {{system: /redfish/v1/Systems/1}}}}
  broker: {{type: mqtt, host: 127.0.0.1, port: {mqtt}, tls: false, username: u, password: {{env: SECRET_MQTT}},
           points: {{a: {{state_topic: a}}}}}}
"""


class Shouter(BaseHTTPRequestHandler):
    """Refuses everything and says in its answer all that it was sent, decoded too: the worst that a service may do."""

    def do_GET(self) -> None:
        if self.path.endswith("/openid-configuration"):
            here = f"http://{self.headers['Host']}"
            facts = {"issuer": here, "jwks_uri": f"{here}/keys", "id_token_signing_alg_values_supported": ["RS256"]}
            facts |= {f"{name}_endpoint": f"{here}/{name}" for name in ("authorization", "token")}
            self.answer(200, json.dumps(facts))
        else:
            self.do_POST()

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        login = self.headers.get("Authorization", "").partition(" ")[2]
        plain = base64.b64decode(login).decode() if "Basic" in self.headers.get("Authorization", "") else login
        self.answer(500, f"cannot serve {self.path} to {self.headers} {plain} {sent}")

    do_REPORT = do_PUT = do_POST  # noqa: N815  # the library's names

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Says nothing on stderr."""


@pytest.fixture
def shouter() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shouter)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    """Lets nobody in."""
    port = free_port()
    (tmp_path / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous false\nuser root\n")
    program = require_program("mosquitto", "mosquitto")
    peer = Peer([program, "-c", tmp_path / "mosquitto.conf"], log=tmp_path / "mosquitto.log")
    wait_for_port(port, peer)
    yield port
    peer.stop()


class Run:
    """A workspace, the planted secrets, and everything that was said and written."""

    def __init__(self, folder: Path, url: str, mqtt: int) -> None:
        self.planted = {kind: f"planted-{kind}-{secrets.token_hex(8)}" for kind in KINDS}
        self.workspace, self.spy, self.said = folder / "ws", folder / "argv", []
        self.workspace.mkdir()
        kept = folder / "kept"
        kept.mkdir()
        file = kept / "prometheus.secret"
        file.write_text(self.planted["prometheus"])
        file.chmod(0o600)
        blocks = BLOCKS.format(points=json.dumps(POINTS), url=url, folder=kept, mqtt=mqtt)
        (self.workspace / "site.yaml").write_text(TEMPLATE[: TEMPLATE.index("\n# Where telemetry")] + blocks)
        self.environment = {f"SECRET_{kind.upper()}": text for kind, text in self.planted.items()}
        self.environment["UNDERSTUDY_PASSWORD"] = self.planted["account"]
        self._sign_on(url)

    def _sign_on(self, url: str) -> None:
        secret = self.workspace / "oidc.secret"
        secret.write_text(self.planted["oidc"])
        secret.chmod(0o600)
        settings = {"issuer": url, "client_id": "understudy", "client_secret_file": secret.name, "roles": {}}
        settings["redirect_url"] = "http://127.0.0.1/signin/sso/back"
        (self.workspace / "oidc.json").write_text(json.dumps(settings))

    def does(self, *argv: str, code: int = 0, **environment: str) -> str:
        """Standard output of a command that ends with this code; all that it says and logs is kept for the search."""
        out, said, log = StringIO(), StringIO(), StringIO()
        handler = logging.StreamHandler(log)
        root, level = logging.getLogger(), logging.getLogger().level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            with patch.dict(os.environ, self.environment | environment), redirect_stdout(out), redirect_stderr(said):
                ended = understudy([*argv, "--workspace", str(self.workspace)])
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
        assert ended == code, said.getvalue()
        if argv[:2] != ("user", "token"):  # the one command that shows a secret, once and on purpose
            self.said.append(out.getvalue())
        self.said += [said.getvalue(), log.getvalue()]
        return out.getvalue()

    def starts(self, log: Path, *argv: str) -> subprocess.Popen[bytes]:
        """A command in a process of its own, whose children are written down."""
        command = [sys.executable, "-m", "twin", *argv, "--workspace", str(self.workspace)]
        spied = {"PYTHONPATH": str(Path(__file__).parent / "spy"), "SPY_FILE": str(self.spy)}
        with log.open("w") as said:
            return subprocess.Popen(
                command, cwd=ROOT, stdout=said, stderr=said, env=os.environ | self.environment | spied
            )

    def traces(self) -> Iterator[tuple[str, str]]:
        """Place and text of all that was said and written, secret files left out."""
        for number, text in enumerate(self.said):
            yield f"said {number}", text
        yield "argv of child processes", self.spy.read_text() if self.spy.exists() else ""
        for path in self.workspace.rglob("*"):
            if path.is_file() and path.name != "oidc.secret":
                yield str(path), path.read_bytes().decode("latin-1")

    def leaks(self) -> list[str]:
        found = []
        for place, text in self.traces():
            for kind, secret in self.planted.items():
                forms = {secret, quote(secret, safe=""), quote_plus(secret)}
                forms |= {base64.b64encode(f"{who}{secret}".encode()).decode() for who in ("", "reader:", "u:")}
                found += [f"{kind} in {place}" for form in forms if form in text]
        return found


@pytest.fixture
def run(tmp_path: Path, shouter: str, broker: int, monkeypatch: pytest.MonkeyPatch) -> Run:
    made = Run(tmp_path, shouter, broker)
    for name, role in PEOPLE:
        made.does("user", "add", name, "--role", role)
    monkeypatch.setenv("UNDERSTUDY_PASSWORD", made.planted["account"])
    return made


def proposed(run: Run) -> str:
    """A plan of one room; searching for one would need a calibrated twin and tells nobody a secret."""
    room = open_control_room(run.workspace, connectors={})
    now = datetime.now(UTC).replace(microsecond=0)
    evidence = replace(EVIDENCE, policy_digest=room.policies.bundle().digest, **present_ground(run.workspace))
    plan = trial_plan(
        [room_step("room-0")], site=room.site.name, created_at=now, not_before=now, settle_s=0.0, guards=[],
        expires_at=now + timedelta(hours=1), hold_until=now + timedelta(days=1), evidence=evidence,
    )  # fmt: skip
    return propose(room.store, plan, principal_of(room, "paula")).plan_id


def test_connectors_that_are_refused_tell_no_secret(run: Run) -> None:
    run.does("site", "check")
    run.does("connector", "list", "--json")
    for name in ("prom", "ha", "booked", "bmc", "broker"):
        run.does("connector", "check", name, code=4)
        run.does("connector", "check", name, "--json", code=4)
    told = json.loads(run.does("ingest", "--json", code=4))
    assert set(told["failed_connectors"]) == {"prom", "ha", "booked"}
    run.does("ingest", code=4)
    assert run.leaks() == []


def test_accounts_tokens_and_plans_tell_no_secret(run: Run) -> None:
    run.does("user", "list", "--json")
    run.does("plan", "approve", "feed", "--as", "anna", code=2)
    run.does("plan", "propose", "--as", "paula", code=3)
    plan = proposed(run)
    run.does("plan", "approve", plan, "--as", "anna", code=3, UNDERSTUDY_PASSWORD=run.planted["wrong_password"])
    run.planted["token"] = json.loads(run.does("user", "token", "--scope", "push", "--as", "olga", "--json"))["token"]
    run.does("plan", "approve", plan, "--as", "anna")
    run.does("plan", "push", plan, "--json", UNDERSTUDY_TOKEN=run.planted["token"])
    run.does("plan", "approve", plan, code=3, UNDERSTUDY_TOKEN=run.planted["token"])
    for argv in (("plan", "show", plan), ("plan", "dossier", plan, "--json"), ("audit", "show"), ("audit", "verify")):
        run.does(*argv)
    run.does("audit", "export", str(run.workspace / "log.jsonl"), "--script", str(run.workspace / "proof.py"))
    run.does("agent", "--rounds", "1")
    run.does("plan", "release-all", "--as", "olga")
    assert run.leaks() == []


class Browser:
    """Asks the dashboard, and keeps every answer for the search."""

    def __init__(self, run: Run, url: str) -> None:
        self.run, self.url, self.opener = run, url, build_opener(HTTPCookieProcessor(CookieJar()))

    def asks(self, path: str, form: dict[str, str] | None = None, **headers: str) -> int:
        data = urlencode(form).encode() if form else None
        try:
            answer = self.opener.open(
                Request(self.url + path, data=data, headers={"Origin": self.url, **headers}), timeout=30
            )
        except HTTPError as error:
            answer = error
        with answer:
            self.run.said += [str(answer.headers), answer.read().decode("latin-1"), answer.url]
            return int(answer.status)

    def cookie(self, name: str) -> str:
        jar = next(handler.cookiejar for handler in self.opener.handlers if isinstance(handler, HTTPCookieProcessor))
        return next(cookie.value or "" for cookie in jar if cookie.name == name)


def test_the_dashboard_tells_no_secret(run: Run, tmp_path: Path) -> None:
    run.planted["token"] = json.loads(run.does("user", "token", "--scope", "push", "--as", "olga", "--json"))["token"]
    port = free_port()
    served = run.starts(tmp_path / "said", "dashboard", "--port", str(port))
    try:
        wait_until(lambda: "is at http" in (tmp_path / "said").read_text(), 60.0, "the dashboard")
        browser = Browser(run, f"http://127.0.0.1:{port}")
        assert browser.asks("/signin", {"user": "anna", "password": run.planted["wrong_password"]}) == 403
        assert browser.asks("/api/v1/plans", Authorization=f"Bearer {run.planted['wrong_password']}") in {401, 403}
        assert browser.asks("/api/v1/plans", Authorization=f"Bearer {run.planted['token']}") == 200
        assert browser.asks("/api/v1/plans/feed", Authorization=f"Bearer {run.planted['token']}") >= 400
        assert browser.asks("/signin/sso") == 500  # there the shouter refuses; the way back follows by hand
        back = f"/signin/sso/back?code=c&state={quote(browser.cookie('understudy_sso'))}"
        assert browser.asks(back, Cookie=f"understudy_sso={browser.cookie('understudy_sso')}") == 403
        assert browser.asks("/signin", {"user": "anna", "password": run.planted["account"]}) == 200
        assert browser.asks("/audit") == 200
        assert browser.asks("/nowhere") in {200, 404}
    finally:
        served.terminate()
        served.wait(20)
    run.said.append((tmp_path / "said").read_text())
    assert "worker" in run.spy.read_text()  # the spy saw the process that does the long jobs
    assert run.leaks() == []


def test_the_search_finds_what_is_planted(run: Run) -> None:
    """So that an empty list of leaks means something."""
    (run.workspace / "var" / "note.txt").write_text(f"x{base64.b64encode(b'reader:' + run.planted['caldav'].encode())}")
    run.said.append(quote(run.planted["mqtt"], safe=""))
    run.spy.write_text(f"curl -u reader:{run.planted['redfish']}")
    found = run.leaks()
    assert {line.partition(" ")[0] for line in found} == {"caldav", "mqtt", "redfish"}
