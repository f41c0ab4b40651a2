"""Scenario files into a flat list of fully resolved scenarios: pure, the only place that loops over a matrix."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from typing import Literal
from zoneinfo import ZoneInfo

from scenarios.spec import Moment, OverrideSpec, ScenarioFile, WorldSpec
from twin.errors import BadInputError
from twin.policy import Policy
from twin.policy_text import read_policy, zone_faults
from twin.site import Site
from twin.text.tree import Fault

Tree = dict[str, object]
MAX_SCENARIOS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Changes of the world on top of the drivers; factors are shares of what is recorded or forecast."""

    outdoor_temperature_shift_k: float = 0.0
    people_scale: float = 1.0
    lights_scale: float = 1.0
    plugs_scale: float = 1.0
    other_gain_scale: float = 1.0
    vm_demand_scale: float = 1.0
    electricity_price_scale: float = 1.0
    carbon_scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverRequest:
    """Which drivers a scenario meets; scenarios with equal requests share them (common random numbers)."""

    kind: Literal["replay", "forecast", "synthetic"]
    start: datetime | None
    end: datetime | None
    """None with ``start`` None: all telemetry there is."""
    samples: int = 1
    block_days: int = 3
    window_days: int = 45


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One question, fully resolved: nothing is left to defaults, files or names."""

    index: int
    name: str
    request: DriverRequest
    world: World
    policy: Policy
    """Keys that the scenario names; the others stay as the site operates."""
    policy_text: Tree
    """The same as it would be written in a file."""
    seeds: tuple[int, ...]
    baseline: str | None
    description: str = ""
    axes: Mapping[str, str] = field(default_factory=dict)
    """Axis → value of the matrix that this scenario stands for."""


def expand(files: Sequence[ScenarioFile], site: Site) -> tuple[Scenario, ...]:
    """All scenarios of the files in their order, matrices written out.

    Raises:
        BadInputError: an unknown override or zone, a matrix that does not fit, two scenarios of one name, a baseline
            that is not there, or an empty period; with all faults.
    """
    faults: list[str] = []
    origin: dict[str, ScenarioFile] = {}
    found: list[Scenario] = []
    for file in files:
        of_file = _expanded(file, site, faults)
        origin |= {scenario.name: file for scenario in of_file}
        found += of_file
    faults.extend(_double_names(found))
    if not faults:
        faults.extend(_baseline_faults(found, origin))
    if len(found) > MAX_SCENARIOS:
        faults.append(f"{len(found)} scenarios are above the limit of {MAX_SCENARIOS}; split the matrix")
    if faults:
        raise BadInputError.gather(faults)
    return tuple(
        replace(scenario, index=index, seeds=_seeds_with_dependants(scenario, found))
        for index, scenario in enumerate(found)
    )


def _expanded(file: ScenarioFile, site: Site, faults: list[str]) -> list[Scenario]:
    spec = file.spec
    axes = list(spec.matrix.items())
    empty = [name for name, values in axes if not values]
    if empty:
        faults.append(file.fault(("matrix", empty[0]), "the axis has no values; list at least one"))
        return []
    request = _request(file, site, faults)
    found: list[Scenario] = []
    for values in itertools.product(*(values for _, values in axes)):
        point = dict(zip(spec.matrix, values, strict=True))
        scenario = _resolved(file, site, request, point, faults)
        if scenario is not None:
            found.append(scenario)
    return found


def _resolved(
    file: ScenarioFile, site: Site, request: DriverRequest, point: Mapping[str, object], faults: list[str]
) -> Scenario | None:
    """The scenario at one point of the matrix; None after noting why not."""
    spec = file.spec
    before = len(faults)
    policy: Tree = dict(spec.policy) if isinstance(spec.policy, Mapping) else {}
    world = World()
    extra = point.get("overrides")
    for block in [*_blocks(file, spec.overrides, ("overrides",), faults), *_axis_blocks(file, extra, faults)]:
        world = _combined(world, block)
        policy |= block.policy if isinstance(block.policy, Mapping) else {}
    for axis, value in point.items():
        if axis != "overrides":
            policy = _with_axis(file, policy, axis, value, faults)
    if len(faults) > before:
        return None
    parsed = _parsed(file, site, policy, point, faults)
    shown = {axis: _shown(value) for axis, value in point.items()}
    suffix = ", ".join(f"{axis}={value}" for axis, value in shown.items())
    return Scenario(
        index=0,
        name=f"{spec.name} [{suffix}]" if suffix else spec.name,
        request=request,
        world=world,
        policy=parsed,
        policy_text=policy,
        seeds=spec.seeds,
        baseline=spec.baseline,
        description=spec.description,
        axes=shown,
    )


def _request(file: ScenarioFile, site: Site, faults: list[str]) -> DriverRequest:
    spec = file.spec
    start = end = None
    if spec.period is not None:
        start, end = local_moment(spec.period.from_, site.time_zone), local_moment(spec.period.to, site.time_zone)
        if start >= end:
            message = f"`to` {spec.period.to} is not after `from` {spec.period.from_}; `to` itself is not included"
            faults.append(file.fault(("period", "to"), message))
    elif spec.drivers.kind != "replay":
        faults.append(file.fault(("drivers",), f"{spec.drivers.kind} needs a period; add period: {{from: …, to: …}}"))
    kind = spec.drivers.kind
    return DriverRequest(
        kind=kind,
        start=start,
        end=end,
        samples=spec.drivers.samples if kind == "forecast" else 1,
        block_days=spec.drivers.block_days,
        window_days=spec.drivers.window_days,
    )


def local_moment(moment: Moment, zone: ZoneInfo) -> datetime:
    """A date's midnight in the zone, or an aware time, in UTC."""
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    return datetime.combine(moment, time(), tzinfo=zone).astimezone(UTC)


def _blocks(
    file: ScenarioFile, items: Sequence[str | OverrideSpec], path: tuple[str | int, ...], faults: list[str]
) -> list[OverrideSpec]:
    """Overrides with their names looked up."""
    blocks: list[OverrideSpec] = []
    for index, item in enumerate(items):
        if isinstance(item, OverrideSpec):
            blocks.append(item)
        elif item in file.named:
            blocks.append(file.named[item])
        elif item != "none":
            message = f"there is no override {item!r}; known: none, {', '.join(sorted(file.named))}"
            faults.append(file.fault((*path, index), message))
    return blocks


def _axis_blocks(file: ScenarioFile, value: object, faults: list[str]) -> list[OverrideSpec]:
    """Overrides that a matrix point names: one name or a list of them."""
    names = value if isinstance(value, list) else [] if value is None else [value]
    return _blocks(file, [str(name) for name in names], ("matrix", "overrides"), faults)


def _combined(world: World, block: WorldSpec) -> World:
    """Both changes one after the other: shifts add, factors multiply."""
    factors = {
        name: getattr(world, name) * getattr(block, name) for name in WorldSpec.model_fields if name.endswith("_scale")
    }
    shift = world.outdoor_temperature_shift_k + block.outdoor_temperature_shift_k
    return World(outdoor_temperature_shift_k=shift, **factors)


def _with_axis(file: ScenarioFile, policy: Tree, axis: str, value: object, faults: list[str]) -> Tree:
    """The policy with one axis set; ``a.b`` sets a key inside the policy's ``a``."""
    if axis == "policy":
        if not isinstance(value, Mapping) and value != "baseline":
            message = f"{_shown(value)} is not a block of policy keys; use {{key: value}} or baseline"
            faults.append(file.fault(("matrix", "policy"), message))
            return policy
        return policy | (dict(value) if isinstance(value, Mapping) else {})
    changed: Tree = copy.deepcopy(policy)
    node = changed
    *above, last = axis.split(".")
    for part in above:
        inner = node.get(part)
        if not isinstance(inner, dict):
            message = f"the policy has no {part!r} to vary; name it under `policy` first"
            faults.append(file.fault(("matrix", axis), message))
            return policy
        node = inner
    node[last] = copy.deepcopy(value)
    return changed


def _parsed(file: ScenarioFile, site: Site, policy: Tree, point: Mapping[str, object], faults: list[str]) -> Policy:
    noted: list[Fault] = []
    parsed = read_policy(policy, ("policy",), noted)
    noted.extend(zone_faults(parsed, [zone.id for zone in site.zones], ("policy",)))
    suffix = f" (with {', '.join(f'{axis}={_shown(value)}' for axis, value in point.items())})" if point else ""
    faults.extend(file.fault(fault.path, fault.message) + suffix for fault in noted)
    return parsed


def _shown(value: object) -> str:
    """A value of an axis as short text."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True).replace('"', "")


def _seeds_with_dependants(scenario: Scenario, found: Sequence[Scenario]) -> tuple[int, ...]:
    """Seeds of a scenario and of all that take their delta against it."""
    dependants = [other.seeds for other in found if other.baseline == scenario.name]
    return tuple(sorted({*scenario.seeds, *(seed for seeds in dependants for seed in seeds)}))


def _double_names(found: Sequence[Scenario]) -> list[str]:
    seen: set[str] = set()
    faults = []
    for scenario in found:
        if scenario.name in seen:
            faults.append(f"two scenarios are named {scenario.name!r}; give each its own name")
        seen.add(scenario.name)
    return faults


def _baseline_faults(found: Sequence[Scenario], origin: Mapping[str, ScenarioFile]) -> list[str]:
    """Baselines that are not among the scenarios, or meet other drivers."""
    by_name = {scenario.name: scenario for scenario in found}
    faults = []
    for scenario in found:
        if scenario.baseline is None:
            continue
        baseline = by_name.get(scenario.baseline)
        if baseline is None:
            known = ", ".join(by_name)
            message = f"baseline {scenario.baseline!r} is not among the scenarios of this run ({known})"
            told = f"{message}; give its file too, or mend the name"
            faults.append(origin[scenario.name].fault(("baseline",), told))
        elif baseline.request != scenario.request:
            message = f"{scenario.name} and its baseline {baseline.name} differ in period or drivers"
            told = f"{message}; a delta is taken over the same days, so make them equal"
            faults.append(origin[scenario.name].fault(("baseline",), told))
    return faults


__all__ = ["DriverRequest", "Scenario", "World", "expand", "local_moment"]
