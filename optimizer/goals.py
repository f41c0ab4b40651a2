"""What a person wants of a plan: a KPI to lower, by how much, and what must not get worse."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from twin.errors import BadInputError

GOAL_KPIS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "energy": ("hvac_kwh", "gas_kwh", "it_kwh"),
        "hvac": ("hvac_kwh", "gas_kwh"),
        "cost": ("cost",),
        "carbon": ("co2_kg",),
        "peak": ("peak_kw",),
    }
)
"""Goal → KPIs whose sum is lowered."""

GOAL_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "energy": "energy for HVAC, gas and hosts",
        "hvac": "energy for HVAC and gas",
        "cost": "energy cost",
        "carbon": "carbon",
        "peak": "peak power",
    }
)
"""Goal → what a person reads."""
STRANGERS = "points_outside_experience"
"""Points that a candidate sets to a value which the telemetry never showed; counted beside the KPIs."""
_GOAL = re.compile(
    r"^(?P<name>[a-z]+)(?:\s*(?P<change>[-\u2212]\s*\d+(?:\.\d+)?)\s*%)?"
    r"(?:\s*,?\s*(?:at most|<=|\u2264)\s*(?P<warmest>\d+(?:\.\d+)?)\s*(?:degc|\u00b0c))?$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A goal such as ``energy``, ``cost -20%`` or ``energy -30%, at most 22 degC``."""

    name: str
    wanted_percent: float | None = None
    """Least saving that the goal asks for, None: as much as possible. [%]"""
    warmest_c: float | None = None
    """Room temperature that people may not be above, None: the site's comfort band holds. [degC]"""

    def text(self) -> str:
        """The goal as it can be parsed again."""
        wanted = "" if self.wanted_percent is None else f" -{self.wanted_percent:g}%"
        warmest = "" if self.warmest_c is None else f", at most {self.warmest_c:g} degC"
        return f"{self.name}{wanted}{warmest}"

    @classmethod
    def parse(cls, text: str) -> Goal:
        """The goal that the text names.

        Raises:
            BadInputError: unknown name or malformed change.
        """
        match = _GOAL.match(text.strip().lower())
        if match is None or match["name"] not in GOAL_KPIS:
            message = (
                f"goal {text!r} is not known; use one of {', '.join(GOAL_KPIS)}, with a change such as 'cost -20%' "
                "and a limit such as 'cost -20%, at most 25 degC'"
            )
            raise BadInputError(message)
        change = match["change"]
        wanted = None if change is None else float(change.replace("\u2212", "-").replace(" ", "")) * -1.0
        if wanted is not None and not 0.0 < wanted < 100.0:
            message = f"goal {text!r} asks for {wanted:g} %; a saving lies between 0 and 100 %"
            raise BadInputError(message)
        warmest = None if match["warmest"] is None else float(match["warmest"])
        return cls(name=match["name"], wanted_percent=wanted, warmest_c=warmest)

    def score(self, kpis: Mapping[str, float]) -> float:
        """What is lowered, in the unit of its KPIs."""
        return sum(kpis.get(name, 0.0) for name in GOAL_KPIS[self.name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much worse a candidate may be than the baseline in what the goal does not name."""

    discomfort_share: float = 0.10
    """Of the baseline's discomfort."""
    discomfort_kh_per_week: float = 5.0
    co2_hours_per_week: float = 5.0
    slav: float = 1e-4
    latency_ms: float = 80.0
    comfort_is_asked: bool = False
    """The goal itself limits the temperature: then the baseline's discomfort excuses nothing."""

    def breaches(self, baseline: Mapping[str, float], candidate: Mapping[str, float], weeks: float) -> dict[str, float]:
        """By how much each limit is exceeded; empty when the candidate keeps all.

        Args:
            baseline: KPIs of the site as it operates.
            candidate: KPIs of the policy, over the same drivers.
            weeks: length of the period. [weeks]
        """
        discomfort = 0.0 if self.comfort_is_asked else baseline["occupied_discomfort_kh"]
        allowed = {
            "occupied_discomfort_kh": discomfort * (1.0 + self.discomfort_share) + self.discomfort_kh_per_week * weeks,
            "co2_ppm_exceedance_h": baseline["co2_ppm_exceedance_h"] + self.co2_hours_per_week * weeks,
            "slav": max(baseline.get("slav", 0.0), self.slav),
            "latency_p95_ms": max(baseline.get("latency_p95_ms", 0.0), self.latency_ms),
            STRANGERS: 0.0,
        }
        over = {name: candidate.get(name, 0.0) - limit for name, limit in allowed.items()}
        return {name: excess for name, excess in over.items() if excess > 0.0}
