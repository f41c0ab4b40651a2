"""Settings of a BACnet/IP connector: devices, points, and how carefully to talk to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.set_point import Allowance
from twin.errors import BadInputError
from twin.vocab import PointKind

LOWEST_PRIORITY_OF_PEOPLE = 8
"""Slots 1 to 8 belong to safety, equipment protection and the human operator; we never write there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BacnetDevice:
    """A device, by instance number and, where broadcasts do not reach it, by address."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    instance: int
    address: str | None = None
    """``ip:port`` for a directed Who-Is; None to broadcast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BacnetPoint:
    """One object of a device as a point of the site."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    device: str
    object: str
    """Type and instance, as in ``analog-value,1``."""
    kind: PointKind | None = None
    unit: str | None = None
    """The unit on the wire, where it is not the product's."""
    write: Allowance | None = None
    cov: bool = False
    """Whether the device is asked to report changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A binary or analog object that we toggle, so that the controller can drop us by itself."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    device: str
    object: str
    every_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BacnetSettings:
    """Everything a BACnet/IP connector is told."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    bind: str
    """Own address with prefix and port, as in ``10.1.2.3/24:47808``."""
    instance: int = 4001
    """Own device instance, unique on the network."""
    priority: int = 13
    devices: Mapping[str, BacnetDevice]
    points: Mapping[str, BacnetPoint]
    heartbeat: Heartbeat | None = None
    timeout_s: float = 3.0
    """How long one request waits for its answer."""
    retries: int = 1
    chunk: int = 30
    """Objects in one multi-read."""
    breaker_s: float = 30.0
    """How long a device that did not answer is left alone."""
    hold_s: float = 7200.0
    """How long a command without an expiry of its own is held."""
    reconcile_s: float = 60.0
    """How often held slots are read and re-asserted."""
    cov_lifetime_s: int = 120
    cov_renew_s: float = 30.0
    max_age_s: float = 90.0
    """Older values are marked stale."""
    probe_s: float = 10.0
    """How often a device with subscriptions is asked whether it still lives."""
    vendor: int = 999
    speed: float = 1.0
    """Seconds that pass in the devices' world in one of ours. Other than 1 only for an accelerated emulator: the first
    device's clock then is the clock of the whole workspace."""
    lockstep: str | None = None
    """Of such an emulator: the object of the first device that takes seconds to let pass; None where time runs on."""

    def __post_init__(self) -> None:
        faults = [
            f"points.{name}.device: {point.device!r} is not under devices; add it there"
            for name, point in self.points.items()
            if point.device not in self.devices
        ]
        if not LOWEST_PRIORITY_OF_PEOPLE < self.priority <= 16:
            faults.append(
                f"priority: {self.priority} is not allowed; 1 to {LOWEST_PRIORITY_OF_PEOPLE} belong to safety and "
                "people, use 9 to 16 (13 is usual)"
            )
        if self.speed < 1.0 or (self.speed != 1.0 and not self.devices):
            faults.append(
                f"speed: {self.speed:g} is not allowed; 1 for real devices, more for one accelerated emulator"
            )
        if self.heartbeat is not None and self.heartbeat.device not in self.devices:
            faults.append(f"heartbeat.device: {self.heartbeat.device!r} is not under devices; add it there")
        if faults:
            raise BadInputError.gather(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that the connector noticed and did about a held command."""

    point: str
    what: str
    facts: Mapping[str, str] = field(default_factory=dict)
