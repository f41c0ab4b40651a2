"""A word on a plan by a fresh sign-in at a real provider: what it proves, and all that makes it prove nothing."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("joserfc", reason="the extra 'oidc' is not installed")

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from dashboard_example import ORIGIN
from flask.testing import FlaskClient
from identity_provider import Claims, IdentityProvider, configured, path_back
from werkzeug.test import TestResponse

from connectors.governance import Role, propose
from connectors.governance.approvals import counted, signed_text
from connectors.governance.people import public_half
from connectors.simulated.trial_site import room_step, trial_plan
from dashboard.app import create_dashboard
from twin.cli import run
from twin.cli.dashboard.rooms import Rooms
from twin.cli.dashboard.services import services_of
from twin.errors import RefusedError
from twin.plan import PlanState
from twin.plans.records import Approval

HTML = {"Accept": "text/html"}
BACK_PATH = "/signin/sso/back"
PASSWORD = "correct horse battery"


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    made = IdentityProvider(f"http://localhost{BACK_PATH}")
    made.person["groups"] = ["deciders"]
    yield made
    made.close()


@pytest.fixture
def rooms(tmp_path: Path, provider: IdentityProvider) -> Rooms:
    configured(tmp_path, provider)
    return Rooms(tmp_path)


class Desk:
    """The browser of somebody of the provider, before a plan that another person proposed."""

    def __init__(self, rooms: Rooms, proposer: str = "pia") -> None:
        self.rooms = rooms
        self.services = services_of(rooms)
        self.browser: FlaskClient = create_dashboard(self.services).server.test_client()
        there = self.browser.get("/signin/sso?next=/plans", headers=HTML)
        assert self.browser.get(path_back(there.headers["Location"]), headers=HTML).status_code == 200
        room = rooms.room()
        for name, role in (("pia", Role.PROPOSER), ("root", Role.ADMIN)):
            room.identity.add(name, PASSWORD, [role])
        who = replace(rooms.signed_in(proposer), roles=frozenset({Role.PROPOSER}))
        steps = [room_step("room-0")]
        plan = trial_plan(steps, site=room.site.name, created_at=room.clock.now(), proposer=proposer)
        self.plan_id = propose(room.store, plan, who).plan_id

    def ask(self, decision: str = "approve", reason: str = "looked at", **headers: str) -> TestResponse:
        form = {"plan": self.plan_id, "decision": decision, "reason": reason}
        return self.browser.post("/signin/sso/sign", data=form, headers=headers or ORIGIN)

    def begin(self, decision: str = "approve") -> str:
        """The path back, with the browser's cookie set, after a login at the provider."""
        answer = self.ask(decision)
        assert answer.status_code == 200, answer.text
        address = answer.text.split('content="0;url=')[1].split('"')[0].replace("&amp;", "&")
        return path_back(address)

    def back(self, path: str) -> TestResponse:
        """Comes back from another site: the strict session cookie stays behind."""
        cookie = self.browser.get_cookie("understudy_session")
        self.browser.delete_cookie("understudy_session")
        answer = self.browser.get(path, headers=HTML)
        if cookie is not None:
            self.browser.set_cookie("understudy_session", cookie.value)
        return answer

    def give(self, decision: str = "approve") -> TestResponse:
        return self.back(self.begin(decision))

    def state(self) -> PlanState:
        return self.rooms.room().store.record(self.plan_id).state

    def words(self) -> list[Approval]:
        return list(self.rooms.room().store.approvals(self.plan_id))

    def log(self, event: str) -> list[dict[str, Any]]:
        rows = self.rooms.room().store.audit()
        return [json.loads(row.payload)["evidence"] for row in rows if row.event == event]

    def people(self, *words: Approval) -> list[str]:
        """Who counts by these words."""
        room = self.rooms.room()
        view = replace(room.store.view(self.plan_id), approvals=words)
        return counted(view, room.store.site, room.identity, room.clock.now())[0]

    def is_refused(self, answer: TestResponse, why: str) -> None:
        """Nothing was signed, the page and the log say why."""
        assert answer.status_code == 403
        assert why in answer.text
        assert self.words() == []
        assert self.state() is PlanState.PROPOSED
        assert why in self.log("fresh sign-in refused")[-1]["why"]


@pytest.fixture
def desk(rooms: Rooms) -> Desk:
    return Desk(rooms)


def test_a_fresh_sign_in_approves_the_plan(desk: Desk, provider: IdentityProvider) -> None:
    answer = desk.give()
    assert answer.status_code == 200
    assert f'content="0;url=/plans/{desk.plan_id}"' in answer.text
    assert desk.state() is PlanState.APPROVED
    (word,) = desk.words()
    assert (word.approver, word.person, word.reason) == ("paula", "paula", "looked at")
    assert desk.people(word) == ["paula"]
    asked = provider.asked[-1]
    assert (asked["prompt"], asked["max_age"], asked["code_challenge_method"]) == ("login", "0", "S256")


def test_the_log_has_the_digest_of_the_token_and_when_the_person_signed_in(
    desk: Desk, provider: IdentityProvider, tmp_path: Path
) -> None:
    before = int(time.time())
    desk.give()
    (proof,) = desk.log("fresh sign-in")
    token = provider.issued[-1]
    assert proof["token_digest"] == hashlib.sha256(token.encode()).hexdigest()
    assert proof["nonce"] == provider.asked[-1]["nonce"]
    assert before <= datetime.fromisoformat(proof["auth_time"]).timestamp() <= time.time()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert token.rsplit(".", 1)[1].encode() not in kept
    assert desk.rooms.room().folder.verify(desk.rooms.room().store) == []


def test_a_fresh_sign_in_rejects_the_plan(desk: Desk) -> None:
    assert desk.give("reject").status_code == 200
    assert desk.state() is PlanState.REJECTED


def test_a_second_callback_is_refused(desk: Desk) -> None:
    path = desk.begin()
    cookie = desk.browser.get_cookie("understudy_sso", path=BACK_PATH)
    assert cookie is not None
    assert desk.back(path).status_code == 200
    desk.browser.set_cookie("understudy_sso", cookie.value, path=BACK_PATH)
    again = desk.back(path)
    assert again.status_code == 403
    assert "was used already" in again.text
    assert len(desk.words()) == 1
    assert "was used already" in str(desk.rooms.room().store.audit()[-1].payload)


def test_the_login_of_another_person_is_refused_and_uses_the_sign_in_up(desk: Desk, provider: IdentityProvider) -> None:
    path = desk.begin()
    cookie = desk.browser.get_cookie("understudy_sso", path=BACK_PATH)
    assert cookie is not None
    provider.person.update(sub="4712", preferred_username="mallory")
    desk.is_refused(desk.back(path), "another person signed in at the identity provider: mallory, not paula")
    assert desk.rooms.room().identity.user("mallory") is None
    provider.person.update(sub="4711", preferred_username="paula")
    desk.browser.set_cookie("understudy_sso", cookie.value, path=BACK_PATH)
    assert desk.back(path).status_code == 403
    assert desk.words() == []


def bent(**changes: Any) -> Callable[[Claims], Claims]:
    return lambda claims: {**claims, **changes}


FAULTS = {
    "a login of ten minutes ago": (bent(auth_time=int(time.time()) - 600), "the sign-in is not fresh"),
    "a login to come": (bent(auth_time=int(time.time()) + 3600), "the sign-in is not fresh"),
    "a login at no time": (
        lambda claims: {key: value for key, value in claims.items() if key != "auth_time"},
        "does not say when the person signed in",
    ),
    "a login at words": (bent(auth_time="now"), "does not say when the person signed in"),
    "a login at yes": (bent(auth_time=True), "does not say when the person signed in"),
    "another nonce": (bent(nonce="0" * 64), "the ID token does not hold"),
    "another audience": (bent(aud="somebody-else"), "the ID token does not hold"),
    "another issuer": (bent(iss="http://127.0.0.1:9"), "the ID token does not hold"),
    "an expired token": (bent(exp=int(time.time()) - 600), "the ID token does not hold"),
    "the role taken back": (bent(groups=["energy-team"]), "paula may not approve: needs the role approver"),
}


@pytest.mark.parametrize(("bend", "why"), FAULTS.values(), ids=FAULTS)
def test_a_token_that_proves_no_fresh_sign_in_of_an_approver_signs_nothing(
    desk: Desk, provider: IdentityProvider, bend: Callable[[Claims], Claims], why: str
) -> None:
    provider.bend = bend
    desk.is_refused(desk.give(), why)


def test_a_token_signed_with_another_key_signs_nothing(desk: Desk, provider: IdentityProvider) -> None:
    provider.signing_key = type(provider.key).generate_key(2048, {"kid": "k1"})
    desk.is_refused(desk.give(), "BadSignatureError")


def test_a_plan_edited_in_between_is_not_approved(desk: Desk) -> None:
    path = desk.begin()
    with closing(sqlite3.connect(desk.rooms.workspace.folder / "var" / "plans" / "plans.sqlite")) as db, db:
        db.execute("UPDATE record SET body = replace(body, '\"value\":25', '\"value\":26') WHERE kind = 'document'")
    desk.is_refused(desk.back(path), "the stored document was changed")


def test_a_plan_with_another_nonce_than_at_the_beginning_is_not_approved(desk: Desk) -> None:
    path = desk.begin()
    nonce = desk.rooms.room().store.record(desk.plan_id).nonce
    with closing(sqlite3.connect(desk.rooms.workspace.folder / "var" / "plans" / "plans.sqlite")) as db, db:
        db.execute("UPDATE record SET body = replace(body, ?, ?) WHERE kind = 'plan'", (nonce, "0" * len(nonce)))
    desk.is_refused(desk.back(path), "the plan is not the one for which this was begun")


def test_a_plan_rejected_in_between_is_not_approved(desk: Desk) -> None:
    path = desk.begin()
    identity = desk.rooms.room().identity
    desk.rooms.room().approvals.reject(desk.plan_id, identity.authenticate("pia", PASSWORD), "withdrawn")
    answer = desk.back(path)
    assert answer.status_code == 403
    assert "it is superseded, not proposed" in answer.text


def test_a_role_revoked_in_between_refuses(desk: Desk) -> None:
    path = desk.begin()
    identity = desk.rooms.room().identity
    identity.set_roles("paula", [], identity.authenticate("root", PASSWORD))
    desk.is_refused(desk.back(path), "the roles have changed since")


def test_a_role_revoked_afterwards_makes_the_approval_count_no_more(desk: Desk) -> None:
    desk.give()
    identity = desk.rooms.room().identity
    identity.set_roles("paula", [], identity.authenticate("root", PASSWORD))
    assert desk.people(*desk.words()) == []


def test_a_session_that_ended_in_between_refuses(desk: Desk) -> None:
    path = desk.begin()
    desk.browser.post("/signout", headers=ORIGIN)
    desk.is_refused(desk.back(path), "the session in which this was begun has ended")


def test_the_answer_in_another_browser_is_refused_and_uses_the_sign_in_up(desk: Desk) -> None:
    path = desk.begin()
    cookie = desk.browser.get_cookie("understudy_sso", path=BACK_PATH)
    assert cookie is not None
    desk.browser.delete_cookie("understudy_sso", path=BACK_PATH)
    desk.is_refused(desk.back(path), "was not begun here")
    desk.browser.set_cookie("understudy_sso", cookie.value, path=BACK_PATH)
    assert desk.back(path).status_code == 403
    assert desk.words() == []


def test_another_state_than_the_cookie_brings_is_refused(desk: Desk) -> None:
    desk.browser.set_cookie("understudy_sso", "made-up", path=BACK_PATH)
    path = desk.begin()
    desk.browser.set_cookie("understudy_sso", "made-up", path=BACK_PATH)
    desk.is_refused(desk.back(path), "was not begun here")


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_foreign_page_begins_no_signing(desk: Desk, provider: IdentityProvider, headers: dict[str, str]) -> None:
    assert desk.ask(**headers).status_code == 403
    assert "prompt" not in provider.asked[-1]


def test_nobody_begins_to_sign_without_session_role_or_reason(desk: Desk, provider: IdentityProvider) -> None:
    assert "a reason is missing" in desk.ask(reason=" ").text
    assert desk.ask("push").status_code == 400
    provider.person["groups"] = ["energy-team"]
    there = desk.browser.get("/signin/sso?next=/plans", headers=HTML)
    desk.browser.get(path_back(there.headers["Location"]), headers=HTML)
    assert desk.ask().status_code == 403
    desk.browser.delete_cookie("understudy_session")
    assert desk.ask().status_code == 401


def test_a_local_account_does_not_sign_through_the_provider(desk: Desk) -> None:
    assert desk.services.sso is not None
    now = desk.services.real_now()
    with pytest.raises(RefusedError, match="sign with the password"):
        desk.services.sso.begin_signing("approve", desk.plan_id, "fine", "pia", "s" * 64, now)


def test_a_sign_in_that_takes_too_long_is_refused(desk: Desk) -> None:
    sso, now = desk.services.sso, desk.services.real_now()
    assert sso is not None
    address, state = sso.begin_signing("approve", desk.plan_id, "fine", "paula", "s" * 64, now)
    answer = dict(pair.split("=", 1) for pair in path_back(address).split("?")[1].split("&"))
    with pytest.raises(RefusedError, match="took too long"):
        sso.finish_signing(answer, state, now + timedelta(minutes=5), lambda *_: True)


def test_the_proposer_never_approves_by_a_fresh_sign_in(rooms: Rooms) -> None:
    desk = Desk(rooms, proposer="paula")
    desk.is_refused(desk.give(), "paula proposed it; another person must")


def test_a_word_with_another_key_than_the_sign_in_made_does_not_count(desk: Desk) -> None:
    desk.give()
    (word,) = desk.words()
    key = Ed25519PrivateKey.generate()
    forged = replace(word, key=public_half(key), signature="")
    assert desk.people(replace(forged, signature=key.sign(signed_text(forged)).hex())) == []
    assert desk.people(replace(word, key="")) == []
    assert desk.people(replace(word, reason="another")) == []


def test_a_key_made_for_a_rejection_signs_no_approval(desk: Desk) -> None:
    """Another decision than the one that the ID token's nonce names: the same key does not count for it."""
    room = desk.rooms.room()
    key = Ed25519PrivateKey.generate()
    desk.give()
    (word,) = desk.words()
    known = room.identity.fresh_sign_in(word.key)
    assert known is not None
    for change in ({"decision": "reject"}, {"plan_id": "0" * 64}, {"user": "root"}, {"subject": "another"}):
        proof = replace(known, public_key=public_half(key), **change)  # type: ignore[arg-type]  # a table of texts
        with room.store.ledger.transaction("test", "forged", "test", {}) as t:
            t.put("fresh sign-in", proof.public_key, proof)
        forged = replace(word, key=proof.public_key, signature="")
        assert desk.people(replace(forged, signature=key.sign(signed_text(forged)).hex())) == []


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_the_command_line_says_where_such_an_account_signs(
    desk: Desk, verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_PASSWORD", PASSWORD)
    folder = str(desk.rooms.workspace.folder)
    call = ["plan", verb, desk.plan_id, "--as", "paula", "--reason", "looked at", "--workspace", folder]
    assert run(call) == 3
    assert "in the dashboard, which asks for a fresh sign-in there" in " ".join(capsys.readouterr().err.split())
    assert desk.state() is PlanState.PROPOSED
