"""What every request passes before a page or callback sees it: hosts, origin, person; and the headers of the answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import Flask, Request, Response, abort, g, redirect, request
from werkzeug.sansio.utils import host_is_trusted

from dashboard.services import Services
from dashboard.sessions import COOKIE, Session, SessionStore, find_session
from dashboard.views import Person

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATHS = (
    "/signin",
    "/signin/sso",
    "/signin/sso/back",
    "/assets/signin.css",
    "/assets/favicon.svg",
    "/_favicon.ico",
    "/api/v1/live",
)
MOST_BYTES = 8 * 1024 * 1024


def install(server: Flask, services: Services, sessions: SessionStore, hosts: Sequence[str]) -> None:
    """Puts the guard before all routes of a server.

    Args:
        server: the Flask application.
        services: for the people.
        sessions: where signed-in browsers are kept.
        hosts: names under which the server may be addressed; another ``Host`` header is refused with 400.
    """
    server.config["TRUSTED_HOSTS"] = list(hosts)
    server.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    server.config["MAX_FORM_MEMORY_SIZE"] = 64 * 1024

    @server.before_request
    def look() -> Response | None:
        g.began = time.perf_counter()
        return _look(services, sessions, hosts)

    @server.after_request
    def dress(response: Response) -> Response:
        spent_ms = 1000 * (time.perf_counter() - g.get("began", time.perf_counter()))
        response.headers["Server-Timing"] = f"app;dur={spent_ms:.1f}"
        return with_headers(response, server.config.get("CSP", ""))


def _look(services: Services, sessions: SessionStore, hosts: Sequence[str]) -> Response | None:
    g.person = None
    if not host_is_trusted(request.environ.get("HTTP_HOST", ""), hosts):
        abort(400, "This server is not addressed by that name.")
    bearer = request.headers.get("Authorization", "")
    if request.path.startswith("/api/") and bearer.startswith("Bearer "):
        g.person = services.identity.by_token(bearer.removeprefix("Bearer ").strip())
        return None if g.person is not None else abort(401)
    if request.method not in SAFE_METHODS and not same_origin(request):
        abort(403, "This request comes from another page. Open the dashboard itself and try again.")
    g.person = present_person(services, sessions)
    if g.person is not None or request.path in OPEN_PATHS:
        return None
    if request.method == "GET" and request.accept_mimetypes.accept_html and not request.path.startswith(("/api", "/_")):
        return redirect(f"/signin?next={request.path}", 303)  # type: ignore[return-value]  # a werkzeug response
    return abort(401)


def present_person(services: Services, sessions: SessionStore) -> Person | None:
    """The person of the session cookie, with the roles of this moment; None when either has ended."""
    return person_of(services, find_session(sessions, request.cookies.get(COOKIE), services.real_now()))


def person_of(services: Services, session: Session | None) -> Person | None:
    """The person of a living session; None when roles or password have changed since it was opened."""
    person = services.identity.person(session.user) if session is not None else None
    if session is None or person is None or person.session_version != session.version:
        return None
    return person


def same_origin(asked: Request) -> bool:
    """Whether a request that changes something was made by a page of this server.

    Browsers say where a request comes from in ``Sec-Fetch-Site`` and ``Origin``, and no page can forge either. A
    request that carries neither is not a browser's and is refused, since cookies are for browsers; tools use tokens.
    """
    site = asked.headers.get("Sec-Fetch-Site")
    origin = asked.headers.get("Origin")
    if site is None and origin is None:
        return False
    if site is not None and site != "same-origin":
        return False
    return origin is None or _is_own(origin, asked)


def _is_own(origin: str, asked: Request) -> bool:
    parts = urlsplit(origin)
    return parts.scheme == asked.scheme and parts.netloc == asked.host


def content_security_policy(script_hashes: Sequence[str]) -> str:
    """The policy of all pages: everything from here, no inline script but those with a hash, no frames."""
    return "; ".join(
        (
            "default-src 'self'",
            " ".join(("script-src 'self'", *script_hashes)),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def with_headers(response: Response, policy: str) -> Response:
    """The response with the headers that browsers enforce."""
    response.headers["Content-Security-Policy"] = policy
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    if response.mimetype in {"text/html", "application/json"}:
        response.headers["Cache-Control"] = "no-store"
    return response
