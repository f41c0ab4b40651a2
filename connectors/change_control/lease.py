"""One pusher per site: a file lock that the kernel frees on a kill, and an epoch that fences whoever wakes up late."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from connectors.change_control.settings import PushSettings
from connectors.plan_store import FencedError, PlanStore
from twin.errors import RefusedError
from twin.ports import Clock


class SiteLock(Protocol):
    """Keeps a second process out while the first lives."""

    def take(self) -> bool:
        """Takes the lock if it is free."""
        ...

    def break_in(self) -> None:
        """Makes way for a new lock when the holder has been silent for a whole lease."""
        ...

    def free(self) -> None:
        """Gives the lock back."""
        ...


class FileLock:
    """``flock`` on a file. A silent holder keeps its lock on the old file; the new one is another file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Takes the lock if it is free."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        if not self._is_current(descriptor):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def _is_current(self, descriptor: int) -> bool:
        try:
            return self._path.stat().st_ino == os.fstat(descriptor).st_ino
        except FileNotFoundError:
            return False

    def break_in(self) -> None:
        """Removes the file under the silent holder."""
        with suppress(FileNotFoundError):
            self._path.unlink()

    def free(self) -> None:
        """Gives the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Lease:
    """The right to write to a site, as long as the journal shows our epoch."""

    def __init__(self, store: PlanStore, clock: Clock, settings: PushSettings, lock: SiteLock, holder: str) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._lock = lock
        self._holder = holder
        self._shown_at_s = 0.0
        self.may_stray = False
        """Whether a write of a holder that did not leave in good order may still reach a device."""
        self.epoch = 0

    def acquire(self) -> None:
        """Takes the site, or says who holds it, and waits until nothing of a holder before can still be on its way.

        Raises:
            RefusedError: another process holds the site and shows life.
        """
        self.take()
        self.let_strays_land()

    def take(self) -> None:
        """Takes the site, or says who holds it; before the first look at the world strays must have landed.

        Raises:
            RefusedError: another process holds the site and shows life.
        """
        if not self._lock.take():
            self._outwait()
        self._shown_at_s = self._clock.monotonic()
        self.epoch, clean = self._store.take_lease(self._holder)
        self.may_stray = not clean

    def let_strays_land(self) -> None:
        """Waits until no such write can come any more."""
        if self.may_stray:
            self._pass(self._settings.write_timeout_s)
        self.may_stray = False
        self.renew()

    def _outwait(self) -> None:
        seen = self._store.lease()
        began = self._clock.monotonic()
        while self._clock.monotonic() - began < self._settings.lease_s:
            self._clock.wait(self._settings.poll_s)
            present = self._store.lease()
            if present != seen and present is not None and seen is not None:
                message = (
                    f"site {self._store.site}: {present.holder} is pushing since {present.since.isoformat()}; "
                    "wait until it is done, or stop it with 'understudy plan rollback'"
                )
                raise RefusedError(message)
            if self._lock.take():
                return
        self._lock.break_in()
        if not self._lock.take():
            message = f"site {self._store.site}: another process took the site over at the same moment; look again"
            raise RefusedError(message)

    def _pass(self, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0:
            self._clock.wait(left)

    def remaining_s(self) -> float:
        """Time that others must still leave us alone, by our own monotonic clock."""
        return self._settings.lease_s - (self._clock.monotonic() - self._shown_at_s)

    def renew(self) -> None:
        """Shows that we live.

        Raises:
            FencedError: another process took over.
        """
        shown_at_s = self._clock.monotonic()
        self._store.beat(self.epoch)
        self._shown_at_s = shown_at_s

    def keep(self) -> None:
        """Renews once a third of the lease is gone."""
        if self.remaining_s() < self._settings.lease_s * 2 / 3:
            self.renew()

    def require_time_for_a_write(self) -> None:
        """Nothing when a write started now ends within the lease.

        Raises:
            FencedError: the lease ran out, or would before the write ends.
        """
        self.keep()
        if self.remaining_s() < self._settings.write_timeout_s:
            message = f"site {self._store.site}: {self.remaining_s():.1f} s of the lease are left, too few for a write"
            raise FencedError(message)

    def release(self) -> None:
        """Leaves in good order, unless strays may still land; a lease that is already lost is left as it is."""
        with suppress(FencedError):
            self._store.beat(self.epoch, clean=not self.may_stray)
        self._lock.free()

    def drop(self) -> None:
        """Frees the lock without a word to the journal, after an error of the journal itself."""
        self._lock.free()
