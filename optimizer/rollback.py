"""The way back, rehearsed: does the building return to what it would have been without the plan?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from twin.building.model import BuildingModel
from twin.building.parameters import Parameters
from twin.building.program import compile_program
from twin.drivers import Drivers
from twin.plans.document import Rehearsal
from twin.policy import Policy
from twin.site import Site
from twin.text.canonical import digest
from twin.units import SECONDS_PER_DAY

NEAR_K = 0.5
"""Temperatures this near to those of a building that was never touched count as returned. [K]"""


def rehearse_rollback(site: Site, parameters: Parameters, drivers: Drivers, policy: Policy) -> Rehearsal:
    """Pushes the policy in the twin, releases it half way, and looks at the last day.

    Args:
        site: the building with its operation.
        parameters: as calibrated.
        drivers: at least two days ahead; demand of VMs is left out, since moves are undone one by one.
        policy: the keys that change.
    """
    quiet = replace(drivers, vm_utilization=None)
    own = compile_program(site, site.operation, quiet.start, quiet.steps, quiet.step_s)
    pushed = compile_program(site, site.operation.merge(policy), quiet.start, quiet.steps, quiet.step_s)
    untouched = BuildingModel(site, parameters, quiet, own)
    untouched.advance(quiet.steps)
    released = BuildingModel(site, parameters, quiet, pushed)
    released.advance(quiet.steps // 2)
    released.follow(own)
    released.advance(quiet.steps)
    day = round(SECONDS_PER_DAY / quiet.step_s)
    apart_k = np.abs(released.series.zone_c[-day:] - untouched.series.zone_c[-day:])
    worst = float(apart_k.max())
    zone = site.zones[int(apart_k.max(axis=0).argmax())].id
    days = (quiet.steps - quiet.steps // 2) / day
    summary = (
        f"pushed and released half way in the twin: after {days:.1f} days every zone is within {worst:.2f} K of a "
        f"building that was never touched (worst {zone}; allowed {NEAR_K:g} K)"
    )
    return Rehearsal(ok=worst <= NEAR_K, summary=summary, digest=digest({"worst_k": round(worst, 6), "zone": zone}))
