"""What a plan stands on and may change after it was made: rules, calibration, site file, weather ahead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from twin.plans.document import Evidence

WEATHER_TOLERANCE_K = 3.0
"""Change of a day's mean outdoor temperature up to which a plan stands: what a forecast of some days errs by. [K]"""


class Stale(str):  # a sentence like every other refusal
    """A reason that no waiting cures: the plan is superseded and another must be proposed."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What holds now; what a workspace does not have is empty and not compared."""

    policy_digest: str = ""
    model_id: str = ""
    site_digest: str = ""
    outdoor_mean_c: Mapping[str, float] = field(default_factory=dict)
    """Day of the site → mean outdoor temperature, measured or forecast. [degC]"""


_NAMES = {"policy_digest": "policy text", "model_id": "calibration", "site_digest": "site file"}


def changed_premises(then: Evidence, now: Ground) -> list[str]:
    """Each premise of a plan that is otherwise now, with its old and new value; unknown weather is not good either."""
    found: list[str] = [
        Stale(f"the {name} changed since the plan was made (then {getattr(then, key)[:12]}, now {present[:12]})")
        for key, name in _NAMES.items()
        if (present := getattr(now, key)) and present != getattr(then, key)
    ]
    if then.outdoor_mean_c and not now.outdoor_mean_c:
        found.append("the weather ahead that the plan counts on cannot be told now; ingest newer telemetry")
    return found + [
        Stale(
            f"the weather of {day} changed since the plan was made (then {mean_c:.1f} degC on average, now "
            f"{now.outdoor_mean_c[day]:.1f} degC; up to {WEATHER_TOLERANCE_K:g} K would do)"
        )
        for day, mean_c in sorted(then.outdoor_mean_c.items())
        if day in now.outdoor_mean_c and abs(now.outdoor_mean_c[day] - mean_c) > WEATHER_TOLERANCE_K
    ]
