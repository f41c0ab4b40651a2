"""What happens without a person: recovery by looking at the world, deadlines, releases, the sweep for late writes."""

from __future__ import annotations

from datetime import datetime, timedelta

from connectors.change_control.desk import HOLDING, Desk
from connectors.change_control.lease import Lease
from connectors.change_control.pusher import Pusher
from connectors.change_control.rollback import Rollback
from connectors.change_control.session import Session
from twin.errors import StoppedError
from twin.plan import Action, PlanState, PointId, StepState
from twin.plans.judge import Verdict, worst
from twin.plans.records import Change, PlanRecord
from twin.ports import Keeper

_S = PlanState


class Caretaker(Desk):
    """Takes up what dead processes left and enforces what every state promised."""

    def recover(self) -> list[PlanRecord]:
        """Takes up what a dead process left behind, by looking at the world.

        Raises:
            RefusedError: another process holds the site and shows life.
        """
        if not any(self._is_left_behind(record) for record in self._store.records()):
            return []
        with self._leased() as lease:
            return self._recover(lease)

    def _is_left_behind(self, record: PlanRecord) -> bool:
        if record.state in {_S.PAUSED, _S.PUSHED}:
            stop = self._store.stop(record.plan_id)
            return stop is not None and stop.stops
        return record.state in {_S.PUSHING, _S.ROLLING_BACK}

    def _recover(self, lease: Lease) -> list[PlanRecord]:
        return [
            self._take_up(self._session_back(lease, record.plan_id, self._holder))
            for record in self._store.records()
            if self._is_left_behind(record)
        ]

    def _take_up(self, session: Session) -> PlanRecord:
        attempts = session.record().attempts + 1
        record = session.commit("taken up", attempts=attempts, evidence={"attempt": attempts})
        if attempts > 2 * self._settings.takeovers:
            return self._dead_letter(session, attempts)
        stop = self._store.stop(session.plan_id)
        if record.state is _S.PUSHING and attempts <= self._settings.takeovers and not session.salvaged:
            return Pusher(session).run()
        why = f"{stop.actor}: {stop.reason}" if stop is not None else f"{attempts} processes ended while they pushed it"
        return self._roll_back(session, why)

    def _dead_letter(self, session: Session, attempts: int) -> PlanRecord:
        reason = f"{attempts} processes ended while they handled it; a person must look"
        if session.record().state is _S.PUSHING:
            session.commit("rolling back", state=_S.ROLLING_BACK, reason=reason)
        deadline = self._clock.now() + timedelta(seconds=session.plan.deadlines.stuck_s)
        return session.commit("stuck", state=_S.STUCK, reason=reason, deadline=deadline)

    def enforce(self) -> list[PlanRecord]:
        """Takes the declared action of every state whose deadline has passed, and releases what was held too long."""
        now = self._clock.now()
        due = [r for r in self._store.records() if r.deadline is not None and r.deadline <= now]
        done = [after for r in due if (after := self._enforce(r, now)) is not None]
        return done + self._release_expired(now) + self._sweep(now)

    def keep(self) -> list[str]:
        """Has connectors look after what is in force, and writes once more what a device has lost; what was written.

        Raises:
            OutsideWorldError: a connector does not answer.
            RefusedError: something was lost, and another process holds the site.
        """
        said: list[str] = []
        for name, connector in self._connectors.items():
            if isinstance(connector, Keeper):
                lost = connector.keep([action for _, action in self._in_force(name)])
                said += self._write_again(name, frozenset(lost)) if lost else []
        return said

    def _in_force(self, connector: str) -> list[tuple[str, Action]]:
        """Plan and action of every verified step of a plan whose values stand."""
        found: list[tuple[str, Action]] = []
        for record in self._store.records():
            if record.state in {_S.PUSHED, _S.CONFIRMED}:
                steps = self._store.steps(record.plan_id)
                verified = {step.action_id for step in steps if step.state is StepState.VERIFIED}
                actions = [step.action for step in self._store.plan_for_the_way_back(record.plan_id)[0].steps()]
                found += [(record.plan_id, a) for a in actions if a.connector == connector and a.id in verified]
        return found

    def _write_again(self, name: str, lost: frozenset[PointId]) -> list[str]:
        """Under the lease, so that nobody releases at the same moment; at most ``tries`` times for each action."""
        said: list[str] = []
        with self._leased() as lease:
            for plan_id, action in self._in_force(name):
                times = self._written_again.get((plan_id, action.id), 0)
                if action.point not in lost or times >= self._settings.tries:
                    continue
                self._written_again[plan_id, action.id] = times + 1
                self._store.note(self._holder, "written again", plan_id, {"point": action.point, "times": times + 1})
                Pusher(self._session_back(lease, plan_id, self._holder)).write_lost(action)
                said.append(f"{action.point}: the device lost our value, {action.value} was written again")
        return said

    def _sweep(self, now: datetime) -> list[PlanRecord]:
        """Looks at what was rolled back in the last days: a process that slept through it may have written since."""
        held = {
            (step.action.connector, step.action.point)
            for record in self._store.records()
            if record.state in HOLDING
            for step in self._store.plan_for_the_way_back(record.plan_id)[0].steps()
        }
        done = []
        for record in self._store.records():
            if record.state is not _S.ROLLED_BACK or (now - record.since).total_seconds() > self._settings.sweep_s:
                continue
            looker = Rollback(self._session_back(self._lease(), record.plan_id, self._holder))
            strays = [stray for stray in looker.strays() if looker.target(stray) not in held]
            if strays:
                with self._leased() as lease:
                    Rollback(self._session_back(lease, record.plan_id, self._holder)).release_strays(strays)
                done.append(self._store.record(record.plan_id))
        return done

    def _enforce(self, record: PlanRecord, now: datetime) -> PlanRecord | None:
        if record.state in {_S.PROPOSED, _S.APPROVED}:
            change = Change(
                plan_id=record.plan_id,
                actor=self._holder,
                event="superseded",
                version=record.version,
                state=_S.SUPERSEDED,
                reason="it expired",
            )
            return self._store.commit(change)
        if record.state in {_S.PUSHING, _S.PAUSED, _S.ROLLING_BACK}:
            return self.rollback(record.plan_id, self._holder, f"{record.state} for longer than its deadline")
        if record.state is _S.PUSHED:
            return self._confirm(record, now)
        if record.state is _S.STUCK:
            return self._alarm_again(record, now)
        return None

    def _alarm_again(self, record: PlanRecord, now: datetime) -> PlanRecord:
        self._store.note(self._holder, "alarm", record.plan_id, {"stuck": record.reason})
        wait = timedelta(seconds=self._store.plan_for_the_way_back(record.plan_id)[0].deadlines.stuck_s)
        return self._store.postpone(record, self._holder, now + wait)

    def _confirm(self, record: PlanRecord, now: datetime) -> PlanRecord | None:
        with self._leased() as lease:
            session = self._session_back(lease, record.plan_id, self._holder)
            if session.salvaged:
                return self._roll_back(session, "its document was changed in the store")
            found = session.judge_guards()
            reasons = "; ".join(f"{j.name}: {j.reason}" for j in found if j.verdict is not Verdict.PASS)
            if worst(found) is Verdict.PASS:
                try:
                    return session.commit("confirmed", state=_S.CONFIRMED, reason="the soak time passed, no breach")
                except StoppedError as stop:
                    return self._roll_back(session, str(stop))
            late = now > (record.deadline or now) + timedelta(seconds=session.plan.deadlines.paused_s)
            if worst(found) is Verdict.FAIL or late:
                return self._roll_back(session, reasons)
            return None

    def _release_expired(self, now: datetime) -> list[PlanRecord]:
        done = []
        for record in self._store.records():
            if (
                record.state not in {_S.PUSHED, _S.CONFIRMED}
                or self._store.plan_for_the_way_back(record.plan_id)[0].hold_until > now
            ):
                continue
            if self._holds(record):
                reason = "the hold time is over"
                if record.state is _S.PUSHED and (after := self._confirm(record, now)) is not None:
                    record = after  # noqa: PLW2901 - the same plan one state later
                if record.state is _S.CONFIRMED:
                    done.append(self._release_confirmed(record.plan_id, self._holder, reason))
        return done
