"""Sign-in through a real provider on the loopback device: what holds gets in, what does not is refused and noted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("joserfc", reason="the extra 'oidc' is not installed")

from flask.testing import FlaskClient
from identity_provider import Claims, IdentityProvider, configured, path_back
from joserfc.jwk import RSAKey
from werkzeug.test import TestResponse

from connectors.governance import Role
from connectors.governance.oidc import read_settings
from dashboard.app import create_dashboard
from twin.cli.dashboard.rooms import Rooms
from twin.cli.dashboard.services import services_of
from twin.errors import BadInputError, RefusedError

HTML = {"Accept": "text/html"}
BACK = "http://localhost/signin/sso/back"


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    made = IdentityProvider(BACK)
    yield made
    made.close()


@pytest.fixture
def rooms(tmp_path: Path, provider: IdentityProvider) -> Rooms:
    configured(tmp_path, provider)
    return Rooms(tmp_path)


@pytest.fixture
def browser(rooms: Rooms) -> FlaskClient:
    return create_dashboard(services_of(rooms)).server.test_client()


def sent_back(browser: FlaskClient, after: str = "/plans") -> str:
    """The path to which the provider sends the browser back."""
    there = browser.get(f"/signin/sso?next={after}", headers=HTML)
    assert there.status_code == 303
    return path_back(there.headers["Location"])


def sign_in(browser: FlaskClient) -> TestResponse:
    return browser.get(sent_back(browser), headers=HTML)


def test_the_sign_in_page_offers_the_provider(browser: FlaskClient) -> None:
    text = browser.get("/signin?next=/plans", headers=HTML).text
    assert '<a href="/signin/sso?next=/plans">Sign in with the house account</a>' in text


def test_whom_the_provider_vouches_for_is_in_with_the_roles_of_their_groups(browser: FlaskClient, rooms: Rooms) -> None:
    answer = sign_in(browser)
    assert answer.status_code == 200
    assert 'content="0;url=/plans"' in answer.text
    assert "SameSite=Strict" in " ".join(answer.headers.getlist("Set-Cookie"))
    assert browser.get("/plans", headers=HTML).status_code == 200
    user = rooms.room().identity.user("paula")
    assert user is not None
    assert set(user.roles) == {"viewer", "proposer"}
    events = [(row.actor, row.event) for row in rooms.room().store.audit() if row.subject == "user paula"]
    assert events == [("console", "user added by identity provider")]


def test_roles_follow_the_provider(browser: FlaskClient, rooms: Rooms, provider: IdentityProvider) -> None:
    sign_in(browser)
    provider.person["groups"] = ["control-room"]
    assert sign_in(browser).status_code == 200
    assert set(rooms.room().identity.user("paula").roles) == {"operator"}  # type: ignore[union-attr]


def test_an_account_without_password_signs_nothing(browser: FlaskClient, rooms: Rooms) -> None:
    sign_in(browser)
    with pytest.raises(RefusedError, match="do not fit"):
        rooms.room().identity.authenticate("paula", "")


def test_no_password_lets_such_an_account_approve_and_it_is_told_the_way(browser: FlaskClient, rooms: Rooms) -> None:
    sign_in(browser)
    with pytest.raises(
        RefusedError,
        match=r"no password here.*in the dashboard, which asks for a fresh sign-in there.*'--person paula'",
    ):
        services_of(rooms).plans.approve("a" * 64, "paula", "", "fine")


def test_such_an_account_stops_everything_without_a_password(
    browser: FlaskClient, rooms: Rooms, provider: IdentityProvider
) -> None:
    """A stop never waits for a proof that somebody cannot give; approving does."""
    sign_in(browser)
    plans = services_of(rooms).plans
    with pytest.raises(RefusedError, match="may not release"):
        plans.release_all("paula", "", "fire")
    provider.person["groups"] = ["control-room"]
    sign_in(browser)
    assert plans.release_all("paula", "", "fire") == "No plan held any point."


def bent(**changes: Any) -> Callable[[Claims], Claims]:
    return lambda claims: {**claims, **changes}


FAULTS = {
    "another audience": bent(aud="somebody-else"),
    "another issuer": bent(iss="http://127.0.0.1:9"),
    "an expired token": bent(iat=int(time.time()) - 900, exp=int(time.time()) - 600),
    "another nonce": bent(nonce="replayed"),
    "no nonce": lambda claims: {key: value for key, value in claims.items() if key != "nonce"},
    "no expiry": lambda claims: {key: value for key, value in claims.items() if key != "exp"},
    "made for another party": bent(azp="somebody-else"),
}


@pytest.mark.parametrize("bend", FAULTS.values(), ids=FAULTS)
def test_a_token_that_does_not_hold_is_refused_and_noted(
    browser: FlaskClient, rooms: Rooms, provider: IdentityProvider, bend: Callable[[Claims], Claims]
) -> None:
    provider.bend = bend
    answer = sign_in(browser)
    assert answer.status_code == 403
    assert "the ID token does not hold" in answer.text
    assert browser.get("/api/v1/plans").status_code == 401
    assert rooms.room().identity.users() == []
    assert [row.event for row in rooms.room().store.audit()][-1] == "single sign-on refused"


def test_a_token_signed_with_another_key_is_refused(browser: FlaskClient, provider: IdentityProvider) -> None:
    provider.signing_key = RSAKey.generate_key(2048, {"kid": "k1"})
    answer = sign_in(browser)
    assert answer.status_code == 403
    assert "BadSignatureError" in answer.text


def test_an_answer_is_taken_once(browser: FlaskClient) -> None:
    way_back = sent_back(browser)
    cookie = browser.get_cookie("understudy_sso", path="/signin/sso/back")
    assert cookie is not None
    assert browser.get(way_back, headers=HTML).status_code == 200
    browser.set_cookie("understudy_sso", cookie.value, path="/signin/sso/back")
    again = browser.get(way_back, headers=HTML)
    assert again.status_code == 403
    assert "was used already" in again.text


def test_an_answer_for_another_browser_is_refused(browser: FlaskClient) -> None:
    way_back = sent_back(browser)
    browser.delete_cookie("understudy_sso", path="/signin/sso/back")
    assert browser.get(way_back, headers=HTML).status_code == 403


def test_a_state_that_nobody_began_is_refused(browser: FlaskClient) -> None:
    assert browser.get("/signin/sso/back?code=x&state=made-up", headers=HTML).status_code == 403


def test_nobody_takes_over_a_local_account_of_the_same_name(browser: FlaskClient, rooms: Rooms) -> None:
    rooms.room().identity.add("paula", "correct horse battery", [Role.APPROVER])
    answer = sign_in(browser)
    assert answer.status_code == 403
    assert "another account has it" in answer.text


def test_a_closed_account_does_not_get_in(browser: FlaskClient, rooms: Rooms) -> None:
    sign_in(browser)
    identity = rooms.room().identity
    identity.add("root", "correct horse battery", [Role.ADMIN])
    identity.disable("paula", identity.authenticate("root", "correct horse battery"))
    assert sign_in(browser).status_code == 403
    assert browser.get("/api/v1/plans").status_code == 401


def test_a_provider_that_is_silent_leaves_passwords_working(browser: FlaskClient, provider: IdentityProvider) -> None:
    provider.close()
    answer = browser.get("/signin/sso", headers=HTML)
    assert answer.status_code == 503
    assert "does not answer" in answer.text
    assert browser.get("/signin", headers=HTML).status_code == 200


def test_plain_http_is_for_this_machine_only(tmp_path: Path) -> None:
    file = tmp_path / "oidc.json"
    file.write_text(
        '{"issuer": "http://id.example", "client_id": "x", "redirect_url": "https://a/b"}', encoding="utf-8"
    )
    with pytest.raises(BadInputError, match="by https only"):
        read_settings(file)
    assert read_settings(tmp_path / "none.json") is None
