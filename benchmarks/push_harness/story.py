"""One seed's story from proposal to a final state, and the judgement of what must hold at its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.simulated.trial_site import ROOMS, START
from push_harness.fate import Crash, Event
from push_harness.world import World
from twin.errors import UnderstudyError
from twin.plan import NEXT, ActionKind, PlanState
from twin.plans.guardrails import is_undone, same
from twin.plans.records import AuditRow

KINDS = (
    "crash",
    "crash",
    "crash",
    "second pusher",
    "second pusher",
    "operator",
    "operator at hosts",
    "program",
    "drop",
    "clock forward",
    "clock back",
    "clock a little forward",
    "outage of the building",
    "outage of the hosts",
    "deadly step",
    "building that lies",
    "stop",
    "stop, then pause",
    "pause",
    "revoke",
    "guard breach",
    "guard silent",
    "tamper",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one seed showed."""

    seed: int
    state: str
    violations: tuple[str, ...]
    covered: frozenset[tuple[str, str]]
    digest: str


class Story:
    """Drives one world: push, crashes and restarts, people, time, healing, the end."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        self.seed = seed

    def run(self) -> Outcome:
        """The outcome of the seed."""
        world = self.world
        if world.random.random() < 0.05:
            world.refuse_empty()
        plan = world.make()
        world.approve(plan)
        world.fate.events = self._events()
        self._attempt(lambda: world.control().push(world.plan_id, "olga"))
        self._aftermath()
        self._heal()
        self._let_the_hold_time_pass()
        self._end()
        return Outcome(
            seed=self.seed,
            state=self._state().value,
            violations=tuple(dict.fromkeys(world.witness.violations)),
            covered=frozenset(world.fate.covered),
            digest=world.peek().ledger.head()[1],
        )

    def _events(self) -> list[Event]:
        pick = self.world.random
        count = pick.choice((0, 1, 1, 2, 2, 3, 4))
        return [
            Event(
                kind=pick.choice(KINDS),
                at=self._moment(),
                room=pick.choice(ROOMS[:4]),
                only_at="wait" if pick.random() < 0.25 else "",
            )
            for _ in range(count)
        ]

    def _moment(self) -> int:
        """A seam: often among the first, where a push is about to begin, else anywhere."""
        pick = self.world.random
        return pick.randint(1, 8) if pick.random() < 0.2 else int(pick.triangular(1, 260, 40))

    def _attempt(self, act: Callable[[], object]) -> None:
        """A process does something; when it dies, others take up what it left, as often as it takes."""
        world = self.world
        world.running = True
        try:
            act()
        except UnderstudyError:
            world.lock_owner = None if world.lock_owner == world.process else world.lock_owner
        except Crash:
            for _ in range(12):
                try:
                    world.control().recover()
                except Crash:
                    continue
                except UnderstudyError:
                    world.lock_owner = None if world.lock_owner == world.process else world.lock_owner
                break
        finally:
            world.running = False

    def _state(self) -> PlanState:
        return self.world.peek().record(self.world.plan_id).state

    def _aftermath(self) -> None:
        """People and the watchdog do what they may do; faults go on."""
        world = self.world
        for _ in range(world.random.randint(1, 4)):
            state = self._state()
            if state in {PlanState.PAUSED, PlanState.PUSHED} and world.random.random() < 0.15:
                world.take_over()
            if state is PlanState.PUSHED and world.random.random() < 0.1:
                world.ask_to_stop()
            turn = world.random.random()
            if state is PlanState.PAUSED and turn < 0.5:
                self._attempt(lambda: world.control().resume(world.plan_id, "olga"))
            elif state in {PlanState.PUSHED, PlanState.STUCK} and turn < 0.4:
                world.extra_takeovers += 1
                self._attempt(lambda: world.control().rollback(world.plan_id, "olga"))
            elif state in {PlanState.APPROVED, PlanState.PUSHED} and turn < 0.7:
                self._attempt(lambda: world.control().push(world.plan_id, "olga"))
            else:
                self._wait(world.random.choice((600.0, 4000.0, 30_000.0)))
                self._attempt(lambda: world.control().enforce())

    def _wait(self, seconds: float) -> None:
        try:
            self.world.clock.wait(seconds)
        except Crash:
            return

    def _heal(self) -> None:
        """All faults end; what is open must come to a good end by itself, except that a person answers STUCK."""
        world = self.world
        world.healed = True
        world.fate.events = []
        for _ in range(10):
            world.clock.wait(100_000.0)
            self._attempt(lambda: world.control().recover())
            self._attempt(lambda: world.control().enforce())
            if self._state() is PlanState.STUCK:
                world.extra_takeovers += 1
                self._attempt(lambda: world.control().rollback(world.plan_id, "olga"))
            if self._state() not in NEXT:
                return

    def _let_the_hold_time_pass(self) -> None:
        """What stays in force is given back when its time is over."""
        world = self.world
        if self._state() is not PlanState.CONFIRMED:
            return
        world.clock.wait(8 * 86_400.0)
        for _ in range(2):
            self._attempt(lambda: world.control().enforce())
        left = [r.point for r in world.building.read(world.building.points()) if r.own_value is not None]
        if left:
            world.witness.violate(f"the hold time is over, but {left[0]} still holds our value")

    # ---- what must hold ----------------------------------------------------------------------------------------

    def _end(self) -> None:
        world = self.world
        state = self._state()
        if state in NEXT:
            world.witness.violate(f"never came to an end: {state}")
        self._require_sound_log()
        rows = list(world.peek().audit())
        self._require_single_start(rows)
        self._require_own_time(rows)
        if state is PlanState.ROLLED_BACK:
            self._require_undone()
        self._require_priors()

    def _require_sound_log(self) -> None:
        """Nothing but the document that fate tampered with may be wrong."""
        found = [f for f in self.world.peek().verify() if not f.row.startswith("record document")]
        for finding in found[:1]:
            self.world.witness.violate(f"the log does not hold: {finding.row}: {finding.sentence}")

    def _require_single_start(self, rows: list[AuditRow]) -> None:
        if sum(row.event == "push started" for row in rows) > 1:
            self.world.witness.violate("the nonce was used twice")
        epochs = [epoch for row in rows if (epoch := json.loads(row.payload).get("epoch")) is not None]
        if epochs != sorted(epochs):
            self.world.witness.violate("a fenced process wrote to the journal")

    def _require_own_time(self, rows: list[AuditRow]) -> None:
        late = START + timedelta(days=60)
        if any(not START - timedelta(days=1) <= datetime.fromisoformat(row.at) <= late for row in rows):
            self.world.witness.violate("a time of the machine's own clock came into the log")
        since = self.world.peek().record(self.world.plan_id).since
        if not START - timedelta(days=1) <= since <= late:
            self.world.witness.violate("a time of the machine's own clock came into a record")

    def _require_undone(self) -> None:
        world = self.world
        slotted = {ActionKind.SET_POINT}
        for step in world.peek().steps(world.plan_id):
            action = next(s.action for s in world.plan.steps() if s.action.id == step.action_id)  # type: ignore[union-attr]
            device = world.building if action.connector == "building" else world.hosts
            reading = device.read([action.point])[0]
            if not step.prior_known or action.point in world.held:
                if action.kind in slotted and reading.own_value is not None:
                    world.witness.violate(f"rolled back, but our slot of {action.point} is filled")
                continue
            if not is_undone(action, reading, step.prior, slotted=action.kind in slotted):
                world.witness.violate(f"rolled back, but {action.point} shows {reading.value}")

    def _require_priors(self) -> None:
        """The prior is what the world showed before our first write; only others can have changed it since."""
        world = self.world
        for step in world.peek().steps(world.plan_id):
            action = next(s.action for s in world.plan.steps() if s.action.id == step.action_id)  # type: ignore[union-attr]
            if step.prior_known and not same(step.prior, action.expected, 1e-6):
                world.witness.violate(f"{action.point}: prior recorded as {step.prior}, it was {action.expected}")
