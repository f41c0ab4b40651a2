"""What connectors share whose points have one value and no slots: the old value is saved and restored if still ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from connectors.live_rows import rows_of
from connectors.set_point import Allowance, judge, refused
from twin.errors import RefusedError
from twin.plan import Action, Capability, Check, CheckVerdict, PointId, Quality, Reading, Receipt, Value
from twin.units import from_inside, to_inside
from twin.vocab import KIND_FACTS, PointKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What a number on the wire means: raw × scale + offset is in ``unit``, the product's own where None."""

    kind: PointKind | None = None
    unit: str | None = None
    scale: float = 1.0
    offset: float = 0.0

    def inside(self, raw: float) -> float:
        """The value in the product's unit."""
        value = raw * self.scale + self.offset
        if self.kind is None or self.unit is None:
            return value
        return float(to_inside(np.array([value]), self.unit, KIND_FACTS[self.kind].unit, 1.0)[0])

    def outside(self, value: float) -> float:
        """The raw number for a value in the product's unit."""
        if self.kind is not None and self.unit is not None:
            value = float(from_inside(np.array([value]), self.unit, KIND_FACTS[self.kind].unit, 1.0)[0])
        return (value - self.offset) / self.scale


def finite(value: object) -> float | None:
    """A finite float of a number or of a text that is one; None for everything else."""
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


class PlainConnector:
    """Read, check, apply, release for points with one value; the wire is left to ``look`` and ``write``."""

    capabilities = frozenset({Capability.READ, Capability.WRITE})

    def __init__(
        self,
        name: str,
        allowances: Mapping[PointId, Allowance | None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = name
        self._allowances = allowances
        self._clock = clock

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self._allowances)} points)"

    def look(self, points: Sequence[PointId]) -> Mapping[PointId, Reading]:
        """Readings of those of the known points that can be read.

        Raises:
            OutsideWorldError: the system as a whole does not answer.
        """
        raise NotImplementedError

    def write(self, action: Action) -> None:
        """Puts the action's value on the wire.

        Raises:
            OutsideWorldError: no answer, or an error.
        """
        raise NotImplementedError

    def points(self) -> tuple[PointId, ...]:
        """All points."""
        return tuple(self._allowances)

    def read(self, points: Sequence[PointId]) -> Sequence[Reading]:
        """A fresh look at each point.

        Raises:
            OutsideWorldError: the system does not answer.
        """
        found = self.look([point for point in dict.fromkeys(points) if point in self._allowances]) if points else {}
        at = self._clock()
        return [found.get(point) or Reading(point=point, value=None, at=at, quality=Quality.BAD) for point in points]

    def check(self, action: Action) -> Check:
        """Whether the action may be done now, by a fresh look."""
        if action.point not in self._allowances:
            return refused(f"{action.point}: {self.name} has no such point")
        return self._judge(action, self.read([action.point])[0])

    def _judge(self, action: Action, before: Reading) -> Check:
        return judge(action, self._allowances[action.point], before, self._clock(), slotted=False)

    def apply(self, action: Action) -> Receipt:
        """Writes the value; the prior one is in the receipt.

        Raises:
            RefusedError: not allowed.
            OutsideWorldError: no answer, or an error.
        """
        if action.point not in self._allowances:
            message = f"{action.point}: {self.name} has no such point"
            raise RefusedError(message)
        before = self.read([action.point])[0]
        verdict = self._judge(action, before)
        if verdict.verdict is CheckVerdict.REFUSED:
            raise RefusedError(verdict.reason)
        if verdict.verdict is CheckVerdict.READY:
            self.write(action)
        return Receipt(
            action_id=action.id,
            connector=self.name,
            kind=action.kind,
            point=action.point,
            value=action.value,
            prior=before.value,
            prior_held_by=before.held_by,
        )

    def release(self, receipt: Receipt) -> None:
        """Restores the prior value, else the fallback, if the point still shows ours."""
        allowance = self._allowances.get(receipt.point)
        back: Value | None = receipt.prior
        if back is None and allowance is not None:
            back = allowance.fallback
        if (
            back is None
            or receipt.point not in self._allowances
            or not _same(self.read([receipt.point])[0].value, receipt.value)
        ):
            return
        self.write(
            Action(
                id=f"undo {receipt.action_id}",
                kind=receipt.kind,
                connector=self.name,
                point=receipt.point,
                value=back,
                expected=receipt.value,
            )
        )

    def fetch(self, since: datetime | None, until: datetime | None) -> pd.DataFrame:  # only now is known
        """One row per readable point, as of now."""
        return rows_of(self.read(self.points()))

    def close(self) -> None:
        """Ends connections."""


def _same(seen: Value | None, wanted: Value) -> bool:
    if isinstance(seen, float) and isinstance(wanted, float | int):
        return abs(seen - wanted) <= 1e-3 * max(1.0, abs(wanted))
    return seen == wanted
