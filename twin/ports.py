"""The Protocols through which the product reaches what is not its own: one small contract each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from twin.plan import Action, Capability, Check, PointId, Reading, Receipt

if TYPE_CHECKING:
    import pandas as pd


class Connector(Protocol):
    """A system of the world, real or simulated; the product cannot tell which."""

    name: str
    capabilities: frozenset[Capability]

    def read(self, points: Sequence[PointId]) -> Sequence[Reading]:
        """A reading per point, in order; an unreadable point has ``value`` None and quality BAD.

        Raises:
            OutsideWorldError: the system as a whole cannot be reached within its timeout.
        """
        ...

    def check(self, action: Action) -> Check:
        """Whether the action could be applied now, without applying it."""
        ...

    def apply(self, action: Action) -> Receipt:
        """Applies an action; idempotent by its absolute value. The reply is a hint: read back.

        Raises:
            OutsideWorldError: no answer, or an error answer; the world may or may not have changed.
            RefusedError: the hard envelope or the device forbids it; the world is unchanged.
        """
        ...

    def release(self, receipt: Receipt) -> None:
        """Undoes by receipt: relinquishes our slot, or restores the prior value if the world still shows ours."""
        ...


class TelemetrySource(Protocol):
    """Something that telemetry can be fetched from."""

    name: str

    def fetch(self, since: datetime | None, until: datetime | None) -> pd.DataFrame:
        """Rows ``timestamp`` (UTC), ``point``, ``value`` in the product's units, as delivered, unrepaired."""
        ...


class TelemetryStore(Protocol):
    """Long-form telemetry on disk: one writer, many readers."""

    def append(self, rows: pd.DataFrame) -> int:
        """Adds rows idempotently; the number that were new."""
        ...

    def read(
        self, points: Sequence[PointId] | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> pd.DataFrame:
        """Rows ``timestamp``, ``point``, ``value``, sorted by time and point."""
        ...
