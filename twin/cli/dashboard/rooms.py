"""The stores of a workspace for a server of many threads: SQLite connections belong to one thread each."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from twin.cli.control_room import ControlRoom, open_control_room
from twin.cli.workspace import Workspace
from twin.ports import Clock, Connector

if TYPE_CHECKING:
    from connectors.change_control import PushSettings
    from connectors.governance import Principal
    from twin.site import Site


class OwnWorld(Clock, Protocol):
    """A site that lives in this process: its connectors, and its time as the clock."""

    connectors: dict[str, Connector]

    def settings(self) -> PushSettings:
        """How patient a push into it is."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Meanwhile its time passes only by waiting."""
        ...


class Rooms:
    """Control rooms of one workspace, one per thread, without connectors unless something is to be undone."""

    def __init__(self, folder: Path, own: OwnWorld | None = None) -> None:
        """Opens the workspace.

        Args:
            folder: the workspace.
            own: the site that it speaks of, where that lives in this process; None: as the site file says.
        """
        from connectors.change_control import SystemClock

        self.workspace = Workspace.at(folder)
        self.clock: Clock = own or SystemClock()
        self._own = own
        self._here = threading.local()

    @property
    def site(self) -> Site:
        """The site."""
        return self.workspace.site

    def room(self) -> ControlRoom:
        """This thread's control room for reading and deciding; it cannot reach the world."""
        room: ControlRoom | None = getattr(self._here, "room", None)
        if room is None:
            room = self._open({})
            self._here.room = room
        return room

    def world(self) -> ControlRoom:
        """A control room that reaches the world, opened for one command."""
        return self._open(None if self._own is None else self._own.connectors)

    def held(self) -> AbstractContextManager[None]:
        """While a push is at work: a site in this process lets time pass only by its waits; any other takes no note."""
        return nullcontext() if self._own is None else self._own.held()

    def _open(self, connectors: Mapping[str, Connector] | None) -> ControlRoom:
        return open_control_room(
            self.workspace.folder,
            clock=self.clock,
            connectors=connectors,
            settings=None if self._own is None else self._own.settings(),
            site_file=self.workspace.site_file,
        )

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
