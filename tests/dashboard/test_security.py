"""What a foreign page, another person's rights, an old session or a hostile name can do: nothing."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from dashboard_example import ORIGIN, PASSWORD, RUN, Client, Example, callback_body
from example_office import EVIL

from dashboard.app import Dashboard
from dashboard.formats import csv_cell
from dashboard.sessions import IDLE, LONGEST
from dashboard.signin import safe_next
from dashboard.views import Person, Role


def test_nobody_sees_a_page_without_signing_in(made: Dashboard) -> None:
    browser = made.server.test_client()
    answer = browser.get("/plans", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/signin?next=/plans")
    assert browser.get("/_dash-layout").status_code == 401
    assert browser.get("/api/v1/plans").status_code == 401
    assert browser.get("/download/audit.csv", headers={"Accept": "*/*"}).status_code in {303, 401}


def test_a_wrong_password_is_refused_without_saying_what_was_wrong(made: Dashboard) -> None:
    browser = made.server.test_client()
    answers = [
        browser.post("/signin", data={"user": user, "password": "wrong"}, headers=ORIGIN) for user in ("otto", "nobody")
    ]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].text.replace("otto", "") == answers[1].text.replace("nobody", "")


def test_the_session_cookie_is_strict_and_out_of_reach_of_scripts(made: Dashboard) -> None:
    answer = made.server.test_client().post("/signin", data={"user": "otto", "password": PASSWORD}, headers=ORIGIN)
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://localhost", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
        {},
    ],
)
def test_a_foreign_page_cannot_run_a_callback(made: Dashboard, client: Client, headers: dict[str, str]) -> None:
    browser = client("otto")
    body = callback_body(made, "page.children", {"url.pathname": "/now"})
    assert browser.post(RUN, json=body, headers=headers).status_code == 403
    assert browser.post(RUN, json=body, headers=ORIGIN).status_code == 200


def test_another_host_name_is_refused(client: Client) -> None:
    assert client("otto").get("/now", headers={"Host": "evil.example"}).status_code == 400


def test_a_huge_body_is_refused(client: Client) -> None:
    answer = client("otto").post(RUN, data=b"x" * (9 * 1024 * 1024), content_type="application/json", headers=ORIGIN)
    assert answer.status_code == 413


def test_every_callback_checks_a_role(made: Dashboard) -> None:
    server_side = [spec for spec in made.dash.callback_map.values() if spec.get("callback")]
    assert len(server_side) == len(made.callbacks.roles)


@pytest.mark.parametrize(
    ("output", "user"),
    [
        ("release-password.value", "vera"),
        ("approve-password.value", "vera"),
        ("approve-password.value", "pia"),
        ("push-wanted.data", "pia"),
        ("what-if.opened", "vera"),
        ("people.children", "otto"),
    ],
)
def test_a_callback_refuses_who_lacks_its_role(made: Dashboard, client: Client, output: str, user: str) -> None:
    answer = client(user).post(RUN, json=callback_body(made, output), headers=ORIGIN)
    assert answer.status_code == 403


def test_a_session_ends_by_idleness_and_by_age(made: Dashboard, client: Client, world: Example) -> None:
    browser = client("otto")
    world.clock.moment += IDLE / 2
    assert browser.get("/_dash-layout").status_code == 200
    world.clock.moment += IDLE
    assert browser.get("/_dash-layout").status_code == 401
    browser = client("otto")
    for _ in range(int(LONGEST / timedelta(hours=1))):
        world.clock.moment += timedelta(hours=1)
        last = browser.get("/_dash-layout").status_code
    assert last == 401


def test_a_revoked_role_or_a_disabled_person_ends_the_session_at_once(client: Client, world: Example) -> None:
    otto, anna = client("otto"), client("anna")
    world.identity.change_roles("admin", "otto", frozenset({Role.VIEWER}))
    world.identity.disable("anna")
    assert otto.get("/_dash-layout").status_code == 401
    assert anna.get("/_dash-layout").status_code == 401


def test_an_old_cookie_is_dead_after_sign_out(client: Client) -> None:
    browser = client("otto")
    cookie = browser.get_cookie("understudy_session")
    assert cookie is not None
    browser.post("/signout", headers=ORIGIN)
    browser.set_cookie("understudy_session", cookie.value)
    assert browser.get("/_dash-layout").status_code == 401


def test_sign_in_never_leads_elsewhere() -> None:
    assert safe_next("/plans/abc") == "/plans/abc"
    for path in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:1", None, "/a\r\nX: 1"):
        assert safe_next(path) == "/"


def test_scripts_come_from_here_or_have_a_hash(client: Client) -> None:
    answer = client("otto").get("/now")
    policy = answer.headers["Content-Security-Policy"]
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "unsafe" not in scripts
    assert "http" not in scripts
    assert re.findall(r"<script[^>]+src=\"(?!/)", answer.text) == []
    assert "frame-ancestors 'none'" in policy


def test_hostile_names_reach_the_page_as_text_only(made: Dashboard, client: Client, world: Example) -> None:
    answer = client("otto").get("/signin")
    assert "<img" not in answer.text
    world.identity.add("admin", "eve", EVIL, "12345678", frozenset({Role.VIEWER}))
    assert isinstance(world.identity.person("eve"), Person)
    body = callback_body(made, "page.children", {"url.pathname": "/scenarios"})
    page = client("otto").post(RUN, json=body, headers=ORIGIN)
    assert page.is_json
    assert "dangerously_allow_html" not in page.text


def test_no_cell_of_an_export_is_a_formula(client: Client) -> None:
    assert [csv_cell(text) for text in ("=1+1", "+1", "-1", "@x", "\tx", "ok")] == [
        "'=1+1",
        "'+1",
        "'-1",
        "'@x",
        "'\tx",
        "ok",
    ]
    answer = client("otto").get("/download/results/july-0123456789ab.csv")
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0][:3] == ["scenario", "baseline", "kpi"]
    assert len(rows) > 20


def test_two_people_approve_at_once_and_both_count_once(world: Example) -> None:
    from example_plans import example_plan, plan_view

    from dashboard.memory import MemoryPlans

    plan = example_plan(risk_class=2)
    plans = MemoryPlans([plan_view(plan)], world.identity, world.clock)
    assert plans.approve(plan.id, "anna", PASSWORD, "fine").record.state == "proposed"
    assert plans.approve(plan.id, "aron", PASSWORD, "fine").record.state == "approved"
