"""The scenario file: its schema, and reading it with faults that name line and column."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from twin.errors import BadInputError
from twin.policy_text import read_policy
from twin.text.readers import shown, unknown_key
from twin.text.tree import Fault, MarkedTree
from twin.text.yaml import read_yaml

Moment = date | datetime
"""A date (local midnight of the site) or an aware time."""
KINDS = ("replay", "forecast", "synthetic")
_NAME = r"^[^\s<>&\"`=+@-][^\x00-\x1f\x7f<>&\"`\u202a-\u202e\u2066-\u2069]{0,149}$"
_NAME_LETTERS = 150
OVERRIDES_FILE = "overrides.yaml"
LIBRARY = Path(__file__).parent / "library"


def _moment(node: object) -> object:
    """A date or an aware time from what the file says."""
    value = node
    if isinstance(node, str):
        try:
            value = date.fromisoformat(node) if len(node) == 10 else datetime.fromisoformat(node)
        except ValueError:
            value = None
    if isinstance(value, datetime) and value.tzinfo is None:
        message = "{text} has no time zone; write a date such as 2023-07-01, or add an offset such as Z or +01:00"
        raise PydanticCustomError("naive_time", message, {"text": str(node)})
    if not isinstance(value, date):
        message = "{text} is not a time; write a date such as 2023-07-01 or a time such as 2023-07-01T06:00:00Z"
        raise PydanticCustomError("moment", message, {"text": shown(node)})
    return value


def _one_kind(node: object) -> object:
    """``replay`` or ``{forecast: {samples: 20}}`` as a mapping with its kind."""
    said = node
    if isinstance(node, str):
        node = {node: None}
    if not isinstance(node, Mapping) or len(node) != 1 or next(iter(node)) not in KINDS:
        message = "{text} is not a kind of drivers; use one of replay, forecast, synthetic, or one of them with options"
        raise PydanticCustomError("drivers", message, {"text": shown(said)})
    kind, options = next(iter(node.items()))
    if options is not None and not isinstance(options, Mapping):
        message = "{text} is not a mapping of options; use for example {{forecast: {{samples: 20}}}}"
        raise PydanticCustomError("drivers", message, {"text": shown(options)})
    return {"kind": kind, **(options or {})}


def _a_list(node: object) -> object:
    return [] if node is None else node if isinstance(node, list) else [node]


def _seed_list(node: object) -> object:
    """``3`` means the seeds 0, 1 and 2."""
    if isinstance(node, int) and not isinstance(node, bool):
        if not 1 <= node <= 10_000:
            raise PydanticCustomError("seeds", "{n} seeds is outside the limits; use 1 to 10000", {"n": node})
        return list(range(node))
    return node


class Block(BaseModel):
    """A mapping of the file: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=False)


class PeriodSpec(Block):
    """The time that a scenario covers, from ``from`` up to and without ``to``."""

    from_: Annotated[Moment, BeforeValidator(_moment)] = Field(
        alias="from", description="first moment: a date (midnight at the site) or a time with offset"
    )
    to: Annotated[Moment, BeforeValidator(_moment)] = Field(
        description="end, not included: a date (midnight at the site) or a time with offset"
    )


class DriversSpec(Block):
    """What the twin does not decide comes from here."""

    kind: Literal["replay", "forecast", "synthetic"] = Field(
        default="replay",
        description="replay: recorded telemetry; forecast: samples of the days ahead; synthetic: days drawn from "
        "telemetry by season and kind of day",
    )
    samples: int = Field(default=20, ge=1, le=1000, description="forecast: number of samples")
    block_days: int = Field(default=3, ge=1, le=14, description="synthetic: days drawn together")
    window_days: int = Field(
        default=45, ge=7, le=183, description="synthetic: how far from the day of the year a drawn day may lie"
    )


class WorldSpec(Block):
    """Changes of the world that a scenario meets; every factor applies to the whole period."""

    outdoor_temperature_shift_k: float = Field(default=0.0, ge=-20, le=20, description="added to outdoor air [K]")
    people_scale: float = Field(default=1.0, ge=0, le=5, description="people in every zone, rounded to whole people")
    lights_scale: float = Field(default=1.0, ge=0, le=5, description="power of lights")
    plugs_scale: float = Field(default=1.0, ge=0, le=5, description="power of plugs")
    other_gain_scale: float = Field(default=1.0, ge=0, le=5, description="other heat in the zones")
    vm_demand_scale: float = Field(default=1.0, ge=0, le=5, description="CPU demand of the VMs, at most their capacity")
    electricity_price_scale: float = Field(default=1.0, ge=0, le=100, description="price of electricity")
    carbon_scale: float = Field(default=1.0, ge=0, le=100, description="carbon intensity of electricity")


class OverrideSpec(WorldSpec):
    """A small change on top of a scenario: keys of the policy, and of the world it meets."""

    policy: object = Field(default=None, description="policy keys; each replaces the scenario's key as a whole")


def _shown_override(node: object) -> object:
    if not isinstance(node, str | Mapping):
        message = "{text} is neither the name of an override nor a block of keys"
        raise PydanticCustomError("override", message, {"text": shown(node)})
    return node if isinstance(node, str) else OverrideSpec.model_validate(node)


Override = Annotated[str | OverrideSpec, BeforeValidator(_shown_override)]


class ScenarioSpec(Block):
    """One scenario file."""

    schema_version: Literal[1] = Field(description="version of this format: 1")
    name: str = Field(
        pattern=_NAME,
        description='up to 150 characters without < > & " ` and control characters, not beginning with = + - @; '
        "unique in a run",
    )
    description: str = Field(default="", description="a sentence for people")
    site: str | None = Field(
        default=None, description="site file or its folder, relative to this file; absent: the workspace"
    )
    period: PeriodSpec | None = Field(
        default=None, description="{from, to}; absent: the longest unbroken telemetry (replay only)"
    )
    drivers: Annotated[DriversSpec, BeforeValidator(_one_kind)] = Field(
        default=DriversSpec(), description="replay, forecast or synthetic"
    )
    policy: object = Field(default=None, description="policy keys (below); absent keys stay as the site operates")
    overrides: Annotated[tuple[Override, ...], BeforeValidator(lambda node: tuple(_as_items(node)))] = Field(
        default=(), description="list of names of overrides or of blocks, applied in order"
    )
    matrix: dict[str, list[object]] = Field(
        default={}, description="axis → values; every combination becomes a scenario (the only loop)"
    )
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(lambda node: _tuple(_seed_list(node)))
    ] = Field(default=(0,), description="how many seeds (3 means 0, 1, 2) or a list of them")
    baseline: str | None = Field(default=None, description="name of the scenario that deltas are taken against")


def _tuple(node: object) -> object:
    return tuple(node) if isinstance(node, list) else node


def _as_items(node: object) -> list[object]:
    items = _a_list(node)
    return items if isinstance(items, list) else [items]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioFile:
    """A scenario as written, with its file and the named overrides it may use."""

    spec: ScenarioSpec
    path: Path
    tree: MarkedTree
    named: Mapping[str, OverrideSpec]

    def fault(self, path: tuple[str | int, ...], message: str) -> str:
        """A sentence about a place of the file."""
        return self.tree.sentence(Fault(path=path, message=message))


def read_scenario(path: Path) -> ScenarioFile:
    """A scenario file.

    Raises:
        BadInputError: with every fault as ``file:LINE:COL: …``.
    """
    tree = _tree(path)
    faults: list[Fault] = []
    spec = _validated(ScenarioSpec, tree.root, (), faults)
    if isinstance(tree.root, Mapping):
        read_policy(tree.root.get("policy"), ("policy",), faults)
        for index, block in enumerate(_as_items(tree.root.get("overrides"))):
            if isinstance(block, Mapping):
                read_policy(block.get("policy"), ("overrides", index, "policy"), faults)
    if faults or spec is None:
        raise BadInputError.gather(tree.sentences(faults))
    named = {**read_overrides(LIBRARY / OVERRIDES_FILE), **read_overrides(path.parent / OVERRIDES_FILE)}
    return ScenarioFile(spec=spec, path=path, tree=tree, named=named)


def read_scenarios(paths: Sequence[Path]) -> list[ScenarioFile]:
    """The scenarios of some files, or of the files of some folders.

    Raises:
        BadInputError: with the faults of all files at once.
    """
    faults: list[str] = []
    read: list[ScenarioFile] = []
    for path in scenario_files(paths):
        try:
            read.append(read_scenario(path))
        except BadInputError as error:
            faults += error.faults or [str(error)]
    if faults:
        raise BadInputError.gather(faults)
    return read


def read_overrides(path: Path) -> dict[str, OverrideSpec]:
    """Named overrides of a file (name → block); none when there is no such file."""
    if not path.is_file():
        return {}
    tree = _tree(path)
    faults: list[Fault] = []
    named: dict[str, OverrideSpec] = {}
    if not isinstance(tree.root, Mapping):
        faults.append(Fault(path=(), message="a file of overrides is a mapping of name to block"))
        raise BadInputError.gather(tree.sentences(faults))
    for name, block in tree.root.items():
        spec = _validated(OverrideSpec, block, (str(name),), faults)
        if spec is not None:
            read_policy(spec.policy, (str(name), "policy"), faults)
            named[str(name)] = spec
    if faults:
        raise BadInputError.gather(tree.sentences(faults))
    return named


def scenario_files(paths: Sequence[Path]) -> list[Path]:
    """The scenario files that paths name; a folder stands for its ``*.yaml`` and ``*.yml`` in the order of names.

    Files of overrides are left out, so that ``scenarios/*.yaml`` of a shell works.

    Raises:
        BadInputError: paths that do not exist, or folders without a scenario, all of them.
    """
    files: list[Path] = []
    faults: list[str] = []
    for path in paths:
        if path.is_dir():
            found = sorted(
                item for item in path.iterdir() if item.suffix in {".yaml", ".yml"} and item.name != OVERRIDES_FILE
            )
            if not found:
                faults.append(f"{path}: the folder holds no scenario file (*.yaml); name a file or another folder")
            files.extend(found)
        elif path.is_file():
            files.extend([path] if path.name != OVERRIDES_FILE or len(paths) == 1 else [])
        else:
            faults.append(f"{path}: there is no such scenario file; check the path")
    if faults:
        raise BadInputError.gather(faults)
    return list(dict.fromkeys(files))


_M = TypeVar("_M", bound=BaseModel)


def _tree(path: Path) -> MarkedTree:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror}; check the path") from None
    return read_yaml(data, str(path))


def _validated(model: type[_M], node: object, path: tuple[str | int, ...], faults: list[Fault]) -> _M | None:
    try:
        return model.model_validate(node)
    except ValidationError as error:
        faults.extend(_fault(item, model, path) for item in error.errors(include_url=False))
        return None


_UNION_TAG = re.compile(r"^(str|OverrideSpec|function-before|tuple|list|dict|lax-or-strict|date|datetime)\b")


def _fault(item: ErrorDetails, model: type[BaseModel], path: tuple[str | int, ...]) -> Fault:
    """A pydantic error as a fault with a sentence of ours."""
    location = tuple(part for part in item["loc"] if not (isinstance(part, str) and _UNION_TAG.match(part)))
    where = (*path, *location)
    if item["type"] == "extra_forbidden":
        return Fault(path=where, message=unknown_key(location[-1], _known_keys(model, location)), on_key=True)
    if item["type"] == "missing":
        return Fault(path=where[:-1], message=f"{where[-1]!r} is missing; add it")
    if item["type"] == "model_type":
        return Fault(path=where, message=_no_block(item["input"], model, location))
    if item["type"] == "string_pattern_mismatch":
        return Fault(path=where, message=_bad_name(str(item["input"])))
    if item["type"] in {"naive_time", "moment", "drivers", "seeds", "override"}:
        return Fault(path=where, message=item["msg"])
    return Fault(path=where, message=f"{shown(item['input'])}: {item['msg'][0].lower()}{item['msg'][1:]}")


def _no_block(node: object, model: type[BaseModel], location: tuple[str | int, ...]) -> str:
    """What to say where keys with values are expected and something else stands."""
    keys = ", ".join(_known_keys(model, (*location, "")) if location else _known_keys(model, ()))
    if node is None and not location:
        return f"the file is empty; write `schema_version: 1` and `name: …`, and of the others what you need: {keys}"
    return f"{shown(node)} is not a block of keys; write `key: value` lines with keys of these: {keys}"


def _bad_name(name: str) -> str:
    allowed = f"use {ScenarioSpec.model_fields['name'].description}"
    if not 1 <= len(name) <= _NAME_LETTERS:
        return f"a name of {len(name)} characters; {allowed}"
    first = next((i for i in range(len(name)) if not re.match(_NAME, name[: i + 1])), 0)
    return f"{shown(name)} has {name[first]!r} {'at its start' if first == 0 else 'in it'}; {allowed}"


def _known_keys(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """Keys that the block at a location knows."""
    inner: dict[str, type[BaseModel]] = {"period": PeriodSpec, "drivers": DriversSpec, "overrides": OverrideSpec}
    block = inner.get(str(location[0]), model) if len(location) > 1 else model
    return [field.alias or name for name, field in block.model_fields.items() if name != "kind"]
