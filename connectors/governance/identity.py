"""Who people are: local accounts with scrypt, roles that count from a moment on, tokens that belong to a person.

Each account has an Ed25519 key that is stored encrypted with its password. So an approval can only be signed by
somebody who has just given the password; a token, a service account or a copied session cannot approve.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from connectors.plan_store import PlanStore
from twin.errors import BadInputError, RefusedError
from twin.ports import Clock
from twin.text.canonical import thing_from

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
    """Issuer and subject at an identity provider; such an account has no password and so signs nothing."""


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
class Principal:
    """Somebody who has proved who they are, just now."""

    name: str
    person: str
    roles: frozenset[str]
    scopes: frozenset[str] | None = None
    """None: all that the roles allow (a password was given); else the token's scopes."""
    service: bool = False
    key: Ed25519PrivateKey | None = field(default=None, repr=False)

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


def _hash(password: str, salt: str, cost: int) -> str:
    return hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), n=cost, r=8, p=1, maxmem=2**26).hex()


class Identity:
    """Accounts and tokens of a workspace, kept in the plan store so that each change has its audit row."""

    def __init__(self, store: PlanStore, clock: Clock, *, cost: int = SCRYPT_COST) -> None:
        self._store = store
        self._clock = clock
        self._cost = cost

    # ---- accounts ----------------------------------------------------------------------------------------------

    def users(self) -> Sequence[User]:
        """All accounts by name."""
        return [thing_from(User, body) for body in self._store.ledger.all("user")]

    def user(self, name: str) -> User | None:
        """An account, or None."""
        body = self._store.ledger.get("user", name)
        return None if body is None else thing_from(User, body)

    def add(
        self,
        name: str,
        password: str,
        roles: Sequence[Role],
        *,
        person: str = "",
        service: bool = False,
        by: Principal | None = None,
    ) -> User:
        """Makes an account.

        As long as the workspace has no admin, anyone at its console may add accounts; later it takes an admin.

        Raises:
            BadInputError: the name, password or roles do not do.
            RefusedError: the account exists, or only an admin may add one.
        """
        if not NAME.fullmatch(name):
            message = f"user {name!r}: a name has 1 to 40 of a-z 0-9 . _ - and begins with a letter"
            raise BadInputError(message)
        if len(password) < LEAST_PASSWORD:
            message = f"user {name}: the password has {len(password)} characters; at least {LEAST_PASSWORD}"
            raise BadInputError(message)
        self._require_admin(by)
        if self.user(name) is not None:
            message = f"user {name} exists; 'understudy user roles' changes roles"
            raise RefusedError(message)
        wanted = {str(role) for role in roles}
        waits = by is not None and self._needs_second(wanted)
        waiting = Waiting(roles=tuple(sorted(wanted)), by=by.name, person=by.person) if waits and by else None
        salt, key = secrets.token_hex(16), Ed25519PrivateKey.generate()
        sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))
        user = User(
            name=name,
            person=person or name,
            roles=self._from_when([] if waits else roles, {}),
            waiting=waiting,
            salt=salt,
            password_hash=_hash(password, salt, self._cost),
            cost=self._cost,
            public_key=key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex(),
            private_key=sealed.decode(),
            service=service,
        )
        self._save(user, by, "user added")
        return user

    def vouched_for(self, subject: str, name: str, roles: Sequence[Role]) -> User:
        """The account of somebody whom an identity provider vouches for, with the roles that it gives them.

        New roles count after a day of cooling off once there are plans; roles that the provider takes back end at once.

        Raises:
            RefusedError: the name is no account name, or belongs to another account.
        """
        known = next((user for user in self.users() if user.external == subject), None)
        if known is None:
            if not NAME.fullmatch(name) or self.user(name) is not None:
                message = (
                    f"{name!r} from the identity provider is no name for an account here, or another account has it"
                )
                raise RefusedError(message)
            user = User(name=name, person=name, roles=self._from_when(roles, {}), external=subject)
            self._save(user, None, "user added by identity provider")
            return user
        if set(known.roles) == {str(role) for role in roles}:
            return known
        changed = replace(known, roles=self._from_when(roles, known.roles))
        self._save(changed, None, "roles changed by identity provider")
        return changed

    def _from_when(self, roles: Sequence[Role], before: Mapping[str, datetime]) -> dict[str, datetime]:
        now = self._clock.now()
        start = now + COOL_OFF if self._store.records() else now
        return {str(role): before.get(str(role), start) for role in sorted(roles)}

    def _require_admin(self, by: Principal | None) -> None:
        if not any(Role.ADMIN in user.roles and not user.disabled for user in self.users()):
            return
        if by is None:
            message = "this workspace has an admin; say who you are with --as NAME"
            raise RefusedError(message)
        by.require(Role.ADMIN, scope="manage users")

    def set_roles(self, name: str, roles: Sequence[Role], by: Principal) -> User:
        """Changes the roles of another person; new ones count after a day of cooling off.

        Raises:
            RefusedError: not an admin, or one's own account.
        """
        by.require(Role.ADMIN, scope="manage users")
        user = self._require_user(name)
        if by.person == user.person:
            message = f"{by.name} may not change the roles of {name}: nobody changes their own; ask another admin"
            raise RefusedError(message)
        new = {str(role) for role in roles} - set(user.roles)
        if new and self._needs_second(new):
            kept = [role for role in roles if str(role) in user.roles]
            waiting = Waiting(roles=tuple(sorted(str(role) for role in roles)), by=by.name, person=by.person)
            changed = replace(user, roles=self._from_when(kept, user.roles), waiting=waiting)
            self._save(changed, by, "roles asked for")
            return changed
        changed = replace(user, roles=self._from_when(roles, user.roles), waiting=None)
        self._save(changed, by, "roles changed")
        return changed

    def confirm_roles(self, name: str, by: Principal) -> User:
        """A second admin's word on roles that another asked for; they count after a day of cooling off.

        Raises:
            RefusedError: nothing waits, or the same person asked, or it is one's own account.
        """
        by.require(Role.ADMIN, scope="manage users")
        user = self._require_user(name)
        if user.waiting is None:
            message = f"user {name}: no change of roles waits for a second admin"
            raise RefusedError(message)
        if by.person in {user.person, user.waiting.person}:
            message = (
                f"{by.name} may not confirm the roles of {name}: {user.waiting.by} asked for them; another admin must"
            )
            raise RefusedError(message)
        roles = [Role(role) for role in user.waiting.roles]
        changed = replace(user, roles=self._from_when(roles, user.roles), waiting=None)
        self._save(changed, by, "roles confirmed")
        return changed

    def _needs_second(self, new: set[str]) -> bool:
        """Whether new roles wait for a second admin: always after the first plan, but for the second admin himself."""
        if not self._store.records():
            return False
        admins = {user.person for user in self.users() if Role.ADMIN in user.roles and not user.disabled}
        return len(admins) > 1 or new != {str(Role.ADMIN)}

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
        sealed = who.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(new.encode()))
        changed = replace(
            user,
            salt=salt,
            cost=self._cost,
            password_hash=_hash(new, salt, self._cost),
            private_key=sealed.decode(),
            session=user.session + 1,
        )
        self._save(changed, who, "password changed")
        return changed

    def disable(self, name: str, by: Principal) -> User:
        """Closes an account; its tokens die and its approvals no longer count."""
        by.require(Role.ADMIN, scope="manage users")
        user = self._require_user(name)
        changed = replace(user, disabled=True, session=user.session + 1)
        self._save(changed, by, "user disabled")
        return changed

    def _require_user(self, name: str) -> User:
        user = self.user(name)
        if user is None:
            message = f"user {name!r} does not exist; 'understudy user list' shows who does"
            raise BadInputError(message)
        return user

    def _save(self, user: User, by: Principal | None, event: str) -> None:
        actor = by.name if by is not None else "console"
        evidence = {
            "roles": user.roles,
            "waiting": user.waiting.roles if user.waiting else (),
            "person": user.person,
            "service": user.service,
            "disabled": user.disabled,
        }
        with self._store.ledger.transaction(actor, event, f"user {user.name}", evidence) as t:
            t.put("user", user.name, user)

    def roles_of(self, user: User | None, now: datetime) -> frozenset[str]:
        """Roles that count at a moment; none for a closed or unknown account."""
        if user is None or user.disabled:
            return frozenset()
        return frozenset(role for role, start in user.roles.items() if start <= now)

    def person_of(self, name: str) -> str:
        """Who stands behind a name; the name itself when no account has it."""
        user = self.user(name)
        return name if user is None else user.person

    # ---- proof of who one is -----------------------------------------------------------------------------------

    def authenticate(self, name: str, password: str) -> Principal:
        """Somebody who knows the password; five failures in a row lock the account for a quarter of an hour.

        Raises:
            RefusedError: wrong, unknown, closed or locked; the same words for the first two.
        """
        user, now = self.user(name), self._clock.now()
        if user is None or user.disabled or not user.password_hash:
            _hash(password, "00" * 16, self._cost)
            self._refuse_login(name)
        if user.locked_until is not None and user.locked_until > now:
            message = f"user {name} is locked until {user.locked_until.isoformat()} after {MOST_FAILURES} failures"
            raise RefusedError(message)
        if not hmac.compare_digest(_hash(password, user.salt, user.cost), user.password_hash):
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

    def _count_failure(self, user: User, now: datetime) -> None:
        failures = user.failures + 1
        locked = now + LOCK_OUT if failures >= MOST_FAILURES else None
        changed = replace(user, failures=0 if locked else failures, locked_until=locked)
        self._save(changed, None, "login failed" if locked is None else "account locked")

    @staticmethod
    def _refuse_login(name: str) -> NoReturn:
        message = f"{name!r} and this password do not fit; 'understudy user add' makes accounts"
        raise RefusedError(message)

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
