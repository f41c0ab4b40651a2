"""The BACnet/IP connector: reads, watches, commands one slot, and gives it back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from connectors.bacnet.device import DeviceClient, RefusedByDeviceError, SilentDeviceError
from connectors.bacnet.device_time import WorldClock, device_time
from connectors.bacnet.discovery import HIGHEST_INSTANCE, FoundObject, described, discover
from connectors.bacnet.holds import Hold, Holds
from connectors.bacnet.link import BacnetLink
from connectors.bacnet.reading import kind_of, outside, properties_of, reading_of
from connectors.bacnet.settings import BacnetSettings, Finding
from connectors.bacnet.upkeep import Upkeep
from connectors.bacnet.values import COMMANDABLE, encoded
from connectors.bacnet.watch import Watch
from connectors.live_rows import rows_of
from connectors.mapping_proposals import Discovery
from connectors.set_point import OURS, judge, refused
from twin.errors import OutsideWorldError, RefusedError
from twin.plan import Action, Capability, Check, CheckVerdict, PointId, Quality, Reading, Receipt

LONGEST_PASS_S = 60.0


class BacnetConnector:
    """Points of BACnet devices. Commands go into one slot with an expiry; people's slots always win."""

    def __init__(
        self, name: str, settings: BacnetSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.name = name
        self.settings = settings
        held = {Capability.EXPIRY} if settings.heartbeat else set()
        self.capabilities = frozenset({Capability.READ, Capability.WRITE, Capability.RELEASE, *held})
        self._clock = clock if settings.speed == 1.0 else self._told
        self._device_time = datetime.min.replace(tzinfo=UTC)
        self._link = BacnetLink(settings)
        self._clients: dict[str, DeviceClient] = {}
        self._latest: dict[PointId, tuple[Mapping[str, Any], datetime, float]] = {}
        self._holds = Holds(look=self._readings, write=self._command)
        self._watch = Watch(self._link, settings, self._got)
        self._upkeep = Upkeep(settings, self._client, self._holds, self._watch, self._readings)

    def __repr__(self) -> str:
        return f"BacnetConnector({self.name!r}, {len(self.settings.points)} points at {self.settings.bind})"

    def points(self) -> tuple[PointId, ...]:
        """All points."""
        return tuple(self.settings.points)

    def read(self, points: Sequence[PointId]) -> Sequence[Reading]:
        """A fresh look at each point.

        Raises:
            OutsideWorldError: none of the devices asked answers.
        """
        return self._link.call(self._fresh(points), self._limit_s(len(points))) if points else []

    def latest(self, points: Sequence[PointId]) -> Sequence[Reading]:
        """The last known value of each point without asking, with its own time; STALE past ``max_age_s``."""
        return [self._last(point) for point in points]

    def check(self, action: Action) -> Check:
        """Whether the action may be done now, by a fresh look."""
        if action.point not in self.settings.points:
            return refused(f"{action.point}: {self.name} has no such point")
        return self._judge(action, self.read([action.point])[0])

    def apply(self, action: Action) -> Receipt:
        """Writes our slot and holds it until the action's expiry.

        Raises:
            RefusedError: not allowed, or somebody else holds the point.
            OutsideWorldError: the device did not answer, or answered with an error.
        """
        if action.point not in self.settings.points:
            message = f"{action.point}: {self.name} has no such point"
            raise RefusedError(message)
        before = self.read([action.point])[0]
        verdict = self._judge(action, before)
        if verdict.verdict is CheckVerdict.REFUSED:
            raise RefusedError(verdict.reason)
        self._link.call(self._hold(action, self._hold_s(action)), self._limit_s(1))
        point = self.settings.points[action.point]
        return Receipt(
            action_id=action.id,
            connector=self.name,
            kind=action.kind,
            point=action.point,
            value=action.value,
            prior=before.value,
            prior_held_by=before.held_by,
            slot=str(self.settings.priority) if self._slotted(action.point) else None,
            details={"device": point.device, "object": point.object},
        )

    def release(self, receipt: Receipt) -> None:
        """Writes Null into our slot; without slots, the prior value if the point still shows ours."""
        if receipt.point in self.settings.points:
            self._link.call(self._release(receipt), self._limit_s(1))

    def watch(self, points: Iterable[PointId] | None = None) -> None:
        """Subscribes to changes of the points, all those marked ``cov`` when None; see ``latest``."""
        chosen = [name for name, point in self.settings.points.items() if point.cov] if points is None else list(points)
        self._link.call(self._upkeep.watch(chosen), 10.0)

    def findings(self) -> Sequence[Finding]:
        """What was noticed about held commands since the last call."""
        ledger = self._holds.findings
        return [ledger.popleft() for _ in range(len(ledger))]

    def objects(self, low: int = 0, high: int = HIGHEST_INSTANCE, address: str | None = None) -> Sequence[FoundObject]:
        """Objects of the devices that answer Who-Is."""
        self._link.start()
        return self._link.call(discover(self._link, self.settings, low, high, address), 120.0)

    def discover(self) -> Discovery:
        """Objects of the devices of the settings; of all that answer a broadcast where none is named."""
        devices = self.settings.devices.values()
        if not devices:
            return described(self.objects(), self.settings)
        found = (self.objects(device.instance, device.instance, device.address) for device in devices)
        return described([item for objects in found for item in objects], self.settings)

    def fetch(self, since: datetime | None, until: datetime | None) -> pd.DataFrame:  # only now is known
        """One row per readable point, as of now."""
        return rows_of(self.read(list(self.settings.points)))

    def keep(self, actions: Sequence[Action]) -> Sequence[PointId]:
        """Beats the heart for exactly these commands and gives them back at their expiry; those that were lost.

        Who keeps commands by this call says each time which are in force, and writes what was lost by itself.
        """
        return self._link.call(self._keep(actions), self._limit_s(len(actions)))

    def clock_difference_s(self) -> float | None:
        """How far the first device's clock is ahead of ours; None where it tells no time. [s]"""
        if not self.settings.devices:
            return None
        if self.settings.speed != 1.0:
            return 0.0  # its clock is ours
        told = self.device_time()
        return None if told is None else (told - self._clock()).total_seconds()

    def device_time(self) -> datetime | None:
        """The moment by the first device's clock, None where it does not tell.

        Raises:
            OutsideWorldError: no answer.
        """
        name, device = next(iter(self.settings.devices.items()))
        return self._link.call(self._asked_time(name, device.instance), self._limit_s(1))

    def pass_time(self, seconds: float) -> bool:
        """Lets time pass in an emulated world in lock-step; False where its time runs by itself.

        Raises:
            OutsideWorldError: no answer.
        """
        if self.settings.lockstep is None:
            return False
        client = self._client(next(iter(self.settings.devices)))
        until = self._told() + timedelta(seconds=seconds - 0.01)
        self._link.call(client.write(self.settings.lockstep, encoded(seconds, "analog-output"), None), LONGEST_PASS_S)
        end = time.monotonic() + LONGEST_PASS_S
        while (self.device_time() or until) < until:
            if time.monotonic() > end:
                message = f"{self.name}: {seconds:g} s did not pass in the emulated world within {LONGEST_PASS_S:g} s"
                raise OutsideWorldError(message)
            time.sleep(0.002)
        return True

    def world_clock(self) -> WorldClock:
        """The clock of the accelerated world behind this connector."""
        return WorldClock(self, self.settings.speed)

    def tend(self) -> None:
        """One round of looking after held commands now, instead of at the next interval."""
        self._link.call(self._holds.tend(), self._limit_s(len(self._holds.held)))

    def close(self) -> None:
        """Ends subscriptions and closes the socket. Held slots stay until they are released or the controller acts."""
        self._link.close()

    def _limit_s(self, points: int) -> float:
        """The longest that one call may take, whatever devices do."""
        wanted = self.settings
        return (wanted.retries + 2) * wanted.timeout_s * (1 + len(wanted.devices)) + 0.2 * points + 5.0

    def _slotted(self, name: PointId) -> bool:
        return kind_of(self.settings.points[name]) in COMMANDABLE

    def _judge(self, action: Action, before: Reading) -> Check:
        allowance = self.settings.points[action.point].write
        return judge(action, allowance, before, self._clock(), slotted=self._slotted(action.point))

    def _hold_s(self, action: Action) -> float:
        if action.expires_at is None:
            return self.settings.hold_s
        return (action.expires_at - self._clock()).total_seconds() / self.settings.speed

    def _client(self, device: str) -> DeviceClient:
        if device not in self._clients:
            self._clients[device] = DeviceClient(device, self.settings.devices[device], self._link, self.settings)
        return self._clients[device]

    async def _fresh(self, points: Sequence[PointId]) -> list[Reading]:
        readings = await self._readings(points)
        asked = {self.settings.points[point].device for point in points if point in self.settings.points}
        if asked and all(self._client(device).alive is False for device in asked):
            message = f"{self.name}: no answer from {', '.join(sorted(asked))}"
            raise OutsideWorldError(message)
        return readings

    async def _readings(self, points: Sequence[PointId]) -> list[Reading]:
        by_device: dict[str, list[PointId]] = {}
        for name in dict.fromkeys(points):
            if name in self.settings.points:
                by_device.setdefault(self.settings.points[name].device, []).append(name)
        parts = await asyncio.gather(*(self._readings_of(device, names) for device, names in by_device.items()))
        found = {reading.point: reading for part in parts for reading in part}
        missing = self._clock()
        return [found.get(name) or Reading(point=name, value=None, at=missing, quality=Quality.BAD) for name in points]

    async def _readings_of(self, device: str, names: Sequence[PointId]) -> list[Reading]:
        known = self.settings.points
        try:
            rows = await self._client(device).read([(known[name].object, properties_of(known[name])) for name in names])
            if self.settings.speed != 1.0:
                await self._asked_time(device, self.settings.devices[device].instance)
        except (SilentDeviceError, RefusedByDeviceError):
            return []
        at = self._clock()
        for name, row in zip(names, rows, strict=True):
            self._got(name, row)
        priority = self.settings.priority
        return [reading_of(name, known[name], row, priority, at) for name, row in zip(names, rows, strict=True)]

    def _got(self, name: PointId, found: Mapping[str, Any]) -> None:
        before = self._latest.get(name)
        if "present-value" in found or before is None:
            self._latest[name] = ({**(before[0] if before else {}), **found}, self._clock(), time.monotonic())
        else:
            self._latest[name] = ({**before[0], **found}, before[1], before[2])

    def _last(self, name: PointId) -> Reading:
        if name not in self._latest:
            return Reading(point=name, value=None, at=self._clock(), quality=Quality.BAD)
        found, at, when = self._latest[name]
        reading = reading_of(name, self.settings.points[name], found, self.settings.priority, at)
        if reading.quality is Quality.GOOD and time.monotonic() - when > self.settings.max_age_s:
            return Reading(point=name, value=reading.value, at=at, quality=Quality.STALE, held_by=reading.held_by)
        return reading

    async def _command(self, name: PointId, value: float | None) -> None:
        point = self.settings.points[name]
        raw = None if value is None else outside(point, value)
        priority = self.settings.priority if self._slotted(name) else None
        await self._client(point.device).write(point.object, encoded(raw, kind_of(point)), priority)

    async def _hold(self, action: Action, seconds: float) -> None:
        value = float(action.value)
        await self._command(action.point, value)
        if self._slotted(action.point):
            self._holds.held[action.point] = self._held(action, value, seconds)
            self._upkeep.start_for(action.point)

    async def _keep(self, actions: Sequence[Action]) -> list[PointId]:
        wanted = {action.point: action for action in actions if self._is_slotted_point(action.point)}
        self._holds.follow(
            [self._held(action, float(action.value), self._hold_s(action)) for action in wanted.values()]
        )
        for point in wanted:
            self._upkeep.start_for(point)
        shown = await self._readings(list(wanted))
        return [r.point for r in shown if r.value is not None and r.own_value is None and r.held_by in {None, OURS}]

    def _is_slotted_point(self, name: PointId) -> bool:
        return name in self.settings.points and self._slotted(name)

    @staticmethod
    def _held(action: Action, value: float, seconds: float) -> Hold:
        return Hold(action_id=action.id, point=action.point, value=value, until=time.monotonic() + seconds)

    async def _asked_time(self, device: str, instance: int) -> datetime | None:
        told = await device_time(self._client(device), instance)
        if told is not None:
            self._device_time = told
        return told

    def _told(self) -> datetime:
        """What the device last said of its time."""
        return self._device_time

    async def _release(self, receipt: Receipt) -> None:
        hold = self._holds.held.get(receipt.point)
        if hold is not None and hold.action_id != receipt.action_id:
            return
        self._holds.held.pop(receipt.point, None)
        if self._slotted(receipt.point):
            await self._command(receipt.point, None)
            await self._upkeep.still()
            return
        shown = (await self._readings([receipt.point]))[0].value
        if isinstance(shown, float) and abs(shown - float(receipt.value)) < 1e-3 and isinstance(receipt.prior, float):
            await self._command(receipt.point, receipt.prior)
