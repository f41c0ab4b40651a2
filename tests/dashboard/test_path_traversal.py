"""Names and paths from outside: none leads out of the workspace, and no file is named by a stranger."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from connectors.governance import Role
from connectors.settings.template import TEMPLATE
from dashboard.app import create_dashboard
from twin.cli import run
from twin.cli.control_room import open_control_room
from twin.cli.dashboard.rooms import Rooms
from twin.cli.dashboard.services import services_of
from twin.cli.workspace import Workspace
from twin.errors import BadInputError, RefusedError

PASSWORD = "correct horse battery"
ORIGIN = {"Origin": "http://localhost"}
SECRET = "root:x:0:0:this must never be seen"
HOSTILE = {
    "up": "../../etc/passwd",
    "absolute": "/etc/passwd",
    "down and up": "a/../../secret",
    "encoded": "..%2f..%2fsecret",
    "encoded twice": "..%252f..%252fsecret",
    "backslash": "..\\..\\secret",
    "NUL": "secret\x00.json",
    "right to left": "\u202egnp.exe",
    "dots": "..",
    "dot": ".",
    "very long": "a" * 5000,
    "newline": "a\nb",
    "tilde": "~root",
    "zip entry": "x.zip/../secret",
}
hostile = pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text(SECRET, encoding="utf-8")
    folder = tmp_path / "site"
    (folder / "var" / "results").mkdir(parents=True)
    (folder / "site.yaml").write_text(TEMPLATE, encoding="utf-8")
    identity = open_control_room(folder, connectors={}).identity
    identity.add("otto", PASSWORD, [Role.OPERATOR, Role.PROPOSER, Role.VIEWER])
    return folder


@pytest.fixture
def browser(workspace: Path) -> FlaskClient:
    client = create_dashboard(services_of(Rooms(workspace))).server.test_client()
    client.post("/signin", data={"user": "otto", "password": PASSWORD}, headers=ORIGIN)
    return client


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.suffix not in {".sqlite", ".sqlite-wal", ".sqlite-shm"}}


@hostile
@pytest.mark.parametrize(
    "route",
    [
        "/api/v1/results/{}",
        "/api/v1/plans/{}",
        "/api/v1/jobs/{}",
        "/download/results/{}.csv",
        "/download/dossier/{}.html",
    ],
)
def test_no_id_in_an_address_leads_to_a_file(browser: FlaskClient, route: str, name: str) -> None:
    for text in (quote(name, safe=""), quote(name, safe="/%")):
        answer = browser.get(route.format(text), headers={"Accept": "*/*"})
        shell = answer.status_code == 200 and answer.mimetype == "text/html" and "_dash-" in answer.text
        assert shell or answer.status_code in {308, 400, 403, 404}
        assert SECRET not in answer.text
        assert "root:" not in answer.text


@hostile
def test_a_scenario_with_a_hostile_name_is_refused(browser: FlaskClient, workspace: Path, name: str) -> None:
    before = files(workspace.parent)
    body = {"name": name, "drivers": "replay", "policy": {"supply_air_temperature_c": 14}}
    answer = browser.post("/api/v1/scenarios", json=body, headers=ORIGIN)
    assert answer.status_code == 400, answer.text
    assert files(workspace.parent) == before


@hostile
def test_a_scenario_file_with_a_hostile_name_is_bad_input(workspace: Path, name: str) -> None:
    scenario = workspace / "one.yaml"
    scenario.write_text(
        f"schema_version: 1\nname: {json.dumps(name)}\ndrivers: replay\npolicy: baseline\n", encoding="utf-8"
    )
    before = files(workspace.parent)
    assert run(["run", str(scenario), "--workspace", str(workspace)]) in {2, 3}
    assert files(workspace.parent) == before


@hostile
def test_a_plan_model_or_account_of_a_hostile_name_does_not_exist(workspace: Path, name: str) -> None:
    room = open_control_room(workspace, connectors={})
    with pytest.raises(BadInputError):
        room.store.resolve(name)
    with pytest.raises(RefusedError):
        Workspace.at(workspace).models.load(name)
    with pytest.raises(BadInputError):
        room.identity.add(name, PASSWORD, [Role.VIEWER])


@hostile
def test_telemetry_for_a_point_of_a_hostile_name_is_refused(browser: FlaskClient, workspace: Path, name: str) -> None:
    before = files(workspace.parent)
    body = {"rows": [["2026-03-02T08:00:00Z", name, 1.0]]}
    answer = browser.post("/api/v1/telemetry", json=body, headers=ORIGIN)
    assert answer.status_code == 400
    assert files(workspace.parent) == before


def test_a_link_among_the_results_leads_nowhere(browser: FlaskClient, workspace: Path) -> None:
    outside = workspace.parent / "elsewhere"
    outside.mkdir()
    (outside / "summary.json").write_text(json.dumps({"scenarios": [], "note": SECRET}), encoding="utf-8")
    (workspace / "var" / "results" / "linked").symlink_to(outside)
    inside = workspace / "var" / "results" / "half"
    inside.mkdir()
    (inside / "summary.json").symlink_to(outside / "summary.json")
    for name in ("linked", "half"):
        assert browser.get(f"/api/v1/results/{name}").status_code == 404
    assert browser.get("/api/v1/results").json == {"results": []}


def test_a_model_file_that_is_a_link_to_something_else_is_refused(workspace: Path) -> None:
    models = Workspace.at(workspace).models
    models.folder.mkdir(parents=True, exist_ok=True)
    (models.folder / f"{'a' * 64}.json").symlink_to(workspace.parent / "secret")
    with pytest.raises(RefusedError) as refusal:
        models.load("a" * 64)
    assert SECRET not in str(refusal.value)


def test_exports_are_named_by_the_server(browser: FlaskClient) -> None:
    for path in ("/download/savings.csv", "/download/audit.csv"):
        disposition = browser.get(path).headers["Content-Disposition"]
        assert disposition == f"attachment; filename={path.rpartition('/')[2]}"
