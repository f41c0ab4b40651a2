"""Who a browser's cookie belongs to: random tokens, kept as digests on the server, that end by time or by word."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Protocol

COOKIE = "understudy_session"
IDLE = timedelta(hours=2)
LONGEST = timedelta(hours=12)
TOUCH_EVERY = timedelta(minutes=1)
"""How often a session's last use is noted; each request would be a write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A signed-in browser."""

    digest: str
    """SHA-256 of the token; the token itself is only in the cookie."""
    user: str
    version: int
    """Session version of the person at sign-in; another one now means that roles or password changed."""
    made_at: datetime
    seen_at: datetime

    def alive(self, now: datetime) -> bool:
        """Whether neither its idle nor its longest time is over."""
        return now - self.seen_at < IDLE and now - self.made_at < LONGEST


class SessionStore(Protocol):
    """Where sessions are kept."""

    def get(self, digest: str) -> Session | None:
        """The session of a token's digest."""
        ...

    def put(self, session: Session) -> None:
        """Keeps a session."""
        ...

    def remove(self, digest: str) -> None:
        """Ends a session."""
        ...

    def sweep(self, before: datetime) -> None:
        """Forgets sessions not seen since a moment."""
        ...


class MemorySessions:
    """Sessions of one process; they end with it."""

    def __init__(self) -> None:
        self._kept: dict[str, Session] = {}
        self._lock = Lock()

    def get(self, digest: str) -> Session | None:
        """The session of a token's digest."""
        return self._kept.get(digest)

    def put(self, session: Session) -> None:
        """Keeps a session."""
        with self._lock:
            self._kept[session.digest] = session

    def remove(self, digest: str) -> None:
        """Ends a session."""
        with self._lock:
            self._kept.pop(digest, None)

    def sweep(self, before: datetime) -> None:
        """Forgets sessions not seen since a moment."""
        with self._lock:
            self._kept = {digest: one for digest, one in self._kept.items() if one.seen_at >= before}


def token_digest(token: str) -> str:
    """What the store knows a token by."""
    return hashlib.sha256(token.encode()).hexdigest()


def open_session(store: SessionStore, user: str, version: int, now: datetime) -> str:
    """A new session; the token for its cookie."""
    token = secrets.token_urlsafe(32)
    store.sweep(now - LONGEST)
    store.put(Session(digest=token_digest(token), user=user, version=version, made_at=now, seen_at=now))
    return token


def living_session(store: SessionStore, digest: str, now: datetime) -> Session | None:
    """The living session of a token's digest; a dead one is removed."""
    session = store.get(digest)
    if session is None or session.alive(now):
        return session
    store.remove(digest)
    return None


def find_session(store: SessionStore, token: str | None, now: datetime) -> Session | None:
    """The living session of a token, with its last use noted."""
    session = living_session(store, token_digest(token), now) if token else None
    if session is None:
        return None
    if now - session.seen_at >= TOUCH_EVERY:
        session = replace(session, seen_at=now)
        store.put(session)
    return session
