"""The stores of a workspace for a server of many threads: SQLite connections belong to one thread each."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from twin.cli.control_room import ControlRoom, open_control_room
from twin.cli.workspace import Workspace

if TYPE_CHECKING:
    from connectors.governance import Principal
    from twin.site import Site


class Rooms:
    """Control rooms of one workspace, one per thread, without connectors unless something is to be undone."""

    def __init__(self, folder: Path) -> None:
        self.workspace = Workspace.at(folder)
        self._here = threading.local()

    @property
    def site(self) -> Site:
        """The site."""
        return self.workspace.site

    def room(self) -> ControlRoom:
        """This thread's control room for reading and deciding; it cannot reach the world."""
        room: ControlRoom | None = getattr(self._here, "room", None)
        if room is None:
            room = open_control_room(self.workspace.folder, connectors={}, site_file=self.workspace.site_file)
            self._here.room = room
        return room

    def world(self) -> ControlRoom:
        """A control room that reaches the world, opened for one command."""
        return open_control_room(self.workspace.folder, site_file=self.workspace.site_file)

    def signed_in(self, user: str) -> Principal:
        """A person whose session has been checked; without key, so that nothing can be signed with it."""
        from connectors.governance import Principal
        from twin.errors import RefusedError

        identity, clock = self.room().identity, self.room().clock
        account = identity.user(user)
        if account is None or account.disabled:
            message = f"user {user} has no account here"
            raise RefusedError(message)
        roles = identity.roles_of(account, clock.now())
        return Principal(name=account.name, person=account.person, roles=roles, service=account.service)
