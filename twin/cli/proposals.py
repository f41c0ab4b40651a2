"""How a plan comes about: days ahead, search in the twin, effect over the whole ensemble, steps, document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli.control_room import AsOption, ControlRoom, open_control_room, principal_of
from twin.cli.output import HERE, JsonOption, Progress, WorkspaceOption, print_json, progress_bar, say
from twin.cli.plan_evidence import alternatives_of, evidence_of
from twin.cli.plans import plans, view_document
from twin.cli.sound_twin import accepted_model, require_sound
from twin.cli.workspace import Workspace
from twin.errors import BadInputError
from twin.text.canonical import plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from connectors.governance import Principal
    from optimizer.evaluation import Effect, Rehearsal
    from optimizer.goals import Goal
    from optimizer.search import SearchResult
    from twin.drivers import Drivers, Weather
    from twin.model import Model
    from twin.plans.document import Interval, Plan
    from twin.policy import Policy
    from twin.ports import Connector
    from twin.site import Site

AHEAD_DAYS = 7
SAMPLES = 3
MEMBERS = 6
LEAST_SAVING_PERCENT = 1.0
"""What acting costs, as a share of the goal: below it nothing is proposed. [%]"""


def register(_: typer.Typer) -> None:
    """Adds the command of this area to those on plans."""
    plans.command("propose")(propose_plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A policy with all that was found out about it."""

    policy: Policy
    goal: Goal
    search: SearchResult
    effect: Effect
    saving: Interval
    """Of the goal. [%]"""
    votes: tuple[float, ...]
    """The same by each calibration alone. [%]"""


def present(here: Workspace) -> datetime:
    """The moment after the last reading of a zone temperature: where the future begins."""
    from twin.vocab import PointKind

    points = [point.id for point in here.site.points_of(PointKind.ZONE_AIR_TEMPERATURE)]
    last: datetime = here.telemetry.read(points)["timestamp"].max().to_pydatetime()
    return last + timedelta(seconds=here.site.step_s)


def days_ahead(here: Workspace, weather: Weather | None, *, seed: int, samples: int = SAMPLES) -> tuple[Drivers, ...]:
    """Samples of the week ahead; the first is the median.

    Args:
        here: the workspace.
        weather: a weather service's forecast on the grid of the week, None: forecast from the telemetry alone.
        seed: of the samples.
        samples: how many.
    """
    from twin.cli.recorded_drivers import TelemetryDrivers

    now = present(here)
    ahead = TelemetryDrivers(here, seed).ahead(now, now + timedelta(days=AHEAD_DAYS), samples)
    return ahead if weather is None else tuple(_with_weather(one, weather) for one in ahead)


def _with_weather(drivers: Drivers, weather: Weather) -> Drivers:
    """Drivers under a given weather, without what is said about that of the telemetry."""
    of_weather = {item.name for item in fields(weather)}
    left = tuple(one for one in drivers.findings if one.point not in of_weather)
    return replace(drivers, weather=weather, findings=left)


def rehearsal_of(
    here: Workspace, ahead: tuple[Drivers, ...], connectors: Mapping[str, Connector], *, seed: int
) -> Rehearsal:
    """The twin with the week that lies ahead, its VMs where the hosts show them now.

    Raises:
        RefusedError: the twin is of another site, the building has left it, or two rooms of the last weeks carry each
            other's temperature.
    """
    from optimizer.evaluation import Rehearsal
    from optimizer.experience import experience, recorded_ranges, unseen
    from twin.cli.machines import live_machines, power_of
    from twin.cli.models import record_of
    from twin.cli.recorded_drivers import TelemetryDrivers
    from twin.cli.runs import twin_of
    from twin.text.canonical import digest

    history = TelemetryDrivers(here, seed).history(ahead[0].start)
    require_sound(here, ahead[0].start)
    model = here.models.current()
    operated = model.site_digest == digest(here.site)
    learnt = record_of(here, model.start, model.end)
    live = live_machines(here.site, connectors)
    switched = set(power_of(live.site, connectors))
    return Rehearsal(
        twin=replace(twin_of(here, MEMBERS), site=live.site),
        drivers=tuple(map(live.drivers, ahead)),
        busiest=live.demand(_busiest(history, len(here.site.vms))),
        seen=experience(here.site, learnt, operated=operated),
        seeds=(seed,),
        findings=(*unseen(here.site, recorded_ranges(here.site, learnt, operated=operated)), *ahead[0].findings),
        notes=tuple(map(str, live.notes)),
        consolidates=live.clear and all(host.id in switched for host in live.site.hosts),
    )


def _busiest(history: Drivers, vms: int) -> NDArray[np.float64]:
    """Demand that a packing must hold: the 99th percentile of the last weeks, as a share of the VM's CPU."""
    import numpy as np

    if history.vm_utilization is None:
        return np.ones(vms)
    result: NDArray[np.float64] = np.quantile(history.vm_utilization, 0.99, axis=0)
    return result


def searched(rehearsal: Rehearsal, goal: Goal, *, trials: int, seed: int, progress: Progress | None = None) -> Proposal:
    """The best policy that keeps its limits, with its effect over the whole ensemble.

    Raises:
        RefusedError: the goal cannot be reached, not even the lower bound of the saving pays, or the same seed gives
            another answer.
    """
    from optimizer.goals import GOAL_KPIS, Limits
    from optimizer.proposal import (
        member_savings,
        require_feasible,
        require_reached,
        require_repeatable,
        require_worthwhile,
        saving_percent,
    )
    from optimizer.search import search
    from optimizer.space import PolicySpace

    rehearsal = rehearsal.within(goal)
    site = rehearsal.twin.site
    space = PolicySpace(site=site if rehearsal.consolidates else replace(site, hosts=()))
    limits = Limits(comfort_is_asked=goal.warmest_c is not None)
    found = search(
        space, rehearsal.quick, goal, limits, weeks=rehearsal.weeks, trials=trials, seed=seed, progress=progress
    )
    require_feasible(found, goal)
    require_repeatable(found, replace(rehearsal, _machines={}).quick(found.best.policy))
    effect = rehearsal.effect(found.best.policy, progress)
    names = tuple(name for name in GOAL_KPIS[goal.name] if name in effect.delta)
    saving = saving_percent(effect.baseline, effect.delta, names)
    require_reached(found, goal, saving)
    require_worthwhile(saving, LEAST_SAVING_PERCENT, goal.name)
    votes = member_savings(effect, goal)
    return Proposal(policy=found.best.policy, goal=goal, search=found, effect=effect, saving=saving, votes=votes)


def draft_plan(
    here: Workspace,
    proposal: Proposal,
    rehearsal: Rehearsal,
    model: Model,
    connectors: Mapping[str, Connector],
    *,
    proposer: str,
    now: datetime,
    policy_digest: str,
    seed: int,
    outdoor_mean_c: Mapping[str, float] | None = None,
) -> Plan:
    """The plan of a proposal: every target with what the world shows now and what it becomes.

    Args:
        here: the workspace.
        proposal: what was found.
        rehearsal: in which it was found.
        model: the calibrated twin.
        connectors: by name.
        proposer: who makes it.
        now: the moment.
        policy_digest: of the rules in force.
        seed: of samples and search.
        outdoor_mean_c: the weather counted on, by day, where the telemetry gave it; another one later makes it stale.

    Raises:
        RefusedError: no connector carries the program of the building, the world cannot be read, or the risk is high
            and the calibrations do not agree.
    """
    from optimizer.goals import GOAL_WORDS
    from optimizer.proposal import (
        Ground,
        building_steps,
        kpi_forecasts,
        machine_points,
        machine_steps,
        require_agreement,
    )
    from optimizer.rollback import rehearse_rollback
    from twin.building.points import changed_points
    from twin.cli.carriers import carriers, temperature_guards
    from twin.plans.waves import assemble_plan

    site, standing, packed = here.site, rehearsal.twin.site, rehearsal.site_of(proposal.policy)
    building_points = list(changed_points(site, proposal.policy))
    moving_points = machine_points(standing, packed) if packed is not standing else ()
    carried = carriers(connectors, building_points, "the program of the building")
    carried |= carriers(connectors, moving_points, "the moves of VMs and the power of hosts")
    hold_until = max(rehearsal.drivers[0].end, now + timedelta(days=AHEAD_DAYS))
    ground = Ground(
        carriers={point: name for point, (name, _) in carried.items()},
        present={point: value for point, (_, value) in carried.items()},
        seen=rehearsal.seen,
        hold_until=hold_until,
    )
    moved = machine_steps(standing, packed, ground) if moving_points else ()
    age = now - rehearsal.drivers[0].start
    evidence = evidence_of(here, proposal, model, policy_digest, seed, age, rehearsal.findings)
    effect, lowered = proposal.effect, GOAL_WORDS[proposal.goal.name]
    plan = assemble_plan(
        site=site.name,
        title=f"Save {proposal.saving.value:.0f} % of {lowered} until {_local(hold_until, site)}",
        question=f"Which policy lowers {lowered} most while comfort, air and service keep their limits?",
        proposer=proposer,
        created_at=now,
        not_before=now,
        expires_at=now + timedelta(days=1),
        hold_until=hold_until,
        steps=(*building_steps(site, proposal.policy, ground), *moved),
        rooms_in_site=len(site.zones),
        settle_s=site.step_s,
        guards=temperature_guards(site, connectors) if building_points else (),
        kpis=kpi_forecasts(effect.baseline, effect.candidate, effect.delta),
        evidence=replace(
            evidence,
            outdoor_mean_c=outdoor_mean_c or {},
            assumptions=(*evidence.assumptions, *rehearsal.notes),
        ),
        rehearsal=rehearse_rollback(site, model.parameters, rehearsal.drivers[0], proposal.policy),
        alternatives=alternatives_of(proposal),
    )
    require_agreement(plan)
    return plan


def _local(moment: datetime, site: Site) -> str:
    return f"{moment.astimezone(site.time_zone):%d %B %Y}"


def question_of(plan: Plan) -> tuple[str, int]:
    """Goal and seed of a plan, to ask the same again.

    Raises:
        BadInputError: it was not made from a goal.
    """
    scenario = plan.evidence.scenario
    if not scenario.startswith("goal "):
        raise BadInputError(f"plan {plan.id[:12]} was made from {scenario!r}, not from a goal; give --goal instead")
    return scenario.removeprefix("goal "), plan.evidence.seed


def propose_plan(
    goal: Annotated[
        str, typer.Option("--goal", help="energy, hvac, cost, carbon or peak; also 'cost -20%'.")
    ] = "energy",
    as_user: AsOption = None,
    trials: Annotated[int, typer.Option(min=1, help="Policies to try at most.")] = 120,
    seed: Annotated[int, typer.Option(help="Of forecast samples and search.")] = 0,
    again: Annotated[str | None, typer.Option("--again", help="A stale plan: take its goal and seed.")] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Search the twin for the best policy of the week ahead and store it as a plan."""
    from optimizer.goals import GOAL_WORDS, Goal

    here = Workspace.at(workspace)
    room = open_control_room(workspace)
    if again is not None:
        goal, seed = question_of(room.store.plan(room.store.resolve(again)))
    accepted_model(here)
    wanted, who = Goal.parse(goal), principal_of(room, as_user)
    with progress_bar("propose") as tell:
        proposal, plan_id = proposed(here, room, who, wanted, trials=trials, seed=seed, tell=tell)
    view = room.store.view(plan_id)
    if as_json:
        print_json({**view_document(view), "saving_pct": plain(proposal.saving)})
        return
    say(f"plan {plan_id[:12]} is {view.record.state}: {view.plan.title}")
    saving, lowered = proposal.saving, GOAL_WORDS[wanted.name]
    say(f"saves {saving.value:.1f} % ({saving.low:.1f} to {saving.high:.1f} %) of {lowered}, the twin says")
    say(f"look at it: understudy plan show {plan_id[:12]}")


def proposed(
    here: Workspace,
    room: ControlRoom,
    who: Principal,
    goal: Goal,
    *,
    trials: int,
    seed: int,
    tell: Progress | None = None,
) -> tuple[Proposal, str]:
    """Searches the week ahead and stores the plan; the proposal and the plan's id.

    Raises:
        RefusedError: no accepted twin, or nothing that pays within the limits.
    """
    from connectors.governance import propose
    from twin.cli.outlook import outdoor_means, whole_days

    model = accepted_model(here)
    ahead = days_ahead(here, None, seed=seed)
    rehearsal = rehearsal_of(here, ahead, room.connectors, seed=seed)
    proposal = searched(rehearsal, goal, trials=trials, seed=seed, progress=tell)
    plan = draft_plan(
        here,
        proposal,
        rehearsal,
        model,
        room.connectors,
        proposer=who.name,
        now=room.clock.now(),
        policy_digest=room.policies.bundle().digest,
        seed=seed,
        outdoor_mean_c=outdoor_means(here, ahead[0].start, whole_days(here.site, ahead[0].start, ahead[0].end)),
    )
    return proposal, propose(room.store, plan, who).plan_id
