"""Background work of the BACnet connector: tending held commands, the heartbeat, and noticing that a device is back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from connectors.bacnet.device import DeviceClient
from connectors.bacnet.holds import Holds, Look
from connectors.bacnet.settings import BacnetSettings, Heartbeat
from connectors.bacnet.values import encoded, number
from connectors.bacnet.watch import Watch
from twin.errors import OutsideWorldError

SHORTEST_ROUND_S = 0.2


class Upkeep:
    """Tasks that run in the link's loop while there is something to look after."""

    def __init__(
        self, settings: BacnetSettings, client: Callable[[str], DeviceClient], holds: Holds, watch: Watch, look: Look
    ) -> None:
        self._look = look
        self._settings = settings
        self._client = client
        self._holds = holds
        self._watch = watch
        self._chores: dict[str, asyncio.Task[None]] = {}

    def start_for(self, point: str) -> None:
        """Begins to look after a command that was just written."""
        device = self._settings.points[point].device
        self._chore("tend", self._tending())
        self._chore(f"probe {device}", self._probing(device))
        if self._settings.heartbeat:
            self._chore("heartbeat", self._beating(self._settings.heartbeat))

    async def watch(self, names: Sequence[str]) -> None:
        """Reads the points all at once, subscribes to one after the other, and probes their devices from now on."""
        await self._look(list(names))
        for name in names:
            self._subscribe(name)
            device = self._settings.points[name].device
            self._chore(f"probe {device}", self._probing(device))

    def _subscribe(self, name: str) -> None:
        point = self._settings.points[name]
        self._watch.start(name, point, self._client(point.device))

    def _chore(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Runs a background task of that name unless one runs already."""
        running = self._chores.get(name)
        if running is not None and not running.done():
            work.close()
            return
        self._chores[name] = asyncio.get_running_loop().create_task(work)

    async def _tending(self) -> None:
        while self._holds.held:
            until_expiry_s = self._holds.next_expiry_s() + 0.05
            await asyncio.sleep(max(SHORTEST_ROUND_S, min(self._settings.reconcile_s, until_expiry_s)))
            with contextlib.suppress(OutsideWorldError):
                await self._holds.tend()

    async def _beating(self, beat: Heartbeat) -> None:
        """Toggles the heartbeat while commands are held, then gives it back too."""
        client = self._client(beat.device)
        kind = beat.object.partition(",")[0]
        while self._holds.held:
            with contextlib.suppress(OutsideWorldError):
                now = number(await client.read_property(beat.object, "present-value")) or 0.0
                await client.write(beat.object, encoded(0.0 if now else 1.0, kind), self._settings.priority)
            await asyncio.sleep(beat.every_s)
        await self.still()

    async def still(self) -> None:
        """Gives the heartbeat back when nothing is held, whichever process of ours it was that beat."""
        beat = self._settings.heartbeat
        if beat is None or self._holds.held:
            return
        with contextlib.suppress(OutsideWorldError):
            nothing = encoded(None, beat.object.partition(",")[0])
            await self._client(beat.device).write(beat.object, nothing, self._settings.priority)

    async def _probing(self, device: str) -> None:
        """Notices when a device comes back, renews its subscriptions and looks after its held slots at once."""
        client = self._client(device)
        mine = {name for name, point in self._settings.points.items() if point.device == device}
        while True:
            await asyncio.sleep(self._settings.probe_s)
            with contextlib.suppress(OutsideWorldError):
                await client.probe()
            if client.returned.is_set():
                client.returned.clear()
                await self.watch(self._watch.drop(mine))
                with contextlib.suppress(OutsideWorldError):
                    await self._holds.tend()
