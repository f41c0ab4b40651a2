"""Records and audit log in one SQLite file: each transaction changes records and appends one chained audit row.

The audit row names the digest of every record that its transaction wrote. So the chain of SHA-256 digests covers not
only what was said but also what now stands in the tables, and a proof can name the row that someone else has touched.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.audit.lock_holder import lock_holder
from connectors.audit.schema import MIGRATIONS, SCHEMA_VERSION, TABLES, open_plans
from twin.errors import OutsideWorldError, RefusedError
from twin.plans.records import AuditRow, Finding
from twin.ports import Clock
from twin.text.canonical import canonical

GENESIS = "0" * 64
LOCK_WAIT_S = 5.0
RESERVE, RESERVE_BYTES = "reserve.bin", 262_144

_TROUBLE = (sqlite3.Error, UnicodeDecodeError)
"""What a rotten file makes SQLite or its texts raise."""
_COLUMNS = "seq, at, actor, event, subject, payload, previous, digest"


def row_digest(seq: int, at: str, actor: str, event: str, subject: str, payload: str, previous: str) -> str:
    """SHA-256 of an audit row's canonical form, its predecessor's digest included."""
    return hashlib.sha256(canonical([seq, at, actor, event, subject, payload, previous])).hexdigest()


def text_digest(text: str | bytes) -> str:
    """SHA-256 of a stored body."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


class Transaction:
    """Reads and writes of one open transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.written: dict[str, str] = {}

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """The body of a record, or None."""
        return _get(self._connection, kind, key)

    def put(self, kind: str, key: str, body: object) -> None:
        """Writes a record; the audit row will carry its digest."""
        text = canonical(body).decode()
        self._connection.execute("INSERT OR REPLACE INTO record VALUES(?, ?, ?)", (kind, key, text))
        self.written[f"{kind}/{key}"] = text_digest(text)

    def execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        """A statement on tables that are not audited records (the lease)."""
        return self._connection.execute(statement, values)


def _get(connection: sqlite3.Connection, kind: str, key: str) -> dict[str, Any] | None:
    row = connection.execute("SELECT body FROM record WHERE kind = ? AND key = ?", (kind, key)).fetchone()
    return None if row is None else json.loads(row[0])


def _close(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        connection.close()


class Ledger:
    """The SQLite file (WAL, synchronous FULL): one connection, used by one thread."""

    def __init__(self, path: Path | None, clock: Clock, *, connection: sqlite3.Connection | None = None) -> None:
        self._clock = clock
        self._path = path
        self._broken = ""
        self._db = connection or self._open()
        self._prepare()

    def _open(self) -> sqlite3.Connection:
        place = ":memory:" if self._path is None else self._path
        try:
            connection = sqlite3.connect(place, isolation_level=None, timeout=LOCK_WAIT_S)
        except sqlite3.Error as error:
            message = f"{self._path}: cannot be opened: {error}"
            raise OutsideWorldError(message) from error
        weakref.finalize(self, _close, connection)
        return connection

    def _prepare(self) -> None:
        try:
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                self._refuse_newer(version)
            if version == 0:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.executescript(f"BEGIN IMMEDIATE;{TABLES}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")
            for older in range(max(version, 1), SCHEMA_VERSION if version else 0):
                self._migrate(older)
        except _TROUBLE as error:
            message = f"{self._path}: cannot be read: {error}; restore it from a copy, it is never repaired in place"
            raise OutsideWorldError(message) from error
        finally:
            with suppress(*_TROUBLE):
                self._db.execute("PRAGMA synchronous = FULL")

    def _refuse_newer(self, version: int) -> None:
        plans = ", ".join(open_plans(self._db)) or "none"
        message = (
            f"{self._path}: journal schema {version} is newer than {SCHEMA_VERSION}, which this version reads; "
            f"open plans: {plans}. Nothing is done: finish or undo them with the newer version"
        )
        raise RefusedError(message)

    def _migrate(self, older: int) -> None:
        """One version on, with its audit row, or not at all; plans in flight stay as they are."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if self._db.execute("PRAGMA user_version").fetchone()[0] == older:
                self._db.execute(MIGRATIONS[older])
                self._db.execute(f"PRAGMA user_version = {older + 1}")
                facts = {"from": older, "to": older + 1, "open_plans": open_plans(self._db)}
                self._append("understudy", "journal migrated", "journal", facts)
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    @contextmanager
    def transaction(self, actor: str, event: str, subject: str, payload: Mapping[str, object]) -> Iterator[Transaction]:
        """One transaction that ends with its audit row, or leaves no trace.

        Raises:
            OutsideWorldError: lock not free within five seconds, disk full, or the disk failed; after a failed commit
                the outcome is unknown and this ledger refuses further use: open it anew and look.
        """
        with self._begin() as transaction:
            yield transaction
            self._append(actor, event, subject, {**payload, "rows": transaction.written})

    @contextmanager
    def unaudited(self) -> Iterator[Transaction]:
        """One transaction without an audit row, for the beat of the lease."""
        with self._begin() as transaction:
            yield transaction

    @contextmanager
    def _begin(self) -> Iterator[Transaction]:
        if self._broken:
            message = f"{self._path}: {self._broken}; open the journal anew and look at the world before acting"
            raise OutsideWorldError(message)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield Transaction(self._db)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._abort(error)
        except BaseException:
            self._roll_back()
            raise

    def _abort(self, error: sqlite3.Error) -> None:
        name = getattr(error, "sqlite_errorname", "")
        holder = self._holder() if "BUSY" in name else ""
        self._roll_back()
        if name.startswith("SQLITE_IOERR"):
            self._broken = f"a disk error left the last commit unknown ({name})"
        message = f"{self._path}: the journal could not be written: {error}{holder}"
        raise OutsideWorldError(message) from error

    def _holder(self) -> str:
        who = lock_holder(self._path) if self._path is not None else ""
        return f", the lock is held by {who or 'another process'} for more than {LOCK_WAIT_S:g} s"

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _append(self, actor: str, event: str, subject: str, payload: Mapping[str, object]) -> None:
        last = self._db.execute("SELECT seq, digest FROM audit ORDER BY seq DESC LIMIT 1").fetchone() or (0, GENESIS)
        seq, previous = last[0] + 1, last[1]
        text = canonical(payload).decode()
        at = self._clock.now().isoformat().replace("+00:00", "Z")
        digest = row_digest(seq, at, actor, event, subject, text, previous)
        row = (seq, at, actor, event, subject, text, previous, digest)
        self._db.execute("INSERT INTO audit VALUES(?, ?, ?, ?, ?, ?, ?, ?)", row)

    def keep_reserve(self) -> None:
        """Sets disk space aside, so that a rollback and its audit rows still fit on a full disk."""
        if self._path is not None and not (reserve := self._path.with_name(RESERVE)).exists():
            try:
                reserve.write_bytes(b"\0" * RESERVE_BYTES)
            except OSError:
                reserve.unlink(missing_ok=True)

    def free_reserve(self) -> bool:
        """Gives the reserve back to the disk; whether there was one."""
        if self._path is None or not (reserve := self._path.with_name(RESERVE)).exists():
            return False
        reserve.unlink()
        return True

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """The body of a record, or None."""
        found: dict[str, Any] | None = self._reading(lambda: _get(self._db, kind, key))
        return found

    def text(self, kind: str, key: str) -> str | None:
        """The body of a record as it is stored, or None."""
        row = self.row("SELECT body FROM record WHERE kind = ? AND key = ?", (kind, key))
        return None if row is None else str(row[0])

    def all(self, kind: str, prefix: str = "") -> list[dict[str, Any]]:
        """Bodies of all records of a kind whose key starts so, by key."""
        query = "SELECT body FROM record WHERE kind = ? AND key >= ? AND key < ? ORDER BY key"
        rows = self._reading(lambda: self._db.execute(query, (kind, prefix, prefix + "\U0010ffff")).fetchall())
        return [json.loads(row[0]) for row in rows]

    def row(self, query: str, values: tuple[object, ...] = ()) -> tuple[Any, ...] | None:
        """First row of a query."""
        found: tuple[Any, ...] | None = self._reading(lambda: self._db.execute(query, values).fetchone())
        return found

    def _reading(self, read: Any) -> Any:
        try:
            return read()
        except (*_TROUBLE, json.JSONDecodeError) as error:
            message = f"{self._path}: the journal cannot be read: {error}; 'understudy audit verify' names the row"
            raise OutsideWorldError(message) from error

    def write_meta(self, key: str, value: str) -> None:
        """Notes a fact about the file itself, once."""
        self._db.execute("INSERT OR IGNORE INTO meta VALUES(?, ?)", (key, value))

    def meta(self, key: str) -> str | None:
        """A fact about the file itself."""
        row = self.row("SELECT value FROM meta WHERE key = ?", (key,))
        return None if row is None else str(row[0])

    def audit(self, since: int = 0) -> list[AuditRow]:
        """Rows of the log after a sequence number."""
        query = f"SELECT {_COLUMNS} FROM audit WHERE seq > ? ORDER BY seq"
        names = _COLUMNS.split(", ")
        rows = self._reading(lambda: self._db.execute(query, (since,)).fetchall())
        return [AuditRow(**dict(zip(names, row, strict=True))) for row in rows]

    def head(self) -> tuple[int, str]:
        """Sequence number and digest of the last row; (0, zeros) of an empty log."""
        row = self.row("SELECT seq, digest FROM audit ORDER BY seq DESC LIMIT 1")
        return (0, GENESIS) if row is None else (int(row[0]), str(row[1]))

    def count(self, event: str, subject: str | None = None) -> int:
        """Rows of the log with an event, of one subject or of all."""
        query = "SELECT count(*) FROM audit WHERE event = ?" + ("" if subject is None else " AND subject = ?")
        row = self.row(query, (event,) if subject is None else (event, subject))
        return 0 if row is None else int(row[0])

    def latest_since(self, event: str, subject: str) -> datetime | None:
        """The highest time of all rows from the first of an event on; None when it never happened.

        The clock may have been set back since: rows are in the order in which they were written.
        """
        first = "SELECT min(seq) FROM audit WHERE event = ? AND subject = ?"
        row = self.row(f"SELECT max(rtrim(at, 'Z')) FROM audit WHERE seq >= ({first})", (event, subject))
        return None if row is None or row[0] is None else datetime.fromisoformat(row[0]).replace(tzinfo=UTC)

    def verify(self) -> list[Finding]:
        """What is wrong with the log and the records, each with its row; empty when all is as it was written."""
        from connectors.audit.proof import prove

        return prove(self._db)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()
