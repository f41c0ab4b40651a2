"""Who people are: local accounts with scrypt, roles that count from a moment on, tokens that belong to a person.

Each local account has an Ed25519 key that is stored encrypted with its password. So an approval can only be signed by
somebody who has just given the password; a token, a service account or a copied session cannot approve. Somebody of an
identity provider signs with a key that a fresh sign-in makes for that one signature.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import replace
from datetime import datetime
from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from connectors.governance.people import (
    LEAST_PASSWORD,
    LOCK_OUT,
    MOST_FAILURES,
    FreshSignIn,
    Principal,
    User,
    password_hash,
    sealed,
)
from connectors.governance.tokens import Tokens
from twin.errors import BadInputError, RefusedError
from twin.text.canonical import plain, thing_from


class Identity(Tokens):
    """Accounts and tokens of a workspace, and the proof by password of who somebody is."""

    def authenticate(self, name: str, password: str) -> Principal:
        """Somebody who knows the password; five failures in a row lock the account for a quarter of an hour.

        Raises:
            RefusedError: wrong, unknown, closed or locked; the same words for the first two.
        """
        user, now = self.user(name), self._clock.now()
        if user is None or user.disabled or not user.password_hash:
            password_hash(password, "00" * 16, self._cost)
            self._refuse_login(name)
        if user.locked_until is not None and user.locked_until > now:
            message = f"user {name} is locked until {user.locked_until.isoformat()} after {MOST_FAILURES} failures"
            raise RefusedError(message)
        if not hmac.compare_digest(password_hash(password, user.salt, user.cost), user.password_hash):
            self._count_failure(user, now)
            self._refuse_login(name)
        if user.failures:
            self._save(replace(user, failures=0, locked_until=None), None, "login after failures")
        key = load_pem_private_key(user.private_key.encode(), password.encode())
        return Principal(
            name=name,
            person=user.person,
            roles=self.roles_of(user, now),
            service=user.service,
            key=key if isinstance(key, Ed25519PrivateKey) else None,
        )

    def signed_in_afresh(self, proof: FreshSignIn, key: Ed25519PrivateKey) -> Principal:
        """Somebody whom the identity provider has just seen sign in for one decision, with the key that signs it.

        Args:
            proof: what the provider's ID token proved; it stays in the log.
            key: made for this one signature; only its public half is kept.
        """
        user = self._require_user(proof.user)
        with self._store.ledger.transaction(user.name, "fresh sign-in", proof.plan_id, {"evidence": plain(proof)}) as t:
            t.put("fresh sign-in", proof.public_key, proof)
        roles = self.roles_of(user, self._clock.now())
        return Principal(name=user.name, person=user.person, roles=roles, key=key, one_time_key=proof.public_key)

    def fresh_sign_in(self, public_key: str) -> FreshSignIn | None:
        """The fresh sign-in that made a key, or None."""
        body = self._store.ledger.get("fresh sign-in", public_key)
        return None if body is None else thing_from(FreshSignIn, body)

    def _count_failure(self, user: User, now: datetime) -> None:
        failures = user.failures + 1
        locked = now + LOCK_OUT if failures >= MOST_FAILURES else None
        changed = replace(user, failures=0 if locked else failures, locked_until=locked)
        self._save(changed, None, "login failed" if locked is None else "account locked")

    @staticmethod
    def _refuse_login(name: str) -> NoReturn:
        message = f"{name!r} and this password do not fit; 'understudy user add' makes accounts"
        raise RefusedError(message)

    def change_password(self, name: str, old: str, new: str) -> User:
        """Another password for one's own account; its key is sealed anew, its tokens and sessions die.

        Raises:
            BadInputError: the new password is too short.
            RefusedError: the old one is wrong.
        """
        if len(new) < LEAST_PASSWORD:
            message = f"user {name}: the new password has {len(new)} characters; at least {LEAST_PASSWORD}"
            raise BadInputError(message)
        who = self.authenticate(name, old)
        user = self._require_user(name)
        if who.key is None:
            message = f"user {name}: the account has no key to seal anew; make a new account"
            raise RefusedError(message)
        salt = secrets.token_hex(16)
        changed = replace(
            user,
            salt=salt,
            cost=self._cost,
            password_hash=password_hash(new, salt, self._cost),
            private_key=sealed(who.key, new),
            session=user.session + 1,
        )
        self._save(changed, who, "password changed")
        return changed
