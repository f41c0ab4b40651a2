"""Long work in an SQLite table: what waits, what runs and how far it is; it survives the death of any process.

A worker holds a job by a heartbeat. A job whose heartbeat stopped is taken up once more by the next worker, then marked
failed, so that nothing is retried for ever.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from twin.errors import BadInputError, OutsideWorldError, RefusedError
from twin.jobs import WHAT_IF, Job, JobState, Lane, lane_of
from twin.ports import Clock

SILENCE = timedelta(seconds=20)
"""A running job without a heartbeat for so long has lost its worker."""
MOST_ATTEMPTS = 2
MOST_WAITING = 200
"""Waiting jobs beside pushes; a new one beyond them sheds the oldest what-if, which can be asked again."""
_SCHEMA = """CREATE TABLE IF NOT EXISTS job(
  id TEXT PRIMARY KEY, number INTEGER NOT NULL, kind TEXT NOT NULL, request TEXT NOT NULL, user TEXT NOT NULL,
  state TEXT NOT NULL, made_at TEXT NOT NULL, changed_at TEXT NOT NULL, beat_at TEXT NOT NULL, worker TEXT NOT NULL,
  done REAL NOT NULL, total REAL NOT NULL, what TEXT NOT NULL, attempts INTEGER NOT NULL, result TEXT NOT NULL,
  message TEXT NOT NULL)"""
_OPEN = (JobState.RUNNING, JobState.CANCELLING)


class JobTable:
    """The table; every call opens its own connection, so any thread and process may use it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        with self._transaction() as db:
            db.execute(_SCHEMA)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = None
        try:
            db = sqlite3.connect(self._path, isolation_level=None, timeout=5.0)
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        except sqlite3.Error as error:
            message = f"{self._path}: the job table cannot be used: {error}"
            raise OutsideWorldError(message) from error
        finally:
            if db is not None:
                db.close()

    def submit(self, kind: str, request: Mapping[str, object], user: str) -> Job:
        """Puts work into the queue; a full one sheds its oldest what-if for it, never a push.

        Raises:
            RefusedError: too many jobs wait already, and none of them may be shed.
        """
        now, job_id = self._now(), secrets.token_hex(6)
        with self._transaction() as db:
            if lane_of(kind) is Lane.WORK:
                self._make_room(db)
            number = db.execute("SELECT coalesce(max(number), 0) + 1 FROM job").fetchone()[0]
            row = (job_id, number, kind, json.dumps(request), user, JobState.QUEUED, now, now, now, "")
            db.execute("INSERT INTO job VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 1, '', 0, '{}', '')", row)
        return self._require(job_id)

    def _make_room(self, db: sqlite3.Connection) -> None:
        rows = db.execute("SELECT id, kind FROM job WHERE state = ? ORDER BY number", (JobState.QUEUED,)).fetchall()
        waiting = [row for row in rows if lane_of(row["kind"]) is Lane.WORK]
        if len(waiting) < MOST_WAITING:
            return
        oldest = next((row["id"] for row in waiting if row["kind"] == WHAT_IF), None)
        if oldest is None:
            message = f"{len(waiting)} jobs wait already; cancel some, or wait until they are done"
            raise RefusedError(message)
        words = f"shed: more than {MOST_WAITING} jobs wait, and it was the oldest what-if; ask it again later"
        _change(db, oldest, JobState.QUEUED, state=JobState.CANCELLED, message=words, changed_at=self._now())

    def all(self) -> Sequence[Job]:
        """All jobs, newest first."""
        with self._transaction() as db:
            rows = db.execute("SELECT * FROM job ORDER BY number DESC LIMIT 500").fetchall()
        return [_job(row) for row in rows]

    def get(self, job_id: str) -> Job | None:
        """One job."""
        with self._transaction() as db:
            row = db.execute("SELECT * FROM job WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else _job(row)

    def _require(self, job_id: str) -> Job:
        job = self.get(job_id)
        if job is None:
            message = f"there is no job {job_id!r}"
            raise BadInputError(message)
        return job

    def cancel(self, job_id: str, user: str) -> Job:
        """Ends a waiting job at once, a running one at its next report.

        Raises:
            RefusedError: it has ended already.
        """
        if self._require(job_id).state.final:
            message = f"job {job_id} has ended already"
            raise RefusedError(message)
        words = f"cancelled by {user}"
        with self._transaction() as db:
            _change(db, job_id, JobState.QUEUED, state=JobState.CANCELLED, message=words, changed_at=self._now())
            _change(db, job_id, JobState.RUNNING, state=JobState.CANCELLING, message=words, changed_at=self._now())
        return self._require(job_id)

    # ---- the worker's side ---------------------------------------------------------------------------------------

    def take(self, worker: str, lane: Lane | None = None) -> Job | None:
        """The oldest waiting job of a lane, or of any, now held by this worker; lost jobs come back first."""
        now = self._now()
        with self._transaction() as db:
            self._recover(db)
            rows = db.execute("SELECT id, kind FROM job WHERE state = ? ORDER BY number", (JobState.QUEUED,))
            row = next((row for row in rows if lane in (None, lane_of(row["kind"]))), None)
            if row is None:
                return None
            db.execute(
                "UPDATE job SET state = ?, worker = ?, attempts = attempts + 1, beat_at = ?, changed_at = ? "
                "WHERE id = ?",
                (JobState.RUNNING, worker, now, now, row["id"]),
            )
        return self._require(row["id"])

    def _recover(self, db: sqlite3.Connection) -> None:
        limit = (self._clock.now() - SILENCE).isoformat()
        rows = db.execute(
            "SELECT id, state, attempts FROM job WHERE state IN (?, ?) AND beat_at < ?", (*_OPEN, limit)
        ).fetchall()
        for row in rows:
            if row["state"] == JobState.CANCELLING:
                after, words = JobState.CANCELLED, "cancelled; its worker had died"
            elif row["attempts"] < MOST_ATTEMPTS:
                after, words = JobState.QUEUED, "its worker died; taken up again"
            else:
                after, words = JobState.FAILED, f"its worker died {row['attempts']} times; not tried again"
            _change(db, row["id"], row["state"], state=after, message=words, changed_at=self._now())

    def beat(self, job_id: str, worker: str, done: float, total: float, what: str) -> bool:
        """Notes progress; whether the worker shall go on."""
        with self._transaction() as db:
            db.execute(
                "UPDATE job SET beat_at = ?, done = ?, total = ?, what = ? WHERE id = ? AND worker = ?",
                (self._now(), done, total, what, job_id, worker),
            )
            row = db.execute("SELECT state, worker FROM job WHERE id = ?", (job_id,)).fetchone()
        return row is not None and row["state"] == JobState.RUNNING and row["worker"] == worker

    def finish(self, job_id: str, worker: str, state: JobState, result: Mapping[str, object], message: str) -> None:
        """Ends a job that this worker still holds."""
        with self._transaction() as db:
            db.execute(
                "UPDATE job SET state = ?, result = ?, message = ?, changed_at = ?, "
                "done = CASE WHEN ? THEN total ELSE done END WHERE id = ? AND worker = ? AND state IN (?, ?)",
                (state, json.dumps(result), message, self._now(), state is JobState.DONE, job_id, worker, *_OPEN),
            )

    def _now(self) -> str:
        return self._clock.now().isoformat()


def _change(db: sqlite3.Connection, job_id: str, before: str, **values: object) -> None:
    columns = ", ".join(f"{name} = ?" for name in values)
    db.execute(f"UPDATE job SET {columns} WHERE id = ? AND state = ?", (*values.values(), job_id, before))


_READ: Mapping[str, Callable[[Any], Any]] = {
    "request": json.loads,
    "result": json.loads,
    "state": JobState,
    "made_at": datetime.fromisoformat,
    "changed_at": datetime.fromisoformat,
}
_FIELDS = ("id", "kind", "request", "user", "state", "made_at", "changed_at", "done", "total", "what", "attempts")


def _job(row: sqlite3.Row) -> Job:
    names = (*_FIELDS, "result", "message")
    return Job(**{name: _READ.get(name, lambda value: value)(row[name]) for name in names})
