"""Sign-in through an identity provider: the way there, and the way back with a session."""

from __future__ import annotations

from html import escape

from flask import Flask, Response, redirect, request

from dashboard.services import Services
from dashboard.sessions import COOKIE, LONGEST, SessionStore, open_session
from dashboard.signin import page, safe_next
from twin.errors import UnderstudyError

STATE_COOKIE = "understudy_sso"
PATHS = ("/signin/sso", "/signin/sso/back")
_ON = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Signed in – Understudy</title>
<meta http-equiv="refresh" content="0;url={next}"></head>
<body><p>Signed in. <a href="{next}">Go on</a></p></body></html>"""
"""The session cookie is strict: browsers send it only on a way that began here, so this page begins it."""


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
        response = redirect(address, 303)
        response.set_cookie(
            STATE_COOKIE, state, max_age=600, httponly=True, samesite="Lax", secure=request.is_secure, path=PATHS[1]
        )
        return response  # type: ignore[return-value]  # a werkzeug response

    @server.get(PATHS[1])
    def back() -> Response:
        state = request.cookies.get(STATE_COOKIE, "")
        try:
            person, after = sso.finish(request.args.to_dict(), state, services.real_now())
        except UnderstudyError as refusal:
            return Response(page(services, str(refusal)), status=403, mimetype="text/html")
        token = open_session(sessions, person.user, person.session_version, services.real_now())
        response = Response(_ON.format(next=escape(safe_next(after), quote=True)), mimetype="text/html")
        response.delete_cookie(STATE_COOKIE, path=PATHS[1])
        response.set_cookie(
            COOKIE,
            token,
            max_age=int(LONGEST.total_seconds()),
            httponly=True,
            samesite="Strict",
            secure=request.is_secure,
        )
        return response
