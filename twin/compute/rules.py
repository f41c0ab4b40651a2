"""What a consolidation policy may do: the keys of the policy with the defaults of a cautious platform engineer."""

from __future__ import annotations

from dataclasses import dataclass, replace

from twin.compute.detector import DEFAULT_THRESHOLD
from twin.policy import Policy
from twin.units import SECONDS_PER_HOUR

SECONDS_PER_MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Limits of the default mode."""

    consolidate: bool = False
    overload: str = "static"
    threshold: float = 0.8
    selection: str = "mmt"
    placement: str = "pabfd"
    power_down: bool = False
    headroom: float = 0.1
    """Share of a host's CPU kept free when VMs are placed, below the static limit."""
    memory_overcommit: float = 1.0
    """Memory of VMs on a host over its RAM; 1 means none."""
    interval_s: float = 300.0
    dwell_s: float = 2.0 * SECONDS_PER_HOUR
    """A VM that moved stays this long."""
    window_s: float = 2.0 * SECONDS_PER_HOUR
    """A VM is placed by its highest demand of this window, so that waves shorter than it cause no moves."""
    plan_s: float = 4.0 * SECONDS_PER_HOUR
    """Time between two packings of ``optimal``."""
    moves_per_step: int = 4
    moves_per_vm_day: int = 4
    idle_s: float = 900.0
    """An empty host is put to sleep after this long."""
    awake_s: float = 1800.0
    """A host that woke stays on this long."""
    spare_hosts: int = 0
    """Empty hosts that stay on."""


def rules_of(policy: Policy) -> Rules:
    """Rules that a policy asks for, with the defaults for what it leaves out."""
    rules = Rules(power_down=bool(policy.power_down_idle_hosts))
    if policy.headroom is not None:
        rules = replace(rules, headroom=policy.headroom)
    ask = policy.consolidation
    if ask is None or ask == "off":
        return rules
    threshold = DEFAULT_THRESHOLD[ask.overload] if ask.threshold is None else ask.threshold
    moves = rules.moves_per_step if ask.max_migrations_per_step is None else ask.max_migrations_per_step
    return replace(
        rules,
        consolidate=True,
        power_down=policy.power_down_idle_hosts is not False,
        overload=ask.overload,
        threshold=threshold,
        selection=ask.selection,
        placement=ask.placement,
        interval_s=ask.interval_min * SECONDS_PER_MINUTE,
        dwell_s=ask.dwell_min * SECONDS_PER_MINUTE,
        moves_per_step=moves,
    )
