"""What every connector must pass, ours and a third party's, against the real system or a faithful peer of it.

With pytest::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_connector_keeps_the_contract(check, trial): check(trial)

where ``trial`` is a ``Trial`` around the connector and one harmless action.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from connectors.receipts import receipt_from_json, receipt_to_json
from connectors.set_point import OURS
from twin.errors import OutsideWorldError, RefusedError, UnderstudyError
from twin.plan import Action, ActionKind, Capability, CheckVerdict, PointId, Quality, Reading, Receipt, Value
from twin.ports import Connector


class NonConformingError(UnderstudyError):
    """A connector breaks the contract; the message says which rule and what was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A connector on trial, and what the checks may do with it."""

    connector: Connector
    readable: Sequence[PointId]
    """At least two points that can be read now."""
    unreadable: PointId
    """A point that the connector does not have."""
    action: Action | None = None
    """A harmless change that is READY now; None for a connector that only reads."""
    forbidden: Sequence[Action] = ()
    """Changes that must be refused."""
    unreachable: Connector | None = None
    """The same connector, aimed at an address where nobody answers."""
    timeout_s: float = 30.0
    """The longest that one call may take."""
    settle_s: float = 5.0
    """How long the world may take to show a change."""
    overwrite: Callable[[], Value] | None = None
    """Lets somebody else command the action's point so that they win; returns the value then to be seen."""
    secrets: Sequence[str] = ()
    """Texts that must not be found in any message."""


def _require(holds: object, rule: str, seen: object) -> None:
    if not holds:
        message = f"{rule}; seen: {seen!r}"
        raise NonConformingError(message)


def _one(trial: Trial, point: PointId) -> Reading:
    return trial.connector.read([point])[0]


def _same(left: Value | None, right: Value | None, tolerance: float) -> bool:
    if isinstance(left, float | int) and isinstance(right, float | int):
        return math.isclose(left, right, rel_tol=1e-6, abs_tol=max(tolerance, 1e-6))
    return left == right


def _settled(trial: Trial, point: PointId, value: Value | None, tolerance: float) -> Reading:
    """The first reading that shows the value, or the last one when time is up."""
    end = time.monotonic() + trial.settle_s
    while True:
        reading = _one(trial, point)
        if _same(reading.value, value, tolerance) or time.monotonic() > end:
            return reading
        time.sleep(0.05)


@dataclass(slots=True)
class _Done:
    """An applied action that is undone at the end, whatever the check found."""

    trial: Trial
    action: Action
    before: Reading
    receipt: Receipt | None = None

    def __enter__(self) -> _Done:
        self.receipt = self.trial.connector.apply(self.action)
        return self

    def __exit__(self, *_: object) -> None:
        if self.receipt is not None:
            self.trial.connector.release(self.receipt)
            _settled(self.trial, self.action.point, self.before.value, self.action.tolerance)


def _applied(trial: Trial, action: Action) -> _Done:
    return _Done(trial, action, _one(trial, action.point))


def readings_come_in_the_order_asked(trial: Trial) -> None:
    """One reading per point, also when a point is asked for twice."""
    asked = [*reversed(trial.readable), trial.readable[0]]
    got = [reading.point for reading in trial.connector.read(asked)]
    _require(got == asked, "readings come one per point in the order asked", got)


def readings_carry_a_value_and_an_aware_time(trial: Trial) -> None:
    """A good reading has a finite value or a text, and a time with zone."""
    for reading in trial.connector.read(trial.readable):
        _require(reading.quality is Quality.GOOD and reading.value is not None, "these points can be read", reading)
        _require(not isinstance(reading.value, float) or math.isfinite(reading.value), "values are finite", reading)
        _require(reading.at.tzinfo is not None, "times have a zone", reading)


def an_unreadable_point_is_bad_and_the_others_are_not(trial: Trial) -> None:
    """An unknown point neither raises nor disturbs its neighbours."""
    first, bad, second = trial.connector.read([trial.readable[0], trial.unreadable, trial.readable[1]])
    _require(bad.value is None and bad.quality is Quality.BAD, "an unreadable point has no value and is BAD", bad)
    _require(first.value is not None and second.value is not None, "its neighbours are read", (first, second))


def reading_nothing_gives_nothing(trial: Trial) -> None:
    """No points, no readings, no error."""
    got = trial.connector.read([])
    _require(len(got) == 0, "no points asked, no readings given", got)


def a_check_does_not_change_the_world(trial: Trial) -> None:
    """Checking is free of effects, and ready means ready."""
    if trial.action is None:
        return
    before = _one(trial, trial.action.point)
    verdict = trial.connector.check(trial.action)
    _require(verdict.verdict is CheckVerdict.READY, "the trial's action is ready", verdict)
    after = _one(trial, trial.action.point)
    _require(_same(after.value, before.value, trial.action.tolerance), "a check changes nothing", (before, after))


def the_read_back_shows_value_and_holder(trial: Trial) -> None:
    """After apply a fresh look shows the value, and who holds it where the system has slots."""
    if trial.action is None:
        return
    with _applied(trial, trial.action):
        seen = _settled(trial, trial.action.point, trial.action.value, trial.action.tolerance)
        _require(_same(seen.value, trial.action.value, trial.action.tolerance), "what was applied is seen", seen)
        if Capability.RELEASE in trial.connector.capabilities:
            _require(seen.held_by == OURS, f"our command in force names {OURS!r} as holder", seen)
            _require(_same(seen.own_value, trial.action.value, trial.action.tolerance), "our slot is shown", seen)


def applying_twice_is_the_same_as_once(trial: Trial) -> None:
    """An action is absolute: a repeat is harmless, and check then says so."""
    if trial.action is None:
        return
    with _applied(trial, trial.action):
        once = _settled(trial, trial.action.point, trial.action.value, trial.action.tolerance)
        verdict = trial.connector.check(trial.action)
        _require(verdict.verdict is CheckVerdict.ALREADY_DONE, "a done action is already done", verdict)
        trial.connector.apply(trial.action)
        twice = _one(trial, trial.action.point)
        _require((once.value, once.own_value) == (twice.value, twice.own_value), "a repeat is harmless", (once, twice))


def the_receipt_names_the_prior_state(trial: Trial) -> None:
    """What stood before is in the receipt, with the action it belongs to."""
    if trial.action is None:
        return
    with _applied(trial, trial.action) as done:
        receipt = done.receipt
        _require(receipt and receipt.action_id == trial.action.id, "a receipt names its action", receipt)
        _require(receipt and _same(receipt.prior, done.before.value, 1e-6), "a receipt has the prior value", receipt)
        _require(receipt and receipt.connector == trial.connector.name, "a receipt names its connector", receipt)


def receipts_survive_json(trial: Trial) -> None:
    """A release by a receipt that was stored as JSON undoes the action."""
    if trial.action is None:
        return
    with _applied(trial, trial.action) as done:
        if done.receipt is not None:
            stored = receipt_from_json(receipt_to_json(done.receipt))
            _require(stored == done.receipt, "a receipt comes back from JSON as it was", stored)
            done.receipt = stored


def a_release_gives_the_point_back(trial: Trial) -> None:
    """After release the world is as before, no slot of ours is left, and a second release is harmless."""
    if trial.action is None:
        return
    with _applied(trial, trial.action) as done:
        _settled(trial, trial.action.point, trial.action.value, trial.action.tolerance)
    after = _settled(trial, trial.action.point, done.before.value, trial.action.tolerance)
    _require(_same(after.value, done.before.value, trial.action.tolerance), "a release restores", (done.before, after))
    _require(after.own_value is None and after.held_by != OURS, "a release leaves no slot of ours", after)
    if done.receipt is not None:
        trial.connector.release(done.receipt)


def somebody_elses_command_survives_our_release(trial: Trial) -> None:
    """Who commanded the point meanwhile keeps it: we give up our own, and never restore over theirs."""
    if trial.action is None or trial.overwrite is None:
        return
    receipt = trial.connector.apply(trial.action)
    _settled(trial, trial.action.point, trial.action.value, trial.action.tolerance)
    theirs = trial.overwrite()
    seen = _settled(trial, trial.action.point, theirs, trial.action.tolerance)
    _require(seen.held_by != OURS or not _same(seen.value, trial.action.value, 0.0), "their command is seen", seen)
    trial.connector.release(receipt)
    after = _one(trial, trial.action.point)
    _require(_same(after.value, theirs, trial.action.tolerance), "a release leaves their command in force", after)
    _require(after.own_value is None, "a release leaves no slot of ours", after)


def a_refusal_leaves_the_world_unchanged(trial: Trial) -> None:
    """What must not be done is refused with a reason, by check and by apply."""
    for action in trial.forbidden:
        before = _one(trial, action.point)
        verdict = trial.connector.check(action)
        _require(
            verdict.verdict is CheckVerdict.REFUSED and verdict.reason, "forbidden: refused with a reason", verdict
        )
        try:
            receipt = trial.connector.apply(action)
        except RefusedError as error:
            _require(str(error), "a refusal gives a reason", error)
        else:
            _require(False, "a forbidden action is not applied", receipt)
        after = _one(trial, action.point)
        _require((after.value, after.own_value) == (before.value, before.own_value), "a refusal changes nothing", after)


def an_action_of_a_foreign_kind_is_refused(trial: Trial) -> None:
    """A connector refuses kinds that it does not know, instead of guessing."""
    foreign = ActionKind.LIVE_MIGRATE
    if trial.action is not None and trial.action.kind is not ActionKind.SET_POINT:
        foreign = ActionKind.SET_POINT
    base = trial.action or Action(
        id="foreign", kind=foreign, connector=trial.connector.name, point=trial.readable[0], value=1.0, expected=None
    )
    verdict = trial.connector.check(replace(base, kind=foreign))
    _require(verdict.verdict is CheckVerdict.REFUSED, "an action of a foreign kind is refused", verdict)


def silence_is_an_error_within_the_timeout(trial: Trial) -> None:
    """Where nobody answers, a read ends in time with an error or with BAD readings, never with a value."""
    if trial.unreachable is None:
        return
    start = time.monotonic()
    try:
        readings = trial.unreachable.read(trial.readable)
        _require(all(reading.value is None for reading in readings), "no value from nobody", readings)
    except OutsideWorldError as error:
        _require(str(error), "an error says what failed", error)
    took_s = time.monotonic() - start
    _require(took_s <= trial.timeout_s, f"a read ends within {trial.timeout_s:g} s", took_s)


def secrets_are_not_shown(trial: Trial) -> None:
    """No secret in the representation, in errors or in receipts."""
    texts = [repr(trial.connector), repr(trial.unreachable)]
    for connector in (trial.connector, trial.unreachable):
        try:
            texts.extend(repr(reading) for reading in (connector.read(trial.readable) if connector else ()))
        except OutsideWorldError as error:
            texts.append(f"{error!r} {error.__cause__!r}")
    if trial.action is not None:
        with _applied(trial, trial.action) as done:
            texts.append(repr(done.receipt))
    for secret in trial.secrets:
        _require(not any(secret in text for text in texts), "secrets are not shown", "a secret was found in a text")


CHECKS: tuple[Callable[[Trial], None], ...] = (
    readings_come_in_the_order_asked,
    readings_carry_a_value_and_an_aware_time,
    an_unreadable_point_is_bad_and_the_others_are_not,
    reading_nothing_gives_nothing,
    a_check_does_not_change_the_world,
    the_read_back_shows_value_and_holder,
    applying_twice_is_the_same_as_once,
    the_receipt_names_the_prior_state,
    receipts_survive_json,
    a_release_gives_the_point_back,
    a_refusal_leaves_the_world_unchanged,
    an_action_of_a_foreign_kind_is_refused,
    silence_is_an_error_within_the_timeout,
    secrets_are_not_shown,
    somebody_elses_command_survives_our_release,
)
"""All checks, in the order that disturbs the peer least; the last leaves somebody else's command in force."""
