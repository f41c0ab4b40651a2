"""The REST interface: tokens, strict input, documents that say what they mean."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from dashboard_example import Example
from example_office import EVIL

from dashboard.app import Dashboard, create_dashboard
from dashboard.callbacks import Visit
from dashboard.figures.theme import LIGHT
from dashboard.pages import status_strip
from dashboard.views import Person, Role

OTTO = {"Authorization": "Bearer tok-otto"}
VERA = {"Authorization": "Bearer tok-vera"}
ROW = ["2023-07-13T05:00:00Z", "core 0/zone_air_temperature", 23.5]


def test_every_path_of_the_document_answers(made: Dashboard) -> None:
    client = made.server.test_client()
    document = client.get("/api/v1/openapi.json", headers=OTTO).get_json()
    for path, operations in document["paths"].items():
        if "get" in operations and "{" not in path:
            assert client.get(f"/api/v1{path}", headers=OTTO).status_code == 200, path


def test_health_is_red_while_the_journal_is_full(world: Example) -> None:
    """Fault C1: other tools, metrics and the first screen say that nothing is pushed."""
    sentence = "plans.sqlite: 0 KiB are left on its disk"
    full = replace(world.services, audit=replace(world.services.audit, full=sentence))
    client = create_dashboard(full).server.test_client()
    answer = client.get("/api/v1/health", headers=OTTO)
    assert (answer.status_code, answer.get_json()["journal"]) == (503, {"ok": False, "trouble": sentence})
    assert "understudy_journal_ok 0" in client.get("/api/v1/metrics", headers=OTTO).get_data(as_text=True)
    otto = Person(user="otto", name="Otto", roles=frozenset(Role))
    strip = status_strip.draw(Visit(person=otto, services=full, theme=LIGHT), full.clock.now())
    assert "The journal is full" in str(strip)


def test_a_token_that_is_not_known_is_refused(made: Dashboard) -> None:
    answer = made.server.test_client().get("/api/v1/plans", headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code == 401


def test_rows_of_telemetry_are_taken_once(made: Dashboard) -> None:
    client = made.server.test_client()
    first = client.post("/api/v1/telemetry", json={"rows": [ROW]}, headers=OTTO)
    again = client.post("/api/v1/telemetry", json={"rows": [ROW]}, headers=OTTO)
    assert (first.status_code, first.get_json()) == (201, {"received": 1, "new": 1})
    assert again.get_json() == {"received": 1, "new": 0}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"rows": [["2023-07-13T05:00:00", "outdoor", 1]]}', "no time zone"),
        ('{"rows": [["2023-07-13T05:00:00Z", "outdoor", NaN]]}', "NaN"),
        ('{"rows": [["2023-07-13T05:00:00Z", "elsewhere", 1]]}', "no point"),
        ('{"rows": [["soon", "outdoor", 1]]}', "not a time"),
        ('{"rows": [], "rows": []}', "twice"),
        ('{"rows": [["2023-07-13T05:00:00Z", "outdoor", "1"]]}', "not a finite number"),
        ("[" * 100_000, "cannot be read"),
        ("{}", "missing"),
    ],
)
def test_bad_rows_are_refused_with_the_reason(made: Dashboard, body: str, words: str) -> None:
    answer = made.server.test_client().post(
        "/api/v1/telemetry", data=body, content_type="application/json", headers=OTTO
    )
    assert answer.status_code == 400
    assert words in answer.get_json()["error"]["message"]


def test_a_viewer_may_read_but_neither_write_nor_run(made: Dashboard) -> None:
    client = made.server.test_client()
    assert client.get("/api/v1/results", headers=VERA).status_code == 200
    assert client.post("/api/v1/telemetry", json={"rows": [ROW]}, headers=VERA).status_code == 403
    assert client.post("/api/v1/scenarios", json={"name": "x", "policy": {}}, headers=VERA).status_code == 403


def test_a_what_if_becomes_a_job_with_its_baseline(made: Dashboard, world: Example) -> None:
    asked = {"name": "warm air", "policy": {"cooling_setpoint_c.occupied": 25, "cooling_setpoint_c.unoccupied": 28}}
    answer = made.server.test_client().post("/api/v1/scenarios", json=asked, headers=OTTO)
    assert answer.status_code == 202
    job = world.jobs.get(answer.get_json()["id"])
    assert job is not None
    names = [one["name"] for one in json.loads(json.dumps(job.request))["scenarios"]]
    assert names == ["baseline", "warm air"]


def test_a_hostile_name_of_a_what_if_is_refused(made: Dashboard) -> None:
    asked = {"name": EVIL, "policy": {"economizer": "off"}}
    assert made.server.test_client().post("/api/v1/scenarios", json=asked, headers=OTTO).status_code == 400


def test_metrics_are_lines_that_prometheus_reads(made: Dashboard) -> None:
    text = made.server.test_client().get("/api/v1/metrics", headers=OTTO).text
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            assert name.startswith("understudy_")
            float(value)
    assert 'understudy_plans{state="pushing"} 1' in text
