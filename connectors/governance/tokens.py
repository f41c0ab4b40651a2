"""Tokens: secrets that stand for a person within a scope, stored as hashes; none of them ever approves."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from connectors.governance.accounts import Accounts
from connectors.governance.people import Principal, Role, Token
from twin.errors import BadInputError, RefusedError
from twin.text.canonical import thing_from


class Tokens(Accounts):
    """Accounts with the tokens that belong to them."""

    def issue_token(self, principal: Principal, scopes: Sequence[str], lasting: timedelta) -> str:
        """A new token; it is shown once and stored as a hash."""
        user = self._require_user(principal.name)
        token_id, secret = secrets.token_hex(6), secrets.token_urlsafe(24)
        token = Token(
            id=token_id,
            user=user.name,
            secret_hash=hashlib.sha256(secret.encode()).hexdigest(),
            scopes=tuple(sorted(scopes)),
            expires_at=self._clock.now() + lasting,
            session=user.session,
        )
        with self._store.ledger.transaction(user.name, "token issued", f"token {token_id}", {"scopes": scopes}) as t:
            t.put("token", token_id, token)
        return f"us.{token_id}.{secret}"

    def authenticate_token(self, text: str) -> Principal:
        """The person of a token, within its scopes and without a key: tokens never approve.

        Raises:
            RefusedError: unknown, wrong, expired, revoked, or of an older session.
        """
        parts = text.split(".", 2)
        body = self._store.ledger.get("token", parts[1]) if len(parts) == 3 else None
        token = None if body is None else thing_from(Token, body)
        user = None if token is None else self.user(token.user)
        now = self._clock.now()
        given = hashlib.sha256(parts[-1].encode()).hexdigest()
        if token is None or user is None or not hmac.compare_digest(given, token.secret_hash):
            message = "this token is not known here"
            raise RefusedError(message)
        if token.revoked or token.expires_at <= now or user.disabled or token.session != user.session:
            message = f"this token of {user.name} is no longer valid"
            raise RefusedError(message)
        return Principal(
            name=user.name,
            person=user.person,
            roles=self.roles_of(user, now),
            scopes=frozenset(token.scopes),
            service=user.service,
        )

    def revoke_token(self, token_id: str, by: Principal) -> None:
        """Kills a token of one's own, or any as an admin."""
        body = self._store.ledger.get("token", token_id)
        if body is None:
            message = f"token {token_id!r} does not exist"
            raise BadInputError(message)
        token = thing_from(Token, body)
        if token.user != by.name:
            by.require(Role.ADMIN, scope="manage users")
        with self._store.ledger.transaction(by.name, "token revoked", f"token {token_id}", {}) as t:
            t.put("token", token_id, replace(token, revoked=True))
