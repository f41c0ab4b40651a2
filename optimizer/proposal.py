"""From a policy that the twin liked to the steps of a plan: which point of which target gets which value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from optimizer.experience import strangers
from optimizer.goals import Goal
from optimizer.packing import emptied, moves
from optimizer.search import SearchResult
from scenarios.expand import Tree
from twin.building.points import changed_points
from twin.errors import BadInputError, RefusedError
from twin.plan import Action, ActionKind, PointId, Value
from twin.plans.document import Interval, KpiForecast, Plan, Step, Target, TargetKind
from twin.plans.ensemble import vote_faults
from twin.policy import Policy
from twin.site import Site

if TYPE_CHECKING:
    from optimizer.evaluation import Effect

UNIT_OF_ENDING: Mapping[str, str] = {
    "_k_h": "K/h",
    "_c": "degC",
    "_k": "K",
    "_h": "h",
    "_min": "min",
    "_fraction": "fraction",
    "economizer": "bool",
    "called_by_occupancy": "people",
}
"""Unit of a program point by the end of its name; the first that fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a proposal stands on: who carries each point, present values, ranges that calibration saw."""

    carriers: Mapping[PointId, str]
    """Name of the connector that carries each point that may be changed."""
    present: Mapping[PointId, Value]
    """What the world shows now at every point that may be changed."""
    seen: Mapping[PointId, tuple[float, float]]
    """Least and greatest value in force while the twin was calibrated; absent where unknown: that is outside."""
    hold_until: datetime


def unit_of(point: PointId) -> str:
    """Unit of a program point."""
    return next((unit for ending, unit in UNIT_OF_ENDING.items() if point.endswith(ending)), "")


def building_steps(site: Site, policy: Policy, ground: Ground) -> tuple[Step, ...]:
    """One step for every program point that the policy changes, in the order of the site.

    Args:
        site: the building, with its operation.
        policy: the keys that change.
        ground: present values and ranges.
    """
    targets = _targets(site)
    outside = set(strangers(site, policy, ground.seen))
    return tuple(
        _set_point(point, value, targets[point.partition("/")[0]], ground, seen=point not in outside)
        for point, value in changed_points(site, policy).items()
    )


def _targets(site: Site) -> Mapping[str, Target]:
    people = {zone.id: zone.design_people for zone in site.zones}
    zones = {
        zone.id: Target(kind=TargetKind.ZONE, id=zone.id, rooms=(zone.id,), people=people[zone.id])
        for zone in site.zones
    }
    units = {
        unit.id: Target(
            kind=TargetKind.UNIT, id=unit.id, rooms=unit.zones, people=sum(people[z] for z in unit.zones), group=unit.id
        )
        for unit in site.air_handlers
    }
    return {**zones, **units}


def _set_point(point: PointId, value: float, target: Target, ground: Ground, *, seen: bool) -> Step:
    action = Action(
        id=f"set:{point}",
        kind=ActionKind.SET_POINT,
        connector=ground.carriers[point],
        point=point,
        value=value,
        expected=ground.present.get(point),
        expires_at=ground.hold_until,
        unit=unit_of(point),
        why=f"{point.partition('/')[2].replace('_', ' ')} of {target.id} becomes {value:g}",
    )
    return Step(action=action, target=target, inside_calibrated_range=seen)


def machine_points(before: Site, after: Site) -> tuple[PointId, ...]:
    """Points that the way from one placement to the other changes: homes of VMs, power of hosts without VMs."""
    homes = (_home(vm) for vm in moves(before, after))
    return (*homes, *(_power(host) for host in emptied(after)))


def _home(vm: str) -> PointId:
    return f"vm/{vm}/host"


def _power(host: str) -> PointId:
    return f"host/{host}/power"


def machine_steps(before: Site, after: Site, ground: Ground) -> tuple[Step, ...]:
    """Live migrations that empty hosts, each group followed by the power-off of its host; idle hosts come first.

    Homes and power states are no numbers that telemetry could span: what a host draws is in its table.
    """
    empty = [host for host in emptied(after) if ground.present.get(_power(host)) != "off"]
    by_source: dict[str, list[Step]] = {host: [] for host in empty}
    for vm, (source, target) in moves(before, after).items():
        by_source.setdefault(source, []).append(_migration(before, vm, source, target, ground))
    steps: list[Step] = []
    for source in sorted(by_source, key=lambda host: (host not in empty, bool(by_source[host]), host)):
        steps += by_source[source]
        if source in empty:
            steps.append(_power_off(before, source, ground))
    return tuple(steps)


def _migration(site: Site, vm_id: str, source: str, target: str, ground: Ground) -> Step:
    vm = next(vm for vm in site.vms if vm.id == vm_id)
    point = _home(vm_id)
    action = Action(
        id=f"migrate:{vm_id}",
        kind=ActionKind.LIVE_MIGRATE,
        connector=ground.carriers[point],
        point=point,
        value=target,
        expected=ground.present.get(point),
        why=f"{vm_id} leaves {source}, which becomes empty" if source else "",
    )
    reached = Target(kind=TargetKind.VM, id=vm_id, production=vm.production, group=source)
    return Step(action=action, target=reached, inside_calibrated_range=True)


def _power_off(site: Site, host_id: str, ground: Ground) -> Step:
    host = next(host for host in site.hosts if host.id == host_id)
    point = _power(host_id)
    action = Action(
        id=f"power-off:{host_id}",
        kind=ActionKind.POWER_OFF_HOST,
        connector=ground.carriers[point],
        point=point,
        value="off",
        expected=ground.present.get(point),
        why=f"{host_id} is empty",
    )
    target = Target(kind=TargetKind.HOST, id=host_id, redundant_with=host.redundant_with, group=host_id)
    return Step(action=action, target=target, inside_calibrated_range=True)


def kpi_forecasts(baseline: Tree, candidate: Tree, delta: Tree) -> tuple[KpiForecast, ...]:
    """The predicted effects as a plan carries them, in the order of the KPI table."""
    return tuple(
        KpiForecast(
            name=name,
            baseline=_interval(baseline, name),
            candidate=_interval(candidate, name),
            delta=_interval(delta, name),
        )
        for name in delta
    )


def _interval(block: Tree, name: str) -> Interval:
    entry = block[name]
    if not isinstance(entry, Mapping):
        raise BadInputError(f"KPI {name}: {entry!r} is no interval")
    return Interval(
        value=float(entry["value"]), low=float(entry["low"]), high=float(entry["high"]), unit=str(entry["unit"])
    )


def saving_percent(baseline: Tree, delta: Tree, names: tuple[str, ...]) -> Interval:
    """Saving summed over KPIs of one unit, as a share of the baseline; bounds add as if errors were independent. [%]

    No more than all can be saved, so the bounds end at 100 %.
    """
    base = sum(_interval(baseline, name).value for name in names)
    parts = [_interval(delta, name) for name in names]
    value = -sum(part.value for part in parts)
    down = sum((part.high - part.value) ** 2 for part in parts) ** 0.5
    up = sum((part.value - part.low) ** 2 for part in parts) ** 0.5
    scale = 100.0 / base if base else 0.0
    low, high = (min(bound * scale, 100.0) for bound in (value - down, value + up))
    return Interval(value=value * scale, low=low, high=high, unit="%")


def member_savings(effect: Effect, goal: Goal) -> tuple[float, ...]:
    """Saving of the goal by each calibration alone. [%]"""
    pairs = [(goal.score(_known(before)), goal.score(_known(after))) for before, after in effect.members]
    return tuple(100.0 * (before - after) / before if before else 0.0 for before, after in pairs)


def _known(kpis: Mapping[str, float]) -> dict[str, float]:
    """Without what the runs could not answer."""
    return {name: value for name, value in kpis.items() if math.isfinite(value)}


def require_agreement(plan: Plan) -> None:
    """Nothing when the calibrations agree on what a high-risk plan saves.

    Raises:
        RefusedError: they do not; what each promises and why the risk is high are named.
    """
    if faults := vote_faults(plan.risk_class, plan.evidence.ensemble_saving_pct):
        raise RefusedError(f"nothing is proposed ({'; '.join(plan.risk_reasons)}): {'; '.join(faults)}")


def require_worthwhile(saving: Interval, least_percent: float, goal: str) -> None:
    """Nothing when even the lower bound of the saving is worth acting.

    Raises:
        RefusedError: it isn't.
    """
    if saving.low < least_percent:
        raise RefusedError(
            f"goal {goal}: the saving is {saving.value:.1f} % (80 % interval {saving.low:.1f} to {saving.high:.1f} %); "
            f"its lower bound is below the {least_percent:g} % that acting costs, so nothing is proposed"
        )


def require_feasible(found: SearchResult, goal: Goal) -> None:
    """Nothing when the best candidate keeps every limit.

    Raises:
        RefusedError: none does; the least bad is named, never proposed.
    """
    if not found.best.breaches:
        return
    over = ", ".join(f"{name} by {excess:.3g}" for name, excess in sorted(found.best.breaches.items()))
    raise RefusedError(
        f"goal {goal.text()} is infeasible: none of {len(found.tried)} policies keeps all limits; the nearest would "
        f"save {found.saving_percent(found.best, goal):.1f} % and exceed {over}. Nothing is proposed; loosen a limit"
    )


def require_repeatable(found: SearchResult, again: Mapping[str, float]) -> None:
    """Nothing when the best candidate gives the same numbers once more, to the last bit.

    Args:
        found: the search.
        again: KPIs of its best candidate, run anew with the same seed.

    Raises:
        RefusedError: they differ; such a plan could not be derived again by whoever is to approve it.
    """
    first = found.best.kpis
    other = [name for name in first if not (first[name] == again[name] or math.isnan(first[name] + again[name]))]
    if other:
        name = other[0]
        message = f"the same seed gave {name} {first[name]!r} and then {again[name]!r}"
        raise RefusedError(f"{message}: such a plan cannot be derived again, so nothing is proposed; report this bug")


def require_reached(found: SearchResult, goal: Goal, saving: Interval) -> None:
    """Nothing when the goal asks for no more than the saving.

    Raises:
        RefusedError: it does; the best reachable and the limits that kept better policies out are named.
    """
    if goal.wanted_percent is None or saving.value >= goal.wanted_percent:
        return
    limits = ", ".join(found.binding()) or "none: the building offers no more"
    raise RefusedError(
        f"goal {goal.text()} is infeasible: the best that keeps all limits saves {saving.value:.1f} % "
        f"({saving.low:.1f} to {saving.high:.1f} %); binding limits: {limits}"
    )
