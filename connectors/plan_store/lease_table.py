"""Who may push at the site: the epoch that grows with every taking, and the beat that shows life."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from connectors.audit.ledger import Ledger, Transaction
from connectors.plan_store.transitions import FencedError
from twin.errors import OutsideWorldError
from twin.ports import Clock

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRow:
    """Who may push at the site."""

    epoch: int
    holder: str
    since: datetime
    beat: int
    clean: bool


class LeaseTable:
    """The lease row of a site. The way back may use the reserve of a full disk for it."""

    ledger: Ledger
    site: str
    _clock: Clock
    _urgent = False

    @contextmanager
    def urgent(self) -> Iterator[None]:
        """On the way back, the reserve may be used when the disk is full."""
        before, self._urgent = self._urgent, True
        try:
            yield
        finally:
            self._urgent = before

    def _fitting(self, act: Callable[[], T], *, urgent: bool = False) -> T:
        """Does it; on a full disk once more after the reserve was freed, if it is on the way back."""
        try:
            return act()
        except OutsideWorldError:
            if not (urgent or self._urgent) or not self.ledger.free_reserve():
                raise
        return act()

    def lease(self) -> LeaseRow | None:
        """Who holds the site, or held it last."""
        row = self.ledger.row("SELECT epoch, holder, since, beat, clean FROM lease WHERE site = ?", (self.site,))
        if row is None:
            return None
        since = datetime.fromisoformat(row[2])
        return LeaseRow(epoch=row[0], holder=row[1], since=since, beat=row[3], clean=bool(row[4]))

    def take_lease(self, holder: str) -> tuple[int, bool]:
        """Raises the epoch in the holder's name; whoever held it before is fenced from now on.

        Returns:
            The epoch, and whether the holder before left in good order; otherwise a write of it may be on its way.
        """
        return self._fitting(lambda: self._take_lease(holder))

    def _take_lease(self, holder: str) -> tuple[int, bool]:
        now = self._clock.now().isoformat()
        with self.ledger.transaction(holder, "lease taken", self.site, {"holder": holder}) as t:
            row = t.execute("SELECT epoch, clean FROM lease WHERE site = ?", (self.site,)).fetchone()
            epoch = 1 if row is None else row[0] + 1
            t.execute("INSERT OR REPLACE INTO lease VALUES(?, ?, ?, ?, 0, 0)", (self.site, epoch, holder, now))
        return epoch, row is None or bool(row[1])

    def beat(self, epoch: int, *, clean: bool = False) -> None:
        """Shows that the holder lives, or that it leaves in good order.

        Raises:
            FencedError: another process took over.
        """
        self._fitting(lambda: self._beat(epoch, clean=clean))

    def _beat(self, epoch: int, *, clean: bool) -> None:
        with self.ledger.unaudited() as t:
            self.require_epoch(t, epoch)
            t.execute("UPDATE lease SET beat = beat + 1, clean = ? WHERE site = ?", (int(clean), self.site))

    def require_epoch(self, t: Transaction, epoch: int | None) -> None:
        """Nothing when the epoch is the present one or none is claimed."""
        if epoch is None:
            return
        row = t.execute("SELECT epoch, holder, since FROM lease WHERE site = ?", (self.site,)).fetchone()
        if row is None or row[0] != epoch:
            who = "nobody" if row is None else f"{row[1]} since {row[2]} (epoch {row[0]})"
            message = f"site {self.site}: the lease of epoch {epoch} is over; it is held by {who}"
            raise FencedError(message)
