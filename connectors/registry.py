"""Connectors by type name: from a block of the site file to an object that talks to the real system."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pydantic import TypeAdapter, ValidationError

from connectors.settings import ConnectorBlock
from twin.errors import BadInputError
from twin.ports import Connector
from twin.text.tree import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorType:
    """Where a type of connector lives, and what it needs besides the core."""

    settings: str
    """``module:class`` of its settings."""
    connector: str
    """``module:class`` of the connector; takes name, settings, clock."""
    extra: str
    modules: tuple[str, ...]
    """Modules of the extra, by which its absence is noticed."""
    debian: str = ""
    """Debian packages that the extra needs or that stand in for it."""
    description: str = ""


def _protocol(module: str, name: str, extra: str, modules: tuple[str, ...], description: str) -> ConnectorType:
    path = f"connectors.protocols.{module}"
    return ConnectorType(
        settings=f"{path}:{name}Settings",
        connector=f"{path}:{name}Connector",
        extra=extra,
        modules=modules,
        description=description,
    )


TYPES: Mapping[str, ConnectorType] = {
    "bacnet": ConnectorType(
        settings="connectors.bacnet.settings:BacnetSettings",
        connector="connectors.bacnet.connector:BacnetConnector",
        extra="bacnet",
        modules=("bacpypes3",),
        description="BACnet/IP devices: read, watch, command in one slot",
    ),
    "libvirt": ConnectorType(
        settings="connectors.libvirt_hosts.settings:LibvirtSettings",
        connector="connectors.libvirt_hosts.connector:LibvirtConnector",
        extra="libvirt",
        modules=("libvirt",),
        debian="libvirt-dev gcc pkg-config to build it, or python3-libvirt for Debian's own Python",
        description="hypervisor hosts: guests, live migration, sizes",
    ),
    "prometheus": _protocol("prometheus", "Prometheus", "web", ("httpx2",), "series by query"),
    "mqtt": _protocol("mqtt", "Mqtt", "mqtt", ("paho",), "states and commands by topic"),
    "modbus": _protocol("modbus", "Modbus", "modbus", ("pymodbus",), "registers of a Modbus TCP server"),
    "redfish": _protocol("redfish", "Redfish", "web", ("httpx2",), "power and power state of hosts"),
    "home_assistant": _protocol("home_assistant", "HomeAssistant", "web", ("httpx2",), "entities of Home Assistant"),
    "calendars": _protocol(
        "calendars", "Calendar", "calendar", ("httpx2", "icalendar", "recurring_ical_events"), "bookings of rooms"
    ),
}
"""``type`` in the site file → what it is."""


def build(block: ConnectorBlock, clock: Callable[[], datetime]) -> Connector:
    """The connector of a block; nothing is connected yet.

    Raises:
        BadInputError: unknown type, missing extra, or settings at fault, with their places in the file.
    """
    kind = TYPES.get(block.kind)
    if kind is None:
        raise block.refusal("type", f"{block.kind!r} is no type of connector; known: {', '.join(sorted(TYPES))}")
    _require_extra(block, kind)
    settings = _validated(block, _named(kind.settings))
    made: Connector = _named(kind.connector)(block.name, settings, clock)
    return made


def _require_extra(block: ConnectorBlock, kind: ConnectorType) -> None:
    missing = [module for module in kind.modules if find_spec(module) is None]
    if missing:
        debian = f" ({kind.debian})" if kind.debian else ""
        message = f"{block.kind} needs {', '.join(missing)}; run: pip install 'understudy[{kind.extra}]'{debian}"
        raise block.refusal("type", message)


def _named(path: str) -> Any:  # whatever stands there
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def _validated(block: ConnectorBlock, settings: Any) -> Any:  # an instance of the settings
    try:
        return TypeAdapter(settings).validate_python(dict(block.options))
    except ValidationError as error:
        faults = [
            Fault(path=("connectors", block.name, *_place(complaint["loc"])), message=_sentence(complaint))
            for complaint in error.errors(include_url=False)
        ]
        raise BadInputError.gather(block.tree.sentences(faults)) from None
    except BadInputError as error:
        raise block.refusal("type", str(error)) from None


def _place(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    return tuple(part for part in loc if part != "[key]")


def _sentence(complaint: Any) -> str:  # pydantic's record of a fault
    if complaint["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        return f"unknown key {complaint['loc'][-1]!r}; remove it or mend its spelling"
    if complaint["type"] in {"missing", "missing_argument", "missing_keyword_only_argument"}:
        return f"{complaint['loc'][-1]!r} is missing; add it"
    return str(complaint["msg"]).removeprefix("Value error, ")
