"""The lane of telemetry that is posted: so many at a time, the others are told to come again, and people never wait."""

from __future__ import annotations

from threading import BoundedSemaphore

from flask import Flask, Response, g, request

MOST_AT_ONCE = 2
"""Posts of telemetry in work; the other threads of the server are for people."""
RETRY_AFTER_S = 1
PATH = "/api/v1/telemetry"


def install(server: Flask) -> None:
    """Puts the lane before all else, so that a post too many costs neither a look at its token nor at its rows."""
    free = BoundedSemaphore(MOST_AT_ONCE)

    @server.before_request
    def enter() -> Response | None:
        if request.method != "POST" or request.path != PATH:
            return None
        if free.acquire(blocking=False):
            g.in_intake = True
            return None
        words = f"{MOST_AT_ONCE} posts of telemetry are in work; send this one again after {RETRY_AFTER_S} s"
        refusal = Response(f'{{"error": {{"message": "{words}"}}}}', status=429, mimetype="application/json")
        refusal.headers["Retry-After"] = str(RETRY_AFTER_S)
        return refusal

    @server.teardown_request
    def leave(_: BaseException | None) -> None:
        if g.pop("in_intake", False):
            free.release()
