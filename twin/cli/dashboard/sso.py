"""People of an identity provider as accounts of the workspace."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from twin.errors import RefusedError

if TYPE_CHECKING:
    from connectors.governance.oidc import Provider
    from dashboard.views import Person
    from twin.cli.dashboard.plans import StoredIdentity
    from twin.cli.dashboard.rooms import Rooms


class StoredSignOn:
    """Signs people in whom the provider vouches for; their account follows what it says of them."""

    def __init__(self, rooms: Rooms, identity: StoredIdentity, provider: Provider) -> None:
        self._rooms = rooms
        self._identity = identity
        self._provider = provider
        self.label = provider.settings.label

    def begin(self, after: str, now: datetime) -> tuple[str, str]:
        """Where the browser goes, and the state that must come back with it."""
        return self._provider.begin(after, now)

    def finish(self, answer: Mapping[str, str], state: str, now: datetime) -> tuple[Person, str]:
        """Who came back, and where they wanted to go."""
        room = self._rooms.room()
        try:
            who, after = self._provider.finish(answer, state, now)
            account = room.identity.vouched_for(who.subject, who.name, sorted(who.roles))
        except RefusedError as refusal:
            room.store.note("sign-in", "single sign-on refused", "sign-in", {"why": str(refusal)})
            raise
        person = self._identity.person(account.name)
        if person is None:
            message = f"the account {account.name} is closed"
            raise RefusedError(message)
        return person, after
