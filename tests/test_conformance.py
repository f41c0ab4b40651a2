"""The conformance checks find each way to break the contract; a faithful connector passes all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from connectors.conformance import CHECKS, NonConformingError, Trial
from connectors.receipts import receipt_from_json, receipt_to_json
from connectors.set_point import OURS, Allowance, judge, refused
from twin.errors import BadInputError, OutsideWorldError, RefusedError
from twin.plan import Action, ActionKind, Capability, Check, CheckVerdict, PointId, Quality, Reading, Receipt

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Board:
    """A faithful connector: two points with slots, in memory."""

    name = "board"
    capabilities = frozenset({Capability.READ, Capability.WRITE, Capability.RELEASE})

    def __init__(self) -> None:
        self.base = {"a": 20.0, "b": 5.0}
        self.ours: dict[str, float] = {}
        self.operator: dict[str, float] = {}

    def read(self, points: Sequence[PointId]) -> Sequence[Reading]:
        return [self._look(point) for point in points]

    def _look(self, point: PointId) -> Reading:
        if point not in self.base:
            return Reading(point=point, value=None, at=NOW, quality=Quality.BAD)
        slots = [("operator", self.operator), (OURS, self.ours), (None, self.base)]
        holder, slot = next((holder, slot) for holder, slot in slots if point in slot)
        return Reading(point=point, value=slot[point], at=NOW, held_by=holder, own_value=self.ours.get(point))

    def check(self, action: Action) -> Check:
        if action.point not in self.base:
            return refused("no such point")
        return judge(action, Allowance(min=0, max=30), self._look(action.point), NOW, slotted=True)

    def apply(self, action: Action) -> Receipt:
        verdict = self.check(action)
        if verdict.verdict is CheckVerdict.REFUSED:
            raise RefusedError(verdict.reason)
        before = self._look(action.point)
        self.ours[action.point] = float(action.value)
        return Receipt(
            action_id=action.id, connector=self.name, kind=action.kind, point=action.point, value=action.value,
            prior=before.value, prior_held_by=before.held_by,
        )  # fmt: skip

    def release(self, receipt: Receipt) -> None:
        self.ours.pop(receipt.point, None)


class Shuffles(Board):
    def read(self, points: Sequence[PointId]) -> Sequence[Reading]:
        return sorted(super().read(points), key=lambda reading: reading.point)


class RaisesForUnknownPoints(Board):
    def _look(self, point: PointId) -> Reading:
        if point not in self.base:
            raise OutsideWorldError(point)
        return super()._look(point)


class GivesAValueForUnknownPoints(Board):
    def _look(self, point: PointId) -> Reading:
        return super()._look(point if point in self.base else "a")


class ActsWhileChecking(Board):
    def check(self, action: Action) -> Check:
        verdict = super().check(action)
        if verdict.verdict is CheckVerdict.READY:
            self.ours[action.point] = float(action.value)
        return verdict


class AcknowledgesOnly(Board):
    def apply(self, action: Action) -> Receipt:
        receipt = super().apply(action)
        self.ours.clear()
        return receipt


class AppliesTheForbidden(Board):
    def apply(self, action: Action) -> Receipt:
        self.ours[action.point] = float(action.value)
        return Receipt(
            action_id=action.id, connector=self.name, kind=action.kind, point=action.point, value=action.value,
            prior=20.0, prior_held_by=None,
        )  # fmt: skip


class AddsInsteadOfSetting(Board):
    def apply(self, action: Action) -> Receipt:
        before = self.ours.get(action.point)
        receipt = super().apply(action)
        if before is not None:
            self.ours[action.point] = before + 1.0
        return receipt


class ForgetsThePrior(Board):
    def apply(self, action: Action) -> Receipt:
        return replace(super().apply(action), prior=None)


class WritesTheOldValueBack(Board):
    def release(self, receipt: Receipt) -> None:
        self.ours[receipt.point] = float(receipt.prior or 0.0)


class RemovesTheOperator(Board):
    def release(self, receipt: Receipt) -> None:
        super().release(receipt)
        self.operator.clear()


class TalksInItsSleep(Board):
    def __repr__(self) -> str:
        return "Board(password='hunter2')"


class GuessesForeignKinds(Board):
    def check(self, action: Action) -> Check:
        return super().check(replace(action, kind=ActionKind.SET_POINT))


def trial(board: Board) -> Trial:
    action = Action(id="1", kind=ActionKind.SET_POINT, connector="board", point="a", value=23.0, expected=20.0)

    def operator() -> float:
        board.operator["a"] = 18.0
        return 18.0

    return Trial(
        connector=board, readable=["b", "a"], unreadable="c", action=action, forbidden=[replace(action, value=99.0)],
        settle_s=0.0, overwrite=operator, secrets=["hunter2"],
    )  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_faithful_connector_passes(check: Callable[[Trial], None]) -> None:
    check(trial(Board()))


@pytest.mark.parametrize("culprit", sorted(Board.__subclasses__(), key=lambda kind: kind.__name__))
def test_each_breach_is_found(culprit: type[Board]) -> None:
    def breaks(check: Callable[[Trial], None]) -> bool:
        try:
            check(trial(culprit()))
        except (NonConformingError, OutsideWorldError):
            return True
        return False

    assert any(breaks(check) for check in CHECKS)


def test_a_text_that_is_no_receipt_is_bad_input() -> None:
    with pytest.raises(BadInputError, match="not a receipt"):
        receipt_from_json('{"kind": "set_point"}')


def test_a_receipt_survives_json() -> None:
    board = Board()
    receipt = board.apply(trial(board).action)
    assert receipt_from_json(receipt_to_json(receipt)) == receipt
