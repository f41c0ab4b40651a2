"""The whole site file as one model, and pydantic's complaints as faults with their place in the text."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError

from connectors.settings.facts import (
    AirHandlerBlock,
    Block,
    ComfortBlock,
    FreeBlock,
    HolidayBlock,
    Holidays,
    HostBlock,
    HostTypeBlock,
    Id,
    LinkBlock,
    LocationBlock,
    MeterBlock,
    Number,
    OperationNode,
    TariffBlock,
    VmBlock,
    ZoneBlock,
)
from connectors.settings.sources import SourceBlock
from twin.text.readers import shown, unknown_key
from twin.text.tree import Fault, Path


class SiteDocument(Block):
    """A site file."""

    schema_version: Literal[1] = Field(description="1")
    name: Id = Field(description="short name of the site")
    time_zone: str = Field(description="IANA zone of the site's schedules, e.g. America/Chicago")
    location: LocationBlock = Field(description="where it stands, for the sun")
    step_min: Number = Field(
        default=15.0, ge=1, le=60, description="step of control and of the telemetry grid; divides an hour [min]"
    )
    holidays: Holidays = Field(default=HolidayBlock(), description="days that run by the hours of `holidays`")
    zones: tuple[ZoneBlock, ...] = Field(min_length=1, description="thermal zones")
    air_handlers: tuple[AirHandlerBlock, ...] = Field(default=(), description="units that condition zones")
    infiltration_fraction_fans_on: Number | None = Field(
        default=None, ge=0, le=1, description="infiltration while fans run, as a share of that with fans off"
    )
    operation: OperationNode = Field(
        default=None, description="how the site runs today: the policy keys of scenario.md"
    )
    meters: tuple[MeterBlock, ...] = Field(default=(), description="what meters cover")
    comfort: ComfortBlock = Field(default=ComfortBlock(), description="comfort band")
    tariff: TariffBlock = Field(default=TariffBlock(), description="prices and carbon")
    host_types: tuple[HostTypeBlock, ...] = Field(default=(), description="models of server")
    hosts: tuple[HostBlock, ...] = Field(default=(), description="servers")
    vms: tuple[VmBlock, ...] = Field(default=(), description="virtual machines")
    links: tuple[LinkBlock, ...] = Field(default=(), description="network links")
    sources: dict[Id, SourceBlock] = Field(default={}, description="where telemetry comes from")
    connectors: dict[Id, FreeBlock] = Field(
        default={}, description="systems of the world; each has a `type` and the settings of that type"
    )


def validated(node: object, model: type[BaseModel], above: Path, faults: list[Fault]) -> BaseModel | None:
    """The model of a node; None after noting every complaint.

    Args:
        node: plain tree.
        model: what it must be.
        above: path of the node in its file.
        faults: gets the complaints.
    """
    try:
        return model.model_validate(node)
    except ValidationError as error:
        faults.extend(_fault(complaint, model, above) for complaint in error.errors(include_url=False))
        return None


def _fault(complaint: Any, model: type[BaseModel], above: Path) -> Fault:
    loc: Path = tuple(complaint["loc"])
    if loc and loc[-1] == "[key]":
        loc = loc[:-1]
    path = (*above, *loc)
    kind = complaint["type"]
    if kind == "extra_forbidden":
        owner = _model_at(model, loc[:-1])
        return Fault(path=path, message=unknown_key(loc[-1], _names(owner)), on_key=True)
    if kind == "missing":
        name = str(loc[-1])
        return Fault(path=path[:-1], message=f"{name!r} is missing; add '{name}: …', {_help(model, loc)}")
    about = _help(model, loc)
    hint = f" ({about})" if about else ""
    message = str(complaint["msg"]).replace("Input should", "it should").replace("String should", "it should")
    remedy = "; write the number without quotes" if kind in {"float_type", "int_type"} and _numeric(complaint) else ""
    return Fault(path=path, message=f"{shown(complaint['input'])}: {message}{remedy}{hint}", on_key=_on_key(complaint))


def _on_key(complaint: Any) -> bool:
    return bool(complaint["loc"]) and complaint["loc"][-1] == "[key]"


def _numeric(complaint: Any) -> bool:
    text = complaint["input"]
    return isinstance(text, str) and text.replace(".", "", 1).replace("-", "", 1).isdigit()


def _names(model: type[BaseModel] | None) -> list[str]:
    return list(model.model_fields) if model is not None else []


def _help(model: type[BaseModel], loc: Path) -> str:
    """Description of the field that a location lies in."""
    names = [i for i, part in enumerate(loc) if isinstance(part, str)]
    for i in reversed(names):
        owner = _model_at(model, loc[:i])
        if owner is not None and loc[i] in owner.model_fields:
            return owner.model_fields[str(loc[i])].description or ""
    return ""


def _model_at(model: type[BaseModel], loc: Path) -> type[BaseModel] | None:
    """The model that a location leads to, through lists, mappings and optional fields."""
    found: object = model
    for part in loc:
        if isinstance(found, type) and issubclass(found, BaseModel):
            info = found.model_fields.get(str(part))
            found = info.annotation if info is not None else None
        else:
            found = _item(found)
        found = _bare(found)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _bare(annotation: object) -> object:
    """An annotation without ``| None`` and ``Annotated``."""
    if get_origin(annotation) in {Union, types.UnionType}:
        inner: Sequence[object] = [item for item in get_args(annotation) if item is not type(None)]
        return _bare(inner[0])
    if hasattr(annotation, "__metadata__"):
        return _bare(get_args(annotation)[0])
    return annotation


def _item(annotation: object) -> object:
    """What a list or mapping holds."""
    inner = [item for item in get_args(annotation) if item is not Ellipsis]
    return inner[-1] if inner else None
