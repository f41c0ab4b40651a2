"""The libvirt connector: what runs where as readings; moves, sizes and power states of guests as actions.

Points: ``host/NAME/state|cpus|memory_bytes|free_bytes`` and ``vm/NAME/host|state|vcpus|memory_bytes|cpu_time_s|
cpu_utilization|block_read_bytes|block_write_bytes|net_rx_bytes|net_tx_bytes``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import pandas as pd

from connectors.libvirt_hosts import lifecycle
from connectors.libvirt_hosts.events import Heard, Watch
from connectors.libvirt_hosts.link import HostError, HostLink
from connectors.libvirt_hosts.look import Guest, GuestState, Picture, look_at_all
from connectors.libvirt_hosts.mover import Move, Mover
from connectors.libvirt_hosts.moving import Outcome, objections
from connectors.libvirt_hosts.placement import placement_of
from connectors.libvirt_hosts.settings import LibvirtSettings
from connectors.live_rows import rows_of
from connectors.set_point import refused
from twin.compute.live import LivePlacement
from twin.errors import OutsideWorldError, RefusedError
from twin.plan import Action, ActionKind, Capability, Check, CheckVerdict, PointId, Quality, Reading, Receipt, Value

_FIELD_OF: Mapping[ActionKind, tuple[str, ...]] = {
    ActionKind.LIVE_MIGRATE: ("host",),
    ActionKind.RESIZE_VM: ("vcpus", "memory_bytes"),
    ActionKind.START_VM: ("state",),
    ActionKind.SHUT_DOWN_VM: ("state",),
}
_READY = Check(verdict=CheckVerdict.READY)
_DONE = Check(verdict=CheckVerdict.ALREADY_DONE)


class LibvirtConnector:
    """Hosts and guests behind libvirt. Acts only on the guests that the settings list."""

    capabilities = frozenset({Capability.READ, Capability.WRITE, Capability.MIGRATE, Capability.POWER})

    def __init__(
        self,
        name: str,
        settings: LibvirtSettings,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        fenced: Callable[[str], bool] = lambda host: False,  # without a power meter nothing is fenced
    ) -> None:
        self.name = name
        self.settings = settings
        self._clock = clock
        self.fenced = fenced
        self._links = {
            host: HostLink(
                host,
                facts,
                timeout_s=settings.timeout_s,
                keepalive_s=settings.keepalive_s,
                keepalive_count=settings.keepalive_count,
            )
            for host, facts in settings.hosts.items()
        }
        self._mover = Mover(self._links, settings.rules)
        self._cpu_before: dict[str, tuple[float, float]] = {}

    def __repr__(self) -> str:
        return f"LibvirtConnector({self.name!r}, hosts {', '.join(self._links)})"

    def look(self) -> Picture:
        """All hosts now.

        Raises:
            OutsideWorldError: none answers.
        """
        found = look_at_all(self._links.values())
        picture = Picture(found)
        if not picture.views:
            said = "; ".join(str(error) for error in found.values())
            message = f"{self.name}: none of the hosts {', '.join(self._links)} answers: {said}"
            raise OutsideWorldError(message)
        return picture

    def live_placement(self) -> LivePlacement:
        """Where guests stand now and which of them may move, for the planner; a silent host is named, not an error."""
        return placement_of(Picture(look_at_all(self._links.values())), self._links, self.settings)

    def listen(self, heard: Heard) -> Watch:
        """Has every change that a host tells of said at once, until the watch is closed."""
        return Watch(self._links.values(), heard, timeout_s=self.settings.timeout_s)

    def points(self) -> tuple[PointId, ...]:
        """The state of each host, and place, state and size of each guest that we may act on."""
        hosts = [f"host/{host}/{field}" for host in self._links for field in ("state", "free_bytes")]
        fields = ("host", "state", "vcpus", "memory_bytes")
        return (*hosts, *(f"vm/{guest}/{field}" for guest in self.settings.guests for field in fields))

    def read(self, points: Sequence[PointId]) -> Sequence[Reading]:
        """A fresh look at each point.

        Raises:
            OutsideWorldError: no host answers.
        """
        if not points:
            return []
        picture = self.look()
        at = self._clock()
        return [self._reading(point, picture, at) for point in points]

    def _reading(self, point: PointId, picture: Picture, at: datetime) -> Reading:
        value = self._value(point, picture)
        return Reading(point=point, value=value, at=at, quality=Quality.BAD if value is None else Quality.GOOD)

    def _value(self, point: PointId, picture: Picture) -> Value | None:
        kind, _, rest = point.partition("/")
        name, _, field = rest.rpartition("/")
        if kind == "host":
            return _host_value(name, field, picture)
        guest = picture.named(name) if kind == "vm" else None
        if guest is None or (not guest.active and picture.silent):
            return None  # an inactive copy proves nothing while some host cannot be asked
        if guest.uuid in picture.doubled:
            return None  # two copies run: whatever one shows is not the truth about the guest
        if field == "cpu_utilization":
            return self._utilization(guest)
        return _guest_value(guest, field)

    def _utilization(self, guest: Guest) -> float | None:
        """CPU time since the last look, as a share of the guest's vCPUs; None at the first look."""
        now, used_s = time.monotonic(), guest.counters["cpu_time_s"]
        before = self._cpu_before.get(guest.uuid)
        self._cpu_before[guest.uuid] = (now, used_s)
        if before is None or used_s < before[1] or now <= before[0]:
            return None
        return (used_s - before[1]) / (now - before[0]) / max(1, guest.vcpus)

    def fetch(self, since: datetime | None, until: datetime | None) -> pd.DataFrame:  # only now is known
        """One row per numeric figure of every host and guest, as of now."""
        picture = self.look()
        at = self._clock()
        fields = ("vcpus", "memory_bytes", "cpu_utilization", *_COUNTERS)
        points = [f"host/{host}/{field}" for host in picture.views for field in ("cpus", "memory_bytes", "free_bytes")]
        points += [f"vm/{guest.name}/{field}" for guest in picture.guests.values() for field in fields]
        return rows_of(self._reading(point, picture, at) for point in points)

    def check(self, action: Action) -> Check:
        """Whether the action may be done now, by a fresh look at the hosts concerned."""
        fault, guest, picture = self._locate(action)
        if fault or guest is None:
            return refused(f"{action.point}: {fault}")
        try:
            verdict = _VERDICTS[action.kind](self, action, guest, picture)
        except HostError as error:
            return refused(f"{action.point}: {error}")
        return verdict if not verdict.reason else refused(f"{action.point}: {verdict.reason}")

    def _locate(self, action: Action) -> tuple[str, Guest | None, Picture]:
        picture = self.look()
        kind, _, rest = action.point.partition("/")
        name, _, field = rest.rpartition("/")
        if action.kind not in _FIELD_OF or kind != "vm" or field not in _FIELD_OF[action.kind]:
            return f"cannot do {action.kind}", None, picture
        if name not in self.settings.guests:
            return f"{name} is not under 'guests' of {self.name}, so it is not touched", None, picture
        guest = picture.named(name)
        if guest is None:
            return _not_one(name, picture), None, picture
        if hosts := picture.doubled.get(guest.uuid):
            return (
                f"two copies of it are alive, at {' and '.join(hosts)}; push again or roll back to end that",
                None,
                picture,
            )
        if not guest.active and picture.silent:
            silent = [host for host in picture.silent if not self.fenced(host)]
            if silent:
                return f"{', '.join(silent)} cannot be asked and may run it; fence it first", None, picture
        return "", guest, picture

    def _check_move(self, action: Action, guest: Guest, picture: Picture) -> Check:
        target = str(action.value)
        if target not in self._links:
            return refused(f"{target!r} is none of the hosts {', '.join(self._links)}")
        if guest.host == target:
            return _DONE if guest.state is GuestState.RUNNING else refused(f"it is {guest.state} at {target}")
        if target in picture.silent:
            return refused(f"{target} cannot be asked")
        reasons = objections(self._mover.facts(guest, target))
        return refused("; ".join(reasons)) if reasons else _READY

    def _check_size(self, action: Action, guest: Guest, picture: Picture) -> Check:  # as its siblings
        field = action.point.rpartition("/")[2]
        most = self._most_vcpus(guest) if field == "vcpus" else guest.memory_max_bytes
        if isinstance(action.value, str) or not 0 < action.value <= most:
            return refused(f"{action.value!r} is not within 0 and the guest's maximum {most:g}")
        if guest.state is not GuestState.RUNNING:
            return refused(f"it is {guest.state}, not running")
        if _guest_value(guest, field) == action.value:
            return _DONE
        if field == "memory_bytes":
            fault = lifecycle.memory_fault(self._links[guest.host], guest.uuid, float(action.value))
            return refused(fault) if fault else _READY
        return _READY

    def _most_vcpus(self, guest: Guest) -> float:
        link = self._links[guest.host]
        return float(link.call(lambda connection: connection.lookupByUUIDString(guest.uuid).maxVcpus()))

    def _check_start(self, action: Action, guest: Guest, picture: Picture) -> Check:  # as its siblings
        if action.value != GuestState.RUNNING:
            return refused(f"a start leads to {GuestState.RUNNING}, not to {action.value!r}")
        if guest.active:
            return _DONE if guest.state is GuestState.RUNNING else refused(f"it is {guest.state}")
        return _READY

    def _check_shut_down(self, action: Action, guest: Guest, picture: Picture) -> Check:  # as siblings
        if action.value not in {GuestState.SHUT_OFF, GuestState.SAVED}:
            return refused(f"a shutdown leads to {GuestState.SHUT_OFF} or {GuestState.SAVED}, not to {action.value!r}")
        if not guest.active:
            return _DONE
        return _READY if guest.state is GuestState.RUNNING else refused(f"it is {guest.state}")

    def apply(self, action: Action) -> Receipt:
        """Does the action and waits for its end; idempotent by the guest's UUID.

        Raises:
            RefusedError: not allowed, or a fact of the hosts is against it; nothing was done.
            OutsideWorldError: it ended otherwise than wanted; the message says what both hosts show.
        """
        self.settle(action)
        verdict = self.check(action)
        if verdict.verdict is CheckVerdict.REFUSED:
            raise RefusedError(verdict.reason)
        guest = self._locate(action)[1]
        if guest is None:
            message = f"{action.point}: the guest was there a moment ago and is gone"
            raise OutsideWorldError(message)
        receipt = self._receipt(action, guest)
        if verdict.verdict is CheckVerdict.READY:
            self._act(action, guest)
        return receipt

    def settle(self, action: Action) -> str:
        """Ends what a broken move left, so that the guest can be read again; what was done, empty when nothing was.

        Of two running copies the one that went on later is halted, then destroyed once the other is seen to run; where
        the order is not proved it is only halted.

        Raises:
            OutsideWorldError: no host answers.
        """
        name = action.point.partition("/")[2].rpartition("/")[0]
        picture = self.look()
        guest = picture.named(name) if name in self.settings.guests else None
        hosts = picture.doubled.get(guest.uuid) if guest is not None else None
        return self._mover.mend(guest.uuid, hosts) if guest is not None and hosts else ""

    def _receipt(self, action: Action, guest: Guest) -> Receipt:
        return Receipt(
            action_id=action.id,
            connector=self.name,
            kind=action.kind,
            point=action.point,
            value=action.value,
            prior=_guest_value(guest, action.point.rpartition("/")[2]),
            prior_held_by=None,
            details={"uuid": guest.uuid, "host": guest.host},
        )

    def _act(self, action: Action, guest: Guest) -> None:
        link, limit_s = self._links[guest.host], self.settings.shutdown_s
        if action.kind is ActionKind.LIVE_MIGRATE:
            move = self.move(guest, str(action.value))
            if move.outcome is not Outcome.ARRIVED:
                raise OutsideWorldError(str(move))
        elif action.kind is ActionKind.RESIZE_VM and action.point.endswith("/vcpus"):
            lifecycle.resize_vcpus(link, guest.uuid, int(action.value), self.settings.timeout_s)
        elif action.kind is ActionKind.RESIZE_VM:
            lifecycle.resize_memory(link, guest.uuid, float(action.value), self.settings.timeout_s)
        elif action.kind is ActionKind.START_VM:
            lifecycle.start(link, guest.uuid, self.settings.timeout_s)
        elif action.value == GuestState.SAVED:
            lifecycle.save(link, guest.uuid, limit_s)
        else:
            lifecycle.shut_down(link, guest.uuid, limit_s, self.settings.stubborn)

    def move(self, guest: Guest, target: str) -> Move:
        """Moves a guest, or adopts the very move if it is under way, and says how it ended."""
        facts = self._mover.facts(guest, target)
        return self._mover.move(guest, target, adopt=facts.adoptable)

    def release(self, receipt: Receipt) -> None:
        """Undoes what the receipt tells, if the guest still is as we left it.

        Raises:
            RefusedError: the way back is not allowed now.
            OutsideWorldError: the way back ended elsewhere.
        """
        inverse = _INVERSE.get(receipt.kind)
        if receipt.prior is None or inverse is None or receipt.prior == receipt.value:
            return
        shown = self.read([receipt.point])[0].value
        if shown != receipt.value:
            return
        self.apply(
            Action(
                id=f"undo {receipt.action_id}",
                kind=inverse,
                connector=self.name,
                point=receipt.point,
                value=receipt.prior,
                expected=receipt.value,
            )
        )

    def close(self) -> None:
        """Forgets the connections; running jobs go on."""
        for link in self._links.values():
            link.close()


_COUNTERS = ("cpu_time_s", "block_read_bytes", "block_write_bytes", "net_rx_bytes", "net_tx_bytes")
_INVERSE: Mapping[ActionKind, ActionKind] = {
    ActionKind.LIVE_MIGRATE: ActionKind.LIVE_MIGRATE,
    ActionKind.RESIZE_VM: ActionKind.RESIZE_VM,
    ActionKind.START_VM: ActionKind.SHUT_DOWN_VM,
    ActionKind.SHUT_DOWN_VM: ActionKind.START_VM,
}
_VERDICTS: Mapping[ActionKind, Callable[[LibvirtConnector, Action, Guest, Picture], Check]] = {
    ActionKind.LIVE_MIGRATE: LibvirtConnector._check_move,  # its own table
    ActionKind.RESIZE_VM: LibvirtConnector._check_size,
    ActionKind.START_VM: LibvirtConnector._check_start,
    ActionKind.SHUT_DOWN_VM: LibvirtConnector._check_shut_down,
}


def _not_one(name: str, picture: Picture) -> str:
    if found := picture.all_named(name):
        hosts = " and ".join(sorted(guest.host for guest in found))
        return f"{len(found)} guests of that name are found, at {hosts}; give each a name of its own"
    return f"no guest of that name is found on {', '.join(picture.views)}"


def _host_value(name: str, field: str, picture: Picture) -> Value | None:
    view = picture.views.get(name)
    if field == "state":
        return "up" if view else ("silent" if name in picture.silent else None)
    if view is None:
        return None
    values = {"cpus": float(view.cpus), "memory_bytes": view.memory_bytes, "free_bytes": view.free_bytes}
    return values.get(field)


def _guest_value(guest: Guest, field: str) -> Value | None:
    if field == "host":
        return guest.host if guest.active else None
    if field == "state":
        return str(guest.state)
    if field == "vcpus":
        return float(guest.vcpus)
    if field == "memory_bytes":
        return guest.memory_bytes
    return guest.counters.get(field)
