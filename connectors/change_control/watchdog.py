"""The watchdog near the building: takes up what dead processes left, enforces deadlines, releases on silence.

It needs no optimiser, no network beyond the building's and no person. When it dies too, devices that can expire drop
our values by themselves, and the building's own controller, which never stopped, carries on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from connectors.change_control.control import ChangeControl
from twin.errors import OutsideWorldError, RefusedError
from twin.plan import PlanState
from twin.plans.records import PlanRecord
from twin.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round of the watchdog did."""

    at: str
    acted: tuple[str, ...]
    open_plans: int
    trouble: str = ""


class Watchdog:
    """Looks after the site again and again."""

    def __init__(self, control: ChangeControl, clock: Clock, *, every_s: float = 10.0) -> None:
        self._control = control
        self._clock = clock
        self._every_s = every_s

    def round(self) -> Round:
        """One look: recover, enforce; a live pusher or an unreachable device is trouble to report, not to die of."""
        acted: list[PlanRecord] = []
        kept: list[str] = []
        trouble = ""
        try:
            acted += self._control.recover()
            acted += self._control.enforce()
            kept += self._control.keep()
        except (RefusedError, OutsideWorldError) as error:
            trouble = str(error)
        records = self._control.records()
        return Round(
            at=self._clock.now().isoformat(),
            acted=(*(f"{record.plan_id[:12]} is {record.state}: {record.reason}" for record in acted), *kept),
            open_plans=sum(record.state in _OPEN for record in records),
            trouble=trouble,
        )

    def run(self, tell: Callable[[Round], None], *, rounds: int | None = None) -> None:
        """Rounds for ever, or so many; tells of each that did something or met new trouble."""
        last = ""
        done = 0
        while rounds is None or done < rounds:
            found = self.round()
            if found.acted or found.trouble != last:
                tell(found)
            last = found.trouble
            done += 1
            if rounds is None or done < rounds:
                self._rest()

    def _rest(self) -> None:
        until = self._clock.monotonic() + self._every_s
        while (left := until - self._clock.monotonic()) > 0:
            self._clock.wait(left)


_OPEN = frozenset(
    {PlanState.PUSHING, PlanState.PAUSED, PlanState.PUSHED, PlanState.ROLLING_BACK, PlanState.STUCK, PlanState.APPROVED}
)
