"""Accounts and their roles: who may add or change them, and from when on a role counts."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.governance.people import (
    COOL_OFF,
    LEAST_PASSWORD,
    NAME,
    SCRYPT_COST,
    Principal,
    Role,
    User,
    Waiting,
    password_hash,
    public_half,
    sealed,
)
from connectors.plan_store import PlanStore
from twin.errors import BadInputError, RefusedError
from twin.ports import Clock
from twin.text.canonical import thing_from


class Accounts:
    """Accounts of a workspace, kept in the plan store so that each change has its audit row."""

    def __init__(self, store: PlanStore, clock: Clock, *, cost: int = SCRYPT_COST) -> None:
        self._store = store
        self._clock = clock
        self._cost = cost

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
        user = User(
            name=name,
            person=person or name,
            roles=self._from_when([] if waits else roles, {}),
            waiting=waiting,
            salt=salt,
            password_hash=password_hash(password, salt, self._cost),
            cost=self._cost,
            public_key=public_half(key),
            private_key=sealed(key, password),
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
