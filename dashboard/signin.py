"""The sign-in page and what ends a session: plain forms, without scripts."""

from __future__ import annotations

from html import escape

from flask import Flask, Response, redirect, request

from dashboard.services import Services
from dashboard.sessions import COOKIE, LONGEST, SessionStore, open_session, token_digest
from twin.errors import RefusedError

_PAGE = """<!doctype html>
<html lang="en" data-look="{look}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in – Understudy</title><link rel="stylesheet" href="/assets/signin.css">
<link rel="icon" href="/assets/favicon.svg"></head>
<body><main>
<h1>Understudy</h1><p class="site">{site}</p>
{fault}
<form method="post" action="/signin?next={next}">
<label for="user">User</label><input id="user" name="user" autocomplete="username" required autofocus maxlength="80">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="256">
<button type="submit">Sign in</button>
</form>{sso}</main></body></html>"""


def with_session(response: Response, token: str) -> Response:
    """The response with the cookie of a new session: strict, out of reach of scripts."""
    age = int(LONGEST.total_seconds())
    response.set_cookie(COOKIE, token, max_age=age, httponly=True, samesite="Strict", secure=request.is_secure)
    return response


def install(server: Flask, services: Services, sessions: SessionStore) -> None:
    """Adds the routes to a server."""

    @server.get("/signin")
    def ask() -> Response:
        return Response(page(services, ""), mimetype="text/html")

    @server.post("/signin")
    def answer() -> Response:
        user, password = request.form.get("user", ""), request.form.get("password", "")
        try:
            person = services.identity.sign_in(user, password, request.remote_addr or "")
        except RefusedError as refusal:
            return Response(page(services, str(refusal)), status=403, mimetype="text/html")
        token = open_session(sessions, person.user, person.session_version, services.real_now())
        response = redirect(safe_next(request.args.get("next")), 303)
        return with_session(response, token)  # type: ignore[arg-type]  # a werkzeug response

    @server.post("/signout")
    def leave() -> Response:
        if token := request.cookies.get(COOKIE):
            sessions.remove(token_digest(token))
        response = redirect("/signin", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="Strict")
        return response  # type: ignore[return-value]  # a werkzeug response


def safe_next(path: str | None) -> str:
    """Where to go after sign-in: a path of this server, never another place."""
    if not path or not path.startswith("/") or path.startswith(("//", "/\\")) or any(ord(c) < 32 for c in path):
        return "/"
    return path


def page(services: Services, fault: str) -> str:
    """The page, with what went wrong."""
    after = escape(safe_next(request.args.get("next")), quote=True)
    sso = f'<p><a href="/signin/sso?next={after}">{escape(services.sso.label)}</a></p>' if services.sso else ""
    return _PAGE.format(
        look="dark" if request.cookies.get("look") == "dark" else "light",
        site=escape(services.site.name),
        fault=f'<p class="fault" role="alert">{escape(fault)}</p>' if fault else "",
        next=after,
        sso=sso,
    )
