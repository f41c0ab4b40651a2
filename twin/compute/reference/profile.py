"""The reference profile: the field's consolidation experiment, each of its quirks a switch with a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from twin.compute.detector import DEFAULT_THRESHOLD, FALLBACK_LIMIT
from twin.errors import BadInputError

DETECTORS: Mapping[str, int] = MappingProxyType({"static": 0, "thr": 0, "iqr": 1, "mad": 2, "lr": 3, "lrr": 3})
SELECTIONS: Mapping[str, int] = MappingProxyType({"mmt": 0, "mu": 1, "rs": 2, "mc": 3})
NO_MIGRATION = ("npa", "dvfs")
PLACEMENTS: Mapping[str, str] = MappingProxyType(
    {
        "pabfd": "least rise of power over the last recomputation; switching a host on looks as cheap as adding to one",
        "least_rise": "true rise of power: a host that is off costs its idle power too; of equal ones the fullest",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """What CloudSim 3.0.3 to 5.0 does and a data centre does not; each is off in the default mode."""

    idle_vms_vanish: bool = True
    """A VM that asks for nothing at two samples in a row is destroyed for good."""
    memory_ignored: bool = True
    """Memory limits the first placement only, never a migration."""
    empty_hosts_are_free: bool = True
    """A host without load costs nothing, and waking it costs nothing; off: it idles."""
    doubles_counted: bool = True
    """A VM that is moved twice in one round is copied to both hosts and counted twice."""
    violation_during_copy: bool = True
    """A destination counts as short of CPU for the whole copy, since it reserves a tenth of what it counts as asked."""


AS_CLOUDSIM = Quirks()
PLAUSIBLE = Quirks(
    idle_vms_vanish=False,
    memory_ignored=False,
    empty_hosts_are_free=False,
    doubles_counted=False,
    violation_during_copy=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePolicy:
    """Which of the experiment's policies runs."""

    overload: str = "lr"
    """``npa``, ``dvfs``, ``thr``, ``iqr``, ``mad``, ``lr`` or ``lrr``."""
    selection: str = "mmt"
    placement: str = "pabfd"
    """``pabfd`` as published, or ``least_rise``: see ``PLACEMENTS``."""
    threshold: float | None = None
    fallback: float = FALLBACK_LIMIT
    quirks: Quirks = AS_CLOUDSIM
    seed: int = 0
    """For random selection."""

    def __post_init__(self) -> None:
        if self.overload not in {*DETECTORS, *NO_MIGRATION}:
            known = ", ".join([*NO_MIGRATION, *DETECTORS])
            raise BadInputError(f"reference policy {self.overload!r} is unknown; use one of {known}")
        if self.selection not in SELECTIONS:
            raise BadInputError(f"selection {self.selection!r} is unknown; use one of {', '.join(SELECTIONS)}")
        if self.placement not in PLACEMENTS:
            raise BadInputError(f"placement {self.placement!r} is unknown; use one of {', '.join(PLACEMENTS)}")

    @property
    def limit(self) -> float:
        """Static threshold or safety parameter."""
        if self.threshold is not None:
            return self.threshold
        return DEFAULT_THRESHOLD.get("static" if self.overload == "thr" else self.overload, 1.0)
