"""The folder of a store: database, instance id, checkpoints and their key, and the proof over all of them."""

from __future__ import annotations

import fcntl
import json
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connectors.audit.checkpoints import (
    CheckpointFile,
    check_checkpoints,
    load_or_make_key,
    load_public_key,
    read_checkpoints,
)
from connectors.audit.ledger import RESERVE, Ledger
from connectors.plan_store.store import PlanStore
from twin.errors import OutsideWorldError, RefusedError
from twin.plans.records import Finding
from twin.ports import Clock

LEAST_FREE_BYTES = 65_536
"""Fewer on the disk of the journal are an alarm: a push writes some kilobytes with every step."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock file for a short section; the kernel frees it when the process dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class StoreFolder:
    """The folder of a store: database, instance id, checkpoints and their key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "plans.sqlite"
        self.instance_file = folder / "instance.json"
        self.checkpoint_file = folder / "checkpoints.jsonl"
        self.key_file = folder / "keys" / "audit.pem"
        self.lock_file = folder / "site.lock"

    def open(self, site: str, clock: Clock) -> PlanStore:
        """The store of a site, made on first use.

        Raises:
            RefusedError: the database is not the one that this folder had: empty, swapped, or of another site.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key_file.parent.mkdir(mode=0o700, exist_ok=True)
        with locked(self.folder / "open.lock"):
            ledger = self._ledger(site, clock)
            key = load_or_make_key(self.key_file)
        ledger.keep_reserve()
        return PlanStore(ledger, clock, site, checkpoints=CheckpointFile(self.checkpoint_file, key, self.instance))

    def _ledger(self, site: str, clock: Clock) -> Ledger:
        if not self.instance_file.exists():
            if self.database.exists():
                message = f"{self.instance_file} is missing beside {self.database.name}; restore it, or move both away"
                raise RefusedError(message)
            self._write_instance(secrets.token_hex(16), site, ready=False)
        ledger = Ledger(self.database, clock)
        if not self._facts()["ready"]:
            ledger.write_meta("instance", self.instance)
            ledger.write_meta("site", site)
            self._write_instance(self.instance, site, ready=True)
        self._require_same(ledger, site)
        return ledger

    def _write_instance(self, instance: str, site: str, *, ready: bool) -> None:
        text = json.dumps({"instance": instance, "site": site, "ready": ready})
        fresh = self.instance_file.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.instance_file)

    def _facts(self) -> dict[str, Any]:
        try:
            facts: dict[str, Any] = json.loads(self.instance_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            message = f"{self.instance_file}: cannot be read: {error}; restore it"
            raise RefusedError(message) from error
        return facts

    @property
    def instance(self) -> str:
        """The id that the database must carry."""
        return str(self._facts()["instance"])

    def _require_same(self, ledger: Ledger, site: str) -> None:
        if ledger.meta("instance") != self.instance:
            message = (
                f"{self.database}: not the database that belongs here (instance {ledger.meta('instance')}, expected "
                f"{self.instance}); it was emptied or swapped. Restore the right file; nothing is pushed until then"
            )
            raise RefusedError(message)
        if ledger.meta("site") != site:
            message = f"{self.database} belongs to site {ledger.meta('site')!r}, not {site!r}"
            raise RefusedError(message)

    def trouble(self) -> str:
        """Why the journal may not take the next row, as a sentence; empty while it can."""
        free = shutil.disk_usage(self.folder).free
        if free < LEAST_FREE_BYTES:
            least = LEAST_FREE_BYTES // 1024
            return f"{self.database}: {free // 1024} KiB are left on its disk, below {least}; make room, pushes stop"
        if not self.database.with_name(RESERVE).exists():
            return f"{self.database}: the reserve for the way back is used up; make room and start the agent again"
        return ""

    def verify(
        self, store: PlanStore, *, checkpoints: Path | None = None, public_key: Path | None = None
    ) -> list[Finding]:
        """The full proof: chain, records, and the checkpoints (or copies of them kept elsewhere)."""
        findings = store.verify()
        try:
            digests = {row.seq: row.digest for row in store.audit()}
        except (OutsideWorldError, TypeError, sqlite3.Error):
            return findings or [Finding(row="audit", sentence="the log cannot be read")]
        key = load_public_key(public_key or self.key_file.with_suffix(".pub"))
        points = read_checkpoints(checkpoints or self.checkpoint_file)
        if digests and not points and checkpoints is None:
            findings.append(Finding(row="checkpoints", sentence="the file of checkpoints is empty or gone"))
        return findings + check_checkpoints(points, digests, self.instance, key)
