"""Moves a running guest: pre-check, start or adopt, deadline, abort, and the truth from both hosts.

An error is not a failure and success is not arrival: whatever the call says, source and target are read afterwards.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import libvirt

from connectors.libvirt_hosts.domain import (
    Definition,
    cpu_fits,
    definition_of,
    jobs_under_way,
    knows,
    sight,
    unshared_disks,
)
from connectors.libvirt_hosts.link import HostError, HostLink, Pending
from connectors.libvirt_hosts.look import Guest, GuestState, HostView, look_at, look_at_all, once
from connectors.libvirt_hosts.moving import MoveFacts, Outcome, Sight, deadline_s, outcome_of
from connectors.libvirt_hosts.settings import MoveRules
from connectors.libvirt_hosts.split import mend

POLL_S = 0.1
ABORT_EVERY_S = 1.0
_BASE_FLAGS = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PEER2PEER
_PERSISTENT_FLAGS = libvirt.VIR_MIGRATE_PERSIST_DEST | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A move and the state it ended in."""

    guest: str
    source: str
    target: str
    outcome: Outcome
    sights: tuple[Sight, Sight]
    adopted: bool
    error: str
    """What the hypervisor said, empty when it said nothing."""
    took_s: float
    mended: str = ""
    """What was done about a split, empty when there was none."""

    def __str__(self) -> str:
        said = f" ({self.error})" if self.error else ""
        done = f"; it ran on both: {self.mended}" if self.mended else ""
        seen = "; ".join(map(str, self.sights))
        return f"{self.guest} from {self.source} to {self.target}: {self.outcome}{said}{done} [{seen}]"


@dataclass(slots=True)
class _Effort:
    """One attempt under way: its call (None when adopted) and its times on the monotonic clock."""

    guest: Guest
    source: HostLink
    target: HostLink
    call: Pending[Any] | None
    ends: float
    half: float
    gives_up: float
    longer_downtime: bool = False
    next_abort: float = 0.0

    @property
    def error(self) -> libvirt.libvirtError | None:
        return self.call.error if self.call is not None and self.call.done() else None


class Mover:
    """Moves guests between the hosts of one connector."""

    def __init__(self, links: Mapping[str, HostLink], rules: MoveRules) -> None:
        self._links = links
        self._rules = rules
        self._busy: Counter[str] = Counter()
        self._lock = threading.Lock()

    def facts(self, guest: Guest, target: str) -> MoveFacts:
        """What decides whether the guest may move to ``target`` now.

        Raises:
            HostError: one of the two hosts does not answer.
        """
        source, destination = self._links[guest.host], self._links[target]
        view = look_at(destination)
        here, there = sight(source, guest.uuid), sight(destination, guest.uuid)
        definition, jobs = source.call(lambda connection: _ask_source(connection, guest.uuid))
        taken, fits, jobs_there = destination.call(lambda connection: _ask_target(connection, definition))
        half = there.state is GuestState.MOVING
        limit = self._rules.moves_per_host
        with self._lock:
            ours = dict(self._busy)
        load = {guest.host: max(jobs, ours.get(guest.host, 0)), target: max(jobs_there, ours.get(target, 0))}
        return MoveFacts(
            guest=guest.name,
            source=guest.host,
            target=target,
            state=here.state or GuestState.SHUT_OFF,
            job=here.job or here.state is GuestState.MOVING,
            half_at_target=half,
            name_taken=taken and there.state is None,
            uuid_taken=there.state is not None and not half,
            unshared_disks=unshared_disks(definition.disks, self._rules.shared_paths),
            cpu_fits=fits,
            free_bytes=_free(view, destination.memory_bytes),
            memory_bytes=guest.memory_max_bytes,
            margin_bytes=self._rules.memory_margin_bytes,
            pinned=guest.name in self._rules.pinned,
            apart_from=self._apart(guest.name, view),
            busy=tuple(name for name, count in load.items() if count >= limit),
        )

    def _apart(self, guest: str, view: HostView) -> tuple[str, ...]:
        enemies = {name for group in self._rules.apart if guest in group for name in group} - {guest}
        return tuple(sorted(other.name for other in view.guests if other.name in enemies and other.active))

    def move(self, guest: Guest, target: str, *, adopt: bool) -> Move:
        """Moves the guest, or follows the move that is under way, until it ends in a state that both hosts show.

        Args:
            guest: as last seen, at its source.
            target: name of the host it shall run on.
            adopt: whether this move runs already.
        """
        began = time.monotonic()
        with self._counted(guest.host, target):
            effort = self._begin(guest, target, adopt=adopt, flags=0)
            outcome, sights = self._follow(effort)
            if self._may_try_slower(outcome, effort):
                effort = self._begin(guest, target, adopt=False, flags=libvirt.VIR_MIGRATE_AUTO_CONVERGE)
                outcome, sights = self._follow(effort)
            mended = ""
            if outcome is Outcome.SPLIT:
                mended = self.mend(guest.uuid, (guest.host, target))
                outcome, sights = self._judge(effort)
        if outcome is Outcome.DOWN:
            outcome = self._down_or_elsewhere(guest)
        return Move(
            guest=guest.name,
            source=guest.host,
            target=target,
            outcome=outcome,
            sights=sights,
            adopted=adopt,
            error=str(effort.error or ""),
            took_s=time.monotonic() - began,
            mended=mended,
        )

    def mend(self, uuid: str, hosts: Sequence[str]) -> str:
        """Ends a split of a broken hand-over; what was done, empty when it is none or a host does not answer."""
        try:
            return mend(self._links, uuid, hosts, self._rules.source_gives_up_s)
        except HostError as error:
            return f"not ended yet ({error})"

    @contextlib.contextmanager
    def _counted(self, *hosts: str) -> Iterator[None]:
        with self._lock:
            self._busy.update(hosts)
        try:
            yield
        finally:
            with self._lock:
                self._busy.subtract(hosts)

    def _begin(self, guest: Guest, target: str, *, adopt: bool, flags: int) -> _Effort:
        source, destination = self._links[guest.host], self._links[target]
        rules = self._rules
        limit_s = deadline_s(guest.memory_max_bytes, rules.deadline_s_per_gib, rules.shortest_deadline_s)
        if adopt:
            limit_s = max(rules.shortest_deadline_s / 2, limit_s - sight(source, guest.uuid).elapsed_s)
        now = time.monotonic()
        call = None
        if not adopt:
            uri = destination.migrate_uri
            call = source.start(lambda connection: _migrate(connection, guest.uuid, uri, flags))
        return _Effort(
            guest=guest,
            source=source,
            target=destination,
            call=call,
            ends=now + limit_s,
            half=now + limit_s / 2,
            gives_up=now + limit_s + rules.verify_s,
        )

    def _follow(self, effort: _Effort) -> tuple[Outcome, tuple[Sight, Sight]]:
        """Waits until both hosts prove an outcome, raising the stakes on the way: longer pause, then abort."""
        seen_before: Outcome | None = None
        ended_at: float | None = None
        while True:
            now = time.monotonic()
            self._press(effort, now)
            ended = effort.call is None or effort.call.done(POLL_S)
            if ended or now > effort.gives_up:
                ended_at = ended_at or now
                outcome, sights = self._judge(effort)
                if outcome not in {Outcome.MOVING, Outcome.UNKNOWN} and _sure(outcome, seen_before):
                    return outcome, sights
                seen_before = outcome
                if now > self._last_call(effort, outcome, ended_at):
                    return (Outcome.UNKNOWN if outcome is Outcome.MOVING else outcome), sights
                time.sleep(POLL_S)

    def _last_call(self, effort: _Effort, outcome: Outcome, ended_at: float) -> float:
        """When to stop asking: a job may run to its deadline, silence is waited for only a while."""
        return effort.gives_up if outcome is Outcome.MOVING else min(effort.gives_up, ended_at + self._rules.verify_s)

    def _judge(self, effort: _Effort) -> tuple[Outcome, tuple[Sight, Sight]]:
        sights = (sight(effort.source, effort.guest.uuid), sight(effort.target, effort.guest.uuid))
        outcome = outcome_of(*sights)
        error = effort.error
        refused = error is not None and error.get_error_code() == libvirt.VIR_ERR_OPERATION_INVALID
        if refused and sights[0].job and sights[1].state is None:
            outcome = Outcome.CONFLICT
        return outcome, sights

    def _press(self, effort: _Effort, now: float) -> None:
        uuid = effort.guest.uuid
        if now > effort.half and not effort.longer_downtime:
            effort.longer_downtime = True
            limit_ms = self._rules.longer_downtime_ms
            with contextlib.suppress(HostError):
                effort.source.call(lambda c: c.lookupByUUIDString(uuid).migrateSetMaxDowntime(limit_ms))
        if now > effort.ends and now > effort.next_abort:
            effort.next_abort = now + ABORT_EVERY_S
            with contextlib.suppress(HostError):  # no job any more, or no answer: the sights will tell
                effort.source.call(lambda c: c.lookupByUUIDString(uuid).abortJob())

    def _may_try_slower(self, outcome: Outcome, effort: _Effort) -> bool:
        return self._rules.auto_converge and outcome is Outcome.STAYED and time.monotonic() > effort.ends

    def _down_or_elsewhere(self, guest: Guest) -> Outcome:
        views = look_at_all(self._links.values()).values()
        found = once(view for view in views if isinstance(view, HostView)).get(guest.uuid)
        if found is not None and found.active:
            return Outcome.ELSEWHERE
        return Outcome.UNKNOWN if any(isinstance(view, HostError) for view in views) else Outcome.DOWN


def _sure(outcome: Outcome, before: Outcome | None) -> bool:
    """The two hosts are asked one after the other, so the outcomes that alarm need a second look."""
    return outcome not in {Outcome.SPLIT, Outcome.DOWN} or outcome is before


def _migrate(connection: Any, uuid: str, uri: str, flags: int) -> None:
    domain = connection.lookupByUUIDString(uuid)
    persistent = _PERSISTENT_FLAGS if domain.isPersistent() else 0
    domain.migrateToURI3(uri, {}, _BASE_FLAGS | persistent | flags)


def _ask_source(connection: Any, uuid: str) -> tuple[Definition, int]:
    domain = connection.lookupByUUIDString(uuid)
    return definition_of(domain.XMLDesc(0)), jobs_under_way(connection)


def _ask_target(connection: Any, wanted: Definition) -> tuple[bool, bool, int]:
    return knows(connection, "lookupByName", wanted.name), cpu_fits(connection, wanted), jobs_under_way(connection)


def _free(view: HostView, declared_bytes: float | None) -> float:
    if declared_bytes is None:
        return view.free_bytes
    promised = sum(guest.memory_max_bytes for guest in view.guests if guest.active)
    return min(view.free_bytes, declared_bytes - promised)
