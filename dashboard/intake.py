"""The lanes of what other tools post: so many at a time, the others are told to come again, and people never wait."""

from __future__ import annotations

from threading import BoundedSemaphore

from flask import Flask, Response, g, request

MOST_AT_ONCE = 2
"""Posts to one of the paths that are in work; the other threads of the server are for people."""
RETRY_AFTER_S = 1
PATHS = ("/api/v1/telemetry", "/api/v1/scenarios")


def install(server: Flask) -> None:
    """Puts the lanes before all else, so that a post too many costs neither a look at its token nor at its rows."""
    free = {path: BoundedSemaphore(MOST_AT_ONCE) for path in PATHS}

    @server.before_request
    def enter() -> Response | None:
        lane = free.get(request.path) if request.method == "POST" else None
        if lane is None:
            return None
        if lane.acquire(blocking=False):
            g.lane = lane
            return None
        return _refusal(request.path)

    @server.teardown_request
    def leave(_: BaseException | None) -> None:
        lane = g.pop("lane", None)
        if lane is not None:
            lane.release()


def _refusal(path: str) -> Response:
    words = f"{MOST_AT_ONCE} posts to {path} are in work; send this one again after {RETRY_AFTER_S} s"
    refusal = Response(f'{{"error": {{"message": "{words}"}}}}', status=429, mimetype="application/json")
    refusal.headers["Retry-After"] = str(RETRY_AFTER_S)
    return refusal
