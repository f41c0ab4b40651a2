"""Versions of the journal: tables as they are now, the way from each older version, and whose plans stand open."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import suppress

from twin.plan import NEXT, PlanState

SCHEMA_VERSION = 2
_FINAL = frozenset(PlanState) - set(NEXT)
"""A state that a newer version made is none of these, so its plan counts as open."""

TABLES = """
CREATE TABLE IF NOT EXISTS record(
  kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY(kind, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit(
  seq INTEGER PRIMARY KEY, at TEXT NOT NULL, actor TEXT NOT NULL, event TEXT NOT NULL, subject TEXT NOT NULL,
  payload TEXT NOT NULL, previous TEXT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS lease(
  site TEXT PRIMARY KEY, epoch INTEGER NOT NULL, holder TEXT NOT NULL, since TEXT NOT NULL, beat INTEGER NOT NULL,
  clean INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS audit_of_event ON audit(event, subject);
"""

MIGRATIONS: Mapping[int, str] = {
    1: "CREATE INDEX IF NOT EXISTS audit_of_event ON audit(event, subject)",
}
"""Version → the statement that makes the next one of it. A step never touches what the digests cover."""


def open_plans(connection: sqlite3.Connection) -> list[str]:
    """Plans that are not final, as far as this version can read them: ``id is state``."""
    found = []
    with suppress(sqlite3.Error):
        for (body,) in connection.execute("SELECT body FROM record WHERE kind = 'plan' ORDER BY key").fetchall():
            with suppress(ValueError, KeyError, TypeError):
                record = json.loads(body)
                if record["state"] not in _FINAL:
                    found.append(f"{record['plan_id'][:12]} is {record['state']}")
    return found
