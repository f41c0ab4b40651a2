"""The library of scenarios on the bundled site: every file runs, and does what its name says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connectors.files import FileSource
from connectors.settings import load_site
from scenarios.batch import TOGETHER, Batch, bundles_of, in_order, run_bundle, run_task, tasks_of
from scenarios.expand import DriverRequest, Scenario, expand
from scenarios.runner import BatchResult, Twin, run_scenarios
from scenarios.shared_runs import simulate_eight, simulate_sharing
from scenarios.spec import LIBRARY, read_scenario, scenario_files
from twin.building.parameters import Parameters
from twin.drivers import Drivers
from twin.run import hosts_of, simulate
from twin.site import Site
from twin.telemetry import drivers_from

OFFICE = Path(__file__).parents[2] / "data" / "office"
WEEK = (datetime(2023, 10, 16, 6, tzinfo=UTC), datetime(2023, 10, 23, 6, tzinfo=UTC))


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(OFFICE / "site.yaml").site


@pytest.fixture(scope="module")
def week(site: Site) -> Drivers:
    """One recorded week of the bundled site."""
    return drivers_from(site, bundled_rows(), *WEEK)


def bundled_rows() -> pd.DataFrame:
    """Telemetry of the bundled site in long form, by the mapping of its own site file."""
    file = load_site(OFFICE / "site.yaml")
    return pd.concat([FileSource(source, OFFICE).fetch(*WEEK) for source in file.sources.values()])


def library(site: Site) -> tuple[Scenario, ...]:
    scenarios = expand([read_scenario(path) for path in scenario_files([LIBRARY])], site)
    return tuple(replace(one, request=replace(one.request, start=WEEK[0], end=WEEK[1])) for one in scenarios)


@pytest.fixture(scope="module")
def result(site: Site, week: Drivers, tmp_path_factory: pytest.TempPathFactory) -> BatchResult:
    twin = Twin(
        site=site, parameters=(Parameters(),), structural={}, about={"model_id": "default"}, simulate=simulate_sharing
    )
    return run_scenarios(library(site), twin, lambda _: (week,), tmp_path_factory.mktemp("results"), workers=1)


def delta(result: BatchResult, name: str, kpi: str) -> float:
    entry = next(item for item in result.summary["scenarios"] if item["name"] == name)  # type: ignore[attr-defined]
    return float(entry["delta_vs_baseline"][kpi]["value"])


@pytest.mark.parametrize(
    "name", ["wider setpoints", "shorter hours", "supply air reset", "empty-zone setback", "combined"]
)
def test_measures_of_the_building_save_hvac_energy(result: BatchResult, name: str) -> None:
    assert delta(result, name, "hvac_kwh") < 0


@pytest.mark.parametrize("name", ["consolidation by threshold", "consolidation by local regression", "combined"])
def test_consolidation_saves_it_energy_with_fewer_hosts(result: BatchResult, name: str) -> None:
    assert delta(result, name, "it_kwh") < 0
    assert delta(result, name, "mean_active_hosts") < 0


def test_measures_of_the_building_leave_the_hosts_alone(result: BatchResult) -> None:
    assert delta(result, "supply air reset", "it_kwh") == 0
    assert delta(result, "supply air reset", "slav") == 0


def test_hosts_run_apart_give_the_same_as_hosts_run_with_the_building(site: Site, week: Drivers) -> None:
    policy = site.operation
    whole = simulate(site, Parameters(), week, policy, seed=3)
    apart = simulate(site, Parameters(), week, policy, seed=3, hosts=hosts_of(site, week, policy, seed=3))
    np.testing.assert_allclose(apart.it_power_w, whole.it_power_w, rtol=1e-12)
    np.testing.assert_allclose(apart.building.zone_temperature_c, whole.building.zone_temperature_c, atol=1e-6)


def test_shared_parts_never_leak_into_the_next_run(site: Site, week: Drivers) -> None:
    """A, B, A: the second A equals the first, though B had other hosts and another sun between."""
    other = replace(week, weather=replace(week.weather, direct_normal_w_m2=0 * week.weather.direct_normal_w_m2))
    first, _, again = (
        simulate_sharing(site, Parameters(), world, site.operation, seed=0) for world in (week, other, week)
    )
    np.testing.assert_array_equal(first.it_power_w, again.it_power_w)
    np.testing.assert_array_equal(first.building.zone_temperature_c, again.building.zone_temperature_c)


def test_the_library_covers_the_period_before_the_demo(site: Site) -> None:
    requests = {scenario.request for scenario in expand([read_scenario(p) for p in scenario_files([LIBRARY])], site)}
    (request,) = requests
    assert request == DriverRequest(
        kind="replay", start=datetime(2023, 10, 2, 6, tzinfo=UTC), end=datetime(2023, 10, 30, 6, tzinfo=UTC)
    )
    assert request.end is not None
    assert request.start is not None
    assert request.end - request.start == timedelta(weeks=4)


def test_every_scenario_has_one_run_per_member(site: Site, week: Drivers) -> None:
    scenarios = library(site)
    batch = Batch(site=site, parameters=(1, 2, 3), drivers={scenarios[0].request: (week,)}, simulate=simulate_sharing)
    assert [len(tasks_of(scenario, len(batch.parameters))) for scenario in scenarios] == [3] * len(scenarios)


def test_eight_runs_at_once_have_the_bits_of_each_alone(site: Site, week: Drivers) -> None:
    """Policies of building and hosts, five sets of parameters and two seeds, with the hosts' heat of each run."""
    chosen = [replace(scenario, seeds=(0, 1)) for scenario in library(site)][:6]
    members = tuple(Parameters({"cop": 3.0 + 0.2 * k, "wall_u": 0.5 + 0.1 * k}) for k in range(5))
    together = Batch(
        site=site,
        parameters=members,
        drivers={chosen[0].request: (week,)},
        simulate=simulate_sharing,
        simulate_eight=simulate_eight,
    )
    tasks = [task for scenario in chosen for task in tasks_of(scenario, len(members))]
    bundles = list(bundles_of(together, tasks))
    assert max(len(bundle) for bundle in bundles) == TOGETHER
    rows = list(in_order(run_bundle(together, bundle) for bundle in bundles))
    for task, row in zip(tasks, rows, strict=True):
        alone = run_task(together, task)
        assert row.draw == task.draw
        assert (row.series is None) == (not task.keep_series)
        np.testing.assert_array_equal(row.kpis, alone.kpis)
        np.testing.assert_array_equal(row.daily, alone.daily)
