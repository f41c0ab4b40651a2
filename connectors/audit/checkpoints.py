"""Signed checkpoints of the audit log, kept in a file outside the database.

A chain alone cannot show that its tail was cut or that all of it was written anew with fresh digests. A checkpoint
says, signed with Ed25519: at this moment row N had this digest. Copies stored on another machine, and the public key,
are what an auditor trusts; on the same machine they stop an accident and a careless hand, not its administrator.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from twin.errors import BadInputError, OutsideWorldError
from twin.plans.records import Finding
from twin.text.canonical import canonical, plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where the log stood at a moment, signed."""

    instance: str
    seq: int
    digest: str
    at: datetime
    signature: str = ""

    def message(self) -> bytes:
        """What is signed."""
        body: dict[str, object] = plain(self)
        return canonical({key: value for key, value in body.items() if key != "signature"})


def write_private(path: Path, data: bytes) -> None:
    """Writes a new file that only its owner can read, or fails when it exists."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def load_or_make_key(path: Path) -> Ed25519PrivateKey:
    """The signing key of a file, made on first use with mode 0600; its public half lies beside it as ``.pub``."""
    if not path.exists():
        key = Ed25519PrivateKey.generate()
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        write_private(path, key.private_bytes(encoding, form, serialization.NoEncryption()))
        public = key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
        path.with_suffix(".pub").write_bytes(public)
    loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(loaded, Ed25519PrivateKey):
        message = f"{path}: no Ed25519 key"
        raise BadInputError(message)
    return loaded


def load_public_key(path: Path) -> Ed25519PublicKey:
    """The public key of a PEM file."""
    try:
        loaded = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        message = f"{path}: no public key can be read: {error}"
        raise BadInputError(message) from error
    if not isinstance(loaded, Ed25519PublicKey):
        message = f"{path}: no Ed25519 public key"
        raise BadInputError(message)
    return loaded


class CheckpointFile:
    """Checkpoints as lines of JSON, only ever appended."""

    def __init__(self, path: Path, key: Ed25519PrivateKey, instance: str) -> None:
        self._path = path
        self._key = key
        self._instance = instance

    def add(self, seq: int, digest: str, at: datetime) -> Checkpoint:
        """Signs and appends a checkpoint; durable when it returns."""
        unsigned = Checkpoint(instance=self._instance, seq=seq, digest=digest, at=at)
        signature = self._key.sign(unsigned.message()).hex()
        signed = Checkpoint(instance=self._instance, seq=seq, digest=digest, at=at, signature=signature)
        try:
            with self._path.open("ab") as file:
                _drop_torn_line(self._path, file.fileno())
                file.write(canonical(signed) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            message = f"{self._path}: a checkpoint could not be written: {error}"
            raise OutsideWorldError(message) from error
        return signed


def _drop_torn_line(path: Path, descriptor: int) -> None:
    """Cuts what a crash left of a line that was never whole."""
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        os.ftruncate(descriptor, data.rfind(b"\n") + 1)


def read_checkpoints(path: Path) -> list[Mapping[str, object]]:
    """Checkpoints of a file in order; a torn last line, as a crash leaves it, is skipped."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    found = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            found.append(json.loads(line))
        except ValueError:
            found.append({"broken": number})
    return found


def check_checkpoints(
    checkpoints: Sequence[Mapping[str, object]],
    digests: Mapping[int, str],
    instance: str,
    key: Ed25519PublicKey,
) -> list[Finding]:
    """What the checkpoints say against a log, given as its digests by sequence number."""
    findings = []
    last = max(digests, default=0)
    for number, raw in enumerate(checkpoints, start=1):
        row = f"checkpoint {number}"
        try:
            point = Checkpoint(
                instance=str(raw["instance"]),
                seq=int(str(raw["seq"])),
                digest=str(raw["digest"]),
                at=datetime.fromisoformat(str(raw["at"])),
                signature=str(raw["signature"]),
            )
            key.verify(bytes.fromhex(point.signature), point.message())
        except (KeyError, ValueError, InvalidSignature):
            findings.append(Finding(row=row, sentence="its signature or form is wrong"))
            continue
        if point.instance != instance:
            findings.append(Finding(row=row, sentence=f"it belongs to instance {point.instance}, not {instance}"))
        elif point.seq > last:
            findings.append(
                Finding(
                    row=f"audit row {last + 1}", sentence=f"{point.seq - last} rows are gone; {row} saw {point.seq}"
                )
            )
        elif digests.get(point.seq) != point.digest:
            findings.append(
                Finding(row=f"audit row {point.seq}", sentence=f"it was written anew; {row} signed another digest")
            )
    return findings
