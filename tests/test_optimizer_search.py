"""The search finds what can be saved within the limits, and never something worse than doing nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from optimizer.goals import Goal, Limits
from optimizer.proposal import require_feasible, require_reached, require_repeatable
from optimizer.search import SearchResult, search
from optimizer.space import PolicySpace
from twin.errors import BadInputError, RefusedError
from twin.plans.document import Interval
from twin.policy import OperatingHours, Policy, Setpoint, SupplyAirReset
from twin.site import AirHandler, Location, Site
from twin.vocab import SystemType

SITE = Site(
    name="office",
    time_zone=ZoneInfo("UTC"),
    location=Location(latitude_deg=42.0, longitude_deg=-88.0),
    zones=(),
    air_handlers=(AirHandler(id="ahu", system=SystemType.VAV_REHEAT, zones=()),),
    operation=Policy(
        heating_setpoint_c=Setpoint(occupied=21.0, unoccupied=15.6),
        cooling_setpoint_c=Setpoint(occupied=24.0, unoccupied=26.7),
        supply_air_temperature_c=SupplyAirReset(min_c=12.8, max_c=12.8),
        operating_hours=OperatingHours(windows={"mon": (6.0, 22.0)}),
    ),
)


def kpis_of_a_bowl(policy: Policy) -> Mapping[str, float]:
    """HVAC use with its least value at a supply air maximum of 16 °C; each kelvin of cooling band costs comfort."""
    merged = SITE.operation.merge(policy)
    assert merged.cooling_setpoint_c is not None
    assert merged.supply_air_temperature_c is not None
    rise = merged.cooling_setpoint_c.occupied - 24.0
    use = 100.0 - 10.0 * rise + (merged.supply_air_temperature_c.max_c - 16.0) ** 2
    return {"hvac_kwh": use, "occupied_discomfort_kh": 4.0 * rise, "co2_ppm_exceedance_h": 0.0}


def searched(seed: int = 0) -> SearchResult:
    space = PolicySpace(site=SITE)
    return search(space, kpis_of_a_bowl, Goal.parse("hvac"), Limits(), weeks=1.0, trials=40, seed=seed)


def test_the_best_candidate_is_the_bottom_of_the_bowl_within_the_limit() -> None:
    """5 K·h a week are allowed, so 1 K (4 K·h) fits and 1.5 K (6 K·h) does not: 100 - 10 + 0."""
    assert searched().best.score == pytest.approx(90.0)


def test_the_limit_that_kept_better_candidates_out_is_named() -> None:
    assert searched().binding() == ("occupied_discomfort_kh",)


def test_the_same_seed_tries_the_same_policies() -> None:
    assert searched(7).tried == searched(7).tried


def test_doing_nothing_is_the_answer_where_every_change_costs() -> None:
    def worse(policy: Policy) -> Mapping[str, float]:
        return {"hvac_kwh": 1.0 if policy == Policy() else 2.0, "occupied_discomfort_kh": 0, "co2_ppm_exceedance_h": 0}

    found = search(PolicySpace(site=SITE), worse, Goal.parse("hvac"), Limits(), weeks=1.0, trials=20)
    assert found.best.policy == Policy()


def test_cut_hours_keep_a_call_for_late_visitors() -> None:
    policy = PolicySpace(site=SITE).build({"earlier_stop_h": 2.0})
    assert policy.operating_hours is not None
    assert (policy.operating_hours.windows["mon"], policy.operating_hours.called_by_occupancy) == ((6.0, 20.0), 3)


@pytest.mark.parametrize("text", ["beauty", "cost -0%", "cost -120%", "cost 20"])
def test_a_goal_that_makes_no_sense_is_bad_input(text: str) -> None:
    with pytest.raises(BadInputError, match="goal"):
        Goal.parse(text)


def test_a_goal_may_ask_for_a_least_saving() -> None:
    assert Goal.parse("cost -20%") == Goal(name="cost", wanted_percent=20.0)


def test_a_goal_may_name_the_warmest_temperature() -> None:
    goal = Goal.parse("energy -30%, at most 22 degC")
    assert (goal.name, goal.wanted_percent, goal.warmest_c) == ("energy", 30.0, 22.0)
    assert Goal.parse(goal.text()) == goal
    assert Goal.parse("energy -30% \u2264 22 \u00b0C") == goal


def test_a_twin_that_answers_otherwise_the_second_time_makes_no_plan() -> None:
    """Fault E8: the last bit is enough, and what no run can answer is no difference."""
    found = searched()
    best = replace(found.best, kpis={**found.best.kpis, "slav": float("nan")})
    found = replace(found, best=best)
    require_repeatable(found, dict(best.kpis))
    other = {**best.kpis, "hvac_kwh": math.nextafter(best.kpis["hvac_kwh"], 1e9)}
    with pytest.raises(RefusedError, match=r"the same seed gave hvac_kwh 90\.0 and then 90\.0000000000000"):
        require_repeatable(found, other)


def test_a_limit_that_nothing_keeps_is_infeasible_and_the_nearest_is_named() -> None:
    """At most 22 °C where no setpoint that may be tried gives it: every policy has 40 K·h too much, or more."""

    def always_warm(policy: Policy) -> Mapping[str, float]:
        return {**kpis_of_a_bowl(policy), "occupied_discomfort_kh": 45.0 + kpis_of_a_bowl(policy)["hvac_kwh"] / 100.0}

    goal = Goal.parse("hvac -30%, at most 22 degC")
    found = search(
        PolicySpace(site=SITE), always_warm, goal, Limits(comfort_is_asked=True), weeks=1.0, trials=40, seed=0
    )
    with pytest.raises(RefusedError, match=r"infeasible: none of \d+ policies.*exceed occupied_discomfort_kh by 4"):
        require_feasible(found, goal)


def test_a_goal_that_asks_for_more_than_the_best_names_the_best_and_the_binding_limit() -> None:
    """The bowl gives 100 → 90 within the limit: 10 %, and comfort keeps the rest out."""
    found, goal = searched(), Goal.parse("hvac -30%")
    saving = Interval(value=10.0, low=9.0, high=11.0, unit="%")
    with pytest.raises(
        RefusedError, match=r"-30% is infeasible.*saves 10\.0 %.*binding limits: occupied_discomfort_kh"
    ):
        require_reached(found, goal, saving)
    require_reached(found, Goal.parse("hvac -8%"), saving)
    require_feasible(found, goal)
