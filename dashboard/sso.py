"""Sign-in and signing through an identity provider: the way there, and the way back with a session or a signed word.

The session cookie is strict, so the browser does not bring it on the way back from the provider. What was begun is
known by its state, which a lax cookie brings; a page of this server then leads on, with the session cookie again.
"""

from __future__ import annotations

from html import escape

from flask import Flask, Response, abort, g, redirect, request

from dashboard.guard import person_of
from dashboard.services import Services, SingleSignOn
from dashboard.sessions import COOKIE, SessionStore, living_session, open_session, token_digest
from dashboard.signin import page, safe_next, with_session
from dashboard.views import Role
from twin.errors import UnderstudyError

STATE_COOKIE = "understudy_sso"
PATHS = ("/signin/sso", "/signin/sso/back", "/signin/sso/sign")
_ON = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} – Understudy</title>
<meta http-equiv="refresh" content="0;url={next}"></head>
<body><p>{title}. <a href="{next}">Go on</a></p></body></html>"""
_REFUSED = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Not signed – Understudy</title></head>
<body><h1>Nothing was signed</h1><p role="alert">{fault}</p>
<p><a href="{next}">Back to the plan</a></p></body></html>"""


def install(server: Flask, services: Services, sessions: SessionStore) -> None:
    """Adds the routes to a server when a provider is configured."""
    sso = services.sso
    if sso is None:
        return

    @server.get(PATHS[0])
    def there() -> Response:
        try:
            address, state = sso.begin(safe_next(request.args.get("next")), services.real_now())
        except UnderstudyError as error:
            return Response(page(services, str(error)), status=503, mimetype="text/html")
        return _with_state(redirect(address, 303), state)  # type: ignore[arg-type]  # a werkzeug response

    @server.get(PATHS[1])
    def back() -> Response:
        plan_id = sso.signed_by(request.args.get("state", ""))
        response = _signing_back(sso, services, sessions, plan_id) if plan_id else _in_back(sso, services, sessions)
        response.delete_cookie(STATE_COOKIE, path=PATHS[1])
        return response

    @server.post(PATHS[2])
    def sign() -> Response:
        return _signing_there(sso, services)


def _with_state(response: Response, state: str) -> Response:
    """The response with the cookie that the browser brings back from the provider."""
    response.set_cookie(
        STATE_COOKIE, state, max_age=600, httponly=True, samesite="Lax", secure=request.is_secure, path=PATHS[1]
    )
    return response


def _leading_on(title: str, address: str) -> Response:
    """A page that leads on: browsers send a strict cookie only on a way that began at a page of this server."""
    return Response(_ON.format(title=title, next=escape(address, quote=True)), mimetype="text/html")


def _not_signed(fault: str, plan_id: str) -> Response:
    text = _REFUSED.format(fault=escape(fault), next=escape(safe_next(f"/plans/{plan_id}"), quote=True))
    return Response(text, status=403, mimetype="text/html")


def _in_back(sso: SingleSignOn, services: Services, sessions: SessionStore) -> Response:
    now = services.real_now()
    try:
        person, after = sso.finish(request.args.to_dict(), request.cookies.get(STATE_COOKIE, ""), now)
    except UnderstudyError as refusal:
        return Response(page(services, str(refusal)), status=403, mimetype="text/html")
    token = open_session(sessions, person.user, person.session_version, now)
    return with_session(_leading_on("Signed in", safe_next(after)), token)


def _signing_there(sso: SingleSignOn, services: Services) -> Response:
    """To the provider, for a fresh sign-in that signs: by a page, since the policy lets no form lead elsewhere."""
    plan_id, decision = request.form.get("plan", ""), request.form.get("decision", "")
    if decision not in {"approve", "reject"}:
        abort(400, "A plan is approved or rejected.")
    if not g.person.may(Role.APPROVER):
        abort(403, f"{g.person.user} is no {Role.APPROVER}; ask an admin for the role.")
    session = token_digest(request.cookies.get(COOKIE, ""))
    reason = request.form.get("reason", "")
    try:
        address, state = sso.begin_signing(decision, plan_id, reason, g.person.user, session, services.real_now())
    except UnderstudyError as error:
        return _not_signed(str(error), plan_id)
    return _with_state(_leading_on("To your identity provider", address), state)


def _signing_back(sso: SingleSignOn, services: Services, sessions: SessionStore, plan_id: str) -> Response:
    now = services.real_now()

    def stands(digest: str, user: str) -> bool:
        person = person_of(services, living_session(sessions, digest, now))
        return person is not None and person.user == user

    try:
        one = sso.finish_signing(request.args.to_dict(), request.cookies.get(STATE_COOKIE, ""), now, stands)
    except UnderstudyError as refusal:
        return _not_signed(str(refusal), plan_id)
    return _leading_on(f"Signed: the plan is {one.record.state.value}", f"/plans/{plan_id}")
