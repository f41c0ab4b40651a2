"""People as the store knows them: roles that count from a moment on, accounts, tokens, and who has just proved it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)

from twin.errors import RefusedError

NAME = re.compile(r"[a-z][a-z0-9._-]{0,39}")
LEAST_PASSWORD = 8
MOST_FAILURES = 5
LOCK_OUT = timedelta(minutes=15)
COOL_OFF = timedelta(hours=24)
"""Roles granted after the first plan count only after this time."""
SCRYPT_COST = 2**14
"""Work factor of a password hash: about 50 ms and 16 MB."""


class Role(StrEnum):
    """What somebody may do."""

    VIEWER = "viewer"
    PROPOSER = "proposer"
    APPROVER = "approver"
    OPERATOR = "operator"
    """Pushes, resumes, closes, and stops."""
    AUDITOR = "auditor"
    ADMIN = "admin"
    """Manages accounts, and nothing else."""


STOPPERS = frozenset({Role.OPERATOR, Role.APPROVER})
"""Anyone of these may pause, roll back and release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Roles that one admin asked for and a second must confirm."""

    roles: tuple[str, ...]
    by: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account."""

    name: str
    person: str
    """Who stands behind it; two accounts of one person are one person."""
    roles: Mapping[str, datetime]
    """Role → from when on it counts."""
    salt: str = ""
    password_hash: str = ""
    cost: int = SCRYPT_COST
    public_key: str = ""
    private_key: str = ""
    """PEM, encrypted with the password."""
    service: bool = False
    disabled: bool = False
    failures: int = 0
    locked_until: datetime | None = None
    session: int = 1
    """Tokens of an older session are dead."""
    waiting: Waiting | None = None
    external: str = ""
    """Issuer and subject at an identity provider; such an account has no password and signs by a fresh sign-in."""

    @property
    def no_password(self) -> str:
        """Why a command that asks for the password is refused to an account of an identity provider, and the way on."""
        return (
            f"{self.name} signs in through the identity provider and has no password here: approve and reject plans in "
            f"the dashboard, which asks for a fresh sign-in there; for anything else that asks for a password, ask an "
            f"admin for a local account with '--person {self.person}'"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A secret that stands for a person within a scope; only its hash is stored."""

    id: str
    user: str
    secret_hash: str
    scopes: tuple[str, ...]
    expires_at: datetime
    session: int
    revoked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshSignIn:
    """That an identity provider saw somebody sign in for one decision on one plan; the ID token itself is not kept."""

    public_key: str
    """Of the key that signs this one decision, in hex; the nonce in the ID token commits to it."""
    user: str
    subject: str
    """Issuer and subject, as the account has them."""
    plan_id: str
    decision: str
    nonce: str
    token_digest: str
    """SHA-256 of the ID token, in hex."""
    auth_time: datetime
    """When the provider saw the person sign in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who has proved who they are, just now."""

    name: str
    person: str
    roles: frozenset[str]
    scopes: frozenset[str] | None = None
    """None: all that the roles allow (a password was given); else the token's scopes."""
    service: bool = False
    key: Ed25519PrivateKey | None = field(default=None, repr=False)
    one_time_key: str = ""
    """Public half of the key when a fresh sign-in made it for one signature; empty: it is the account's own."""

    def require(self, *roles: Role, scope: str) -> None:
        """Nothing when one of the roles is held and the token, if one was used, covers the scope.

        Raises:
            RefusedError: neither.
        """
        if self.scopes is not None and scope not in self.scopes:
            message = (
                f"this token of {self.name} does not cover {scope!r}; its scopes: {', '.join(sorted(self.scopes))}"
            )
            raise RefusedError(message)
        if not self.roles & set(roles):
            message = f"{self.name} may not {scope}: needs the role {' or '.join(sorted(roles))}"
            raise RefusedError(message)


def password_hash(password: str, salt: str, cost: int) -> str:
    """Scrypt of a password, in hex.

    Args:
        password: as it was given.
        salt: 16 random bytes, in hex.
        cost: work factor, a power of two.
    """
    return hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), n=cost, r=8, p=1, maxmem=2**26).hex()


def public_half(key: Ed25519PrivateKey) -> str:
    """The public half of a key, in hex."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def sealed(key: Ed25519PrivateKey, password: str) -> str:
    """A private key as PEM, encrypted with a password."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode())).decode()
