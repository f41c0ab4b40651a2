"""The proof of a ledger: recomputes the chain, then compares every record with the digest its last audit row named."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from connectors.audit.ledger import GENESIS, row_digest, text_digest
from twin.errors import BadInputError
from twin.plans.records import Finding

_QUERY = (
    "SELECT seq, at, actor, event, subject, payload, previous, digest, typeof(at) || typeof(actor) || typeof(event) || "
    "typeof(subject) || typeof(payload) || typeof(previous) || typeof(digest) FROM audit WHERE seq > ? ORDER BY seq"
)
_ALL_TEXT = b"text" * 7


def _text(value: Any) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _chain(connection: sqlite3.Connection) -> Iterator[tuple[int, dict[str, str], list[Finding]]]:
    expected_seq, previous = 1, GENESIS
    for row in connection.execute(_QUERY, (-(2**62),)):
        seq, digest = int(row[0]), _text(row[7])
        name = f"audit row {seq}"
        findings = []
        if seq != expected_seq:
            findings.append(Finding(row=name, sentence=f"row {expected_seq} is missing before it"))
        if row[8] != _ALL_TEXT:
            findings.append(Finding(row=name, sentence="a column is no text"))
        fields = [_text(value) for value in row[1:7]]
        try:
            recomputed = row_digest(seq, *fields)
        except (BadInputError, ValueError):
            recomputed = ""
        if recomputed != digest:
            findings.append(Finding(row=name, sentence="its content does not match its digest"))
        elif fields[5] != previous:
            findings.append(Finding(row=name, sentence="it does not follow the row before it"))
        yield seq, _rows(fields[4]), findings
        expected_seq, previous = seq + 1, digest


def _rows(payload: str) -> dict[str, str]:
    """Digests of records that a row names; of a broken row too, so that the rows it wrote are not reported as well."""
    try:
        rows = json.loads(payload).get("rows", {})
    except (ValueError, AttributeError):
        return {}
    return {str(key): str(value) for key, value in rows.items()} if isinstance(rows, dict) else {}


def prove(connection: sqlite3.Connection) -> list[Finding]:
    """Findings of a full proof, in the order of the log."""
    findings: list[Finding] = []
    last: dict[str, str] = {}
    factory = connection.text_factory
    connection.text_factory = bytes
    try:
        for _, rows, found in _chain(connection):
            findings += found
            last |= rows
        findings += _records(connection, last)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        findings.append(Finding(row="file", sentence=f"SQLite cannot read it: {error}"))
    finally:
        connection.text_factory = factory
    return findings


def _records(connection: sqlite3.Connection, last: dict[str, str]) -> Iterator[Finding]:
    seen = set()
    for kind, key, body in connection.execute("SELECT kind, key, body FROM record"):
        name = f"{_text(kind)}/{_text(key)}"
        seen.add(name)
        if name not in last:
            yield Finding(row=f"record {name}", sentence="no audit row wrote it")
        elif text_digest(body if isinstance(body, bytes) else str(body)) != last[name]:
            yield Finding(row=f"record {name}", sentence="its content is not what its last audit row wrote")
    for name in sorted(set(last) - seen):
        yield Finding(row=f"record {name}", sentence="it was written and is gone")
