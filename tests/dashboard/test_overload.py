"""A flood of posts (fault C9): told to come again, bounded, and a stop is obeyed within a second at full load."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlencode

import pytest
from dashboard_example import Example, callback_body
from flask.testing import FlaskClient
from test_api import OTTO, ROW

from connectors.governance import Role, propose
from connectors.settings.template import TEMPLATE
from connectors.simulated.trial_site import EVIDENCE, room_step, trial_plan
from dashboard.app import Dashboard, create_dashboard
from dashboard.intake import MOST_AT_ONCE
from twin.cli.control_room import ControlRoom, open_control_room, present_ground
from twin.cli.dashboard.rooms import Rooms
from twin.cli.dashboard.services import services_of
from twin.plan import PlanState

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"
POINT = "room-0/cooling_setpoint_occupied_c"
FLOODERS = 16
STEPS_BACK = (PlanState.ROLLING_BACK, PlanState.ROLLED_BACK)


def test_posts_beyond_the_lane_are_told_when_to_come_again(
    made: Dashboard, world: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both places are taken by posts whose store is slow; the third gets 429 at once, a page and a stop do not wait."""
    go_on, inside = Event(), []

    def slow(_: object) -> int:
        inside.append(1)
        go_on.wait(20)
        return 1

    monkeypatch.setattr(world.services.telemetry, "append", slow)

    def post(client: FlaskClient) -> int:
        return client.post("/api/v1/telemetry", json={"rows": [ROW]}, headers=OTTO).status_code

    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        waiting = [pool.submit(post, made.server.test_client()) for _ in range(MOST_AT_ONCE)]
        until(lambda: len(inside) == MOST_AT_ONCE)
        refused = made.server.test_client().post("/api/v1/telemetry", data=b"x" * 1000, headers=OTTO)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        assert "send this one again after 1 s" in refused.get_json()["error"]["message"]
        assert made.server.test_client().get("/api/v1/plans", headers=OTTO).status_code == 200
        go_on.set()
        assert [one.result() for one in waiting] == [201] * MOST_AT_ONCE
    assert post(made.server.test_client()) == 201


def until(holds: Callable[[], bool], at_most_s: float = 60.0) -> None:
    """Waits until something holds."""
    end = time.monotonic() + at_most_s
    while not holds():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.01)


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """A workspace with people and a building of one room."""
    block = f"\nconnectors:\n  building: {{type: simulated_building, points: {json.dumps({POINT: 24.0})}}}\n"
    (tmp_path / "site.yaml").write_text(TEMPLATE + block, encoding="utf-8")
    room = open_control_room(tmp_path)
    for name, role in (("paula", Role.PROPOSER), ("anna", Role.APPROVER), ("olga", Role.OPERATOR)):
        room.identity.add(name, PASSWORD, [role])
    room.identity.add("gateway", PASSWORD, [Role.OPERATOR, Role.PROPOSER])
    return tmp_path


def approved(folder: Path) -> str:
    """Id of an approved plan on the room whose wave settles for a minute."""
    room = open_control_room(folder)
    now = datetime.now(UTC)
    digests = {"policy_digest": room.policies.bundle().digest, **present_ground(folder)}
    plan = trial_plan(
        [room_step("room-0")],
        site=room.site.name,
        created_at=now,
        expires_at=now + timedelta(hours=1),
        settle_s=90.0,
        guards=[],
        evidence=replace(EVIDENCE, **digests),
    )
    propose(room.store, plan, room.identity.authenticate("paula", PASSWORD))
    room.approvals.approve(plan.id, room.identity.authenticate("anna", PASSWORD), "ok")
    return plan.id


@contextmanager
def running(*words: str, say: str | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command of its own, with the first document that it prints if it says one."""
    environment = {"UNDERSTUDY_PASSWORD": PASSWORD, "PATH": "/usr/bin:/bin", "HOME": "/root"}
    process = subprocess.Popen(
        [sys.executable, "-m", "twin", *words], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        said = ""
        while say is not None and say not in said:
            line = process.stdout.readline()  # type: ignore[union-attr]
            assert line, "the process ended early"
            said += line
        yield process, said
    finally:
        process.kill()
        process.communicate()


class Flood:
    """Threads that post telemetry and what-ifs as fast as they are answered."""

    def __init__(self, port: int, token: str) -> None:
        self.answers: Counter[tuple[int, bool]] = Counter()
        self._port, self._over = port, Event()
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        rows = [["2023-07-01T06:00:00Z", "core/zone_air_temperature", 22.0]] * 500
        policy = {"cooling_setpoint_c.occupied": 25, "cooling_setpoint_c.unoccupied": 28}
        self._bodies = {
            "/api/v1/telemetry": json.dumps({"rows": rows}),
            "/api/v1/scenarios": json.dumps({"name": "warm", "policy": policy}),
        }
        self._threads = [Thread(target=self._post, args=(i % 4 == 0,)) for i in range(FLOODERS)]

    def _post(self, what_ifs: bool) -> None:
        path = "/api/v1/scenarios" if what_ifs else "/api/v1/telemetry"
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._over.is_set():
            connection.request("POST", path, self._bodies[path], self._headers)
            answer = connection.getresponse()
            answer.read()
            self.answers[answer.status, answer.headers["Retry-After"] is not None] += 1
        connection.close()

    def __enter__(self) -> Flood:
        for thread in self._threads:
            thread.start()
        until(lambda: sum(self.answers.values()) > 200)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def signed_in(port: int, user: str) -> dict[str, str]:
    """Headers of a browser in which somebody has signed in."""
    origin = {"Origin": f"http://127.0.0.1:{port}"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    form = {**origin, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/signin", urlencode({"user": user, "password": PASSWORD}), form)
    cookie = connection.getresponse().headers["Set-Cookie"].split(";")[0]
    connection.close()
    return {**origin, "Cookie": cookie, "Content-Type": "application/json"}


def stop_button(folder: Path, plan_id: str) -> str:
    """What the button of the push screen sends."""
    made = create_dashboard(services_of(Rooms(folder)))
    output = next(name for name in made.dash.callback_map if name.startswith("push-dialog.opened@"))
    values = {"push-do.n_clicks": 1, "push-wanted.data": "roll-back", "push-reason.value": "smells odd"}
    return json.dumps(callback_body(made, output, {**values, "push-id.data": plan_id}))


def click(port: int, headers: dict[str, str], body: str) -> None:
    """A click as the browser sends it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/_dash-update-component", body, headers)
    assert connection.getresponse().status == 200
    connection.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody answers at a port."""
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_a_stop_on_the_screen_is_obeyed_within_a_second_under_a_flood_of_posts(office: Path) -> None:
    plan_id, room, port = approved(office), open_control_room(office), free_port()
    button = stop_button(office, plan_id)
    token = room.identity.issue_token(
        room.identity.authenticate("gateway", PASSWORD), ["ingest", "propose"], timedelta(hours=1)
    )
    at = ("--workspace", str(office))
    with running("dashboard", "--port", str(port), "--no-worker", "--json", *at, say="}") as (_, said):
        assert str(port) in said
        until(lambda: listens(port))
        headers = signed_in(port, "olga")
        with running("plan", "push", plan_id, "--as", "olga", *at), Flood(port, token) as flood:
            until(lambda: state(room, plan_id) is PlanState.PUSHING)
            until(lambda: any(step.writes for step in room.store.steps(plan_id)))
            asked = time.monotonic()
            clicking = Thread(target=click, args=(port, headers, button), daemon=True)
            clicking.start()
            until(lambda: state(room, plan_id) in STEPS_BACK, 20.0)
            turned_s = time.monotonic() - asked
            until(lambda: state(room, plan_id) is PlanState.ROLLED_BACK)
            clicking.join(30)
    assert turned_s < 1.0
    assert flood.answers[429, True] > flood.answers[201, False] > 0
    assert {status for status, _ in flood.answers} <= {201, 202, 429}


def state(room: ControlRoom, plan_id: str) -> PlanState:
    """Where the plan stands."""
    return room.store.record(plan_id).state
