"""The reference mode against measured figures of CloudSim 3.0.3 and against what its text says."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from connectors.traces import read_planetlab
from twin.compute.reference import (
    AS_CLOUDSIM,
    PLAUSIBLE,
    ReferenceDay,
    ReferencePolicy,
    least_energy_kwh,
    reference_facts,
    run_reference_day,
)
from twin.errors import BadInputError

SHARED = Path(os.environ.get("UNDERSTUDY_SHARED", Path(__file__).parents[3] / "shared"))
MEASURED = SHARED / "reference" / "cloudsim_measured.csv"
needs_data = pytest.mark.skipif(not MEASURED.exists(), reason="the traces are not part of the project")


@cache
def percent(day: str) -> NDArray[np.int8]:
    return read_planetlab(SHARED / "telemetry" / "planetlab" / f"planetlab_{day}.parquet").percent


@cache
def run(day: str, overload: str, selection: str = "mmt") -> ReferenceDay:
    return run_reference_day(percent(day), ReferencePolicy(overload=overload, selection=selection))


def measured() -> list[dict[str, str]]:
    if not MEASURED.exists():
        return []
    with MEASURED.open() as file:
        rows = [row for row in csv.DictReader(file) if row["version"] == "3.0.3" and row["order"] == "sorted"]
    return [row for row in rows if row["policy"] in {"npa", "dvfs", "thr", "iqr", "mad", "lr", "lrr"}]


@needs_data
@pytest.mark.parametrize("row", measured(), ids=lambda row: f"{row['day']}-{row['policy']}")
def test_each_measured_day_is_met_to_the_last_printed_digit(row: dict[str, str]) -> None:
    day = run(row["day"], row["policy"])
    assert day.energy_kwh == pytest.approx(float(row["energy_kwh"]), abs=1e-6)
    assert day.migrations == int(row["live_migrations"])
    assert 100 * day.slatah == pytest.approx(float(row["slatah_pct"]), abs=0.00501)
    assert 100 * day.pdm == pytest.approx(float(row["pdm_pct"]), abs=0.00501)
    assert day.host_shutdowns == int(row["host_shutdowns"])
    assert day.vms_alive[-1] == int(row["vms_left"])


@needs_data
@pytest.mark.parametrize("policy", ["lr", "thr"])
def test_the_series_of_a_day_are_met_step_by_step(policy: str) -> None:
    rows = np.genfromtxt(
        SHARED / "reference" / f"cloudsim303_20110303_{policy}_mmt_series.csv", delimiter=",", names=True
    )
    day = run("20110303", policy)
    np.testing.assert_array_equal(day.vms_alive, rows["vms_alive"])
    np.testing.assert_array_equal(day.active_hosts, rows["active_hosts"])
    np.testing.assert_array_equal(day.migrations_before, rows["live_migrations_started_before"])
    np.testing.assert_allclose(day.energy_wh, rows["energy_wh_cumulative"], atol=6e-4)
    np.testing.assert_allclose(day.allocated_mips, rows["allocated_mips"], atol=0.0501)


@needs_data
def test_minimum_utilisation_is_met_too() -> None:
    day = run("20110303", "thr", "mu")
    assert day.energy_kwh == pytest.approx(207.794299, abs=1e-6)
    assert day.migrations == 30653


@needs_data
@pytest.mark.parametrize("selection", ["rs", "mc"])
def test_unseeded_or_undocumented_selections_stay_in_the_range_of_the_others(selection: str) -> None:
    assert 140.0 < run("20110303", "lr", selection).energy_kwh < 200.0


@needs_data
def test_policies_rank_as_published() -> None:
    energy = [run("20110303", name).energy_kwh for name in ("lr", "mad", "iqr", "thr", "dvfs", "npa")]
    assert energy == sorted(energy)


QUIET = np.zeros((4, 8), dtype=np.int8)
EVEN = np.full((4, 8), 20, dtype=np.int8)


def one(trace: NDArray[np.int8], **quirks: bool) -> ReferenceDay:
    return run_reference_day(trace, ReferencePolicy(overload="dvfs", quirks=replace(AS_CLOUDSIM, **quirks)), hosts=4)


def test_idle_vms_vanish_only_by_that_quirk() -> None:
    assert one(QUIET).vms_alive[0] == 0
    assert one(QUIET, idle_vms_vanish=False).vms_alive[-1] == 4


def test_empty_hosts_cost_their_idle_power_without_the_quirk() -> None:
    """Four empty hosts of 86 and 93.7 W idle for the six intervals after the first step."""
    assert one(QUIET).energy_kwh == 0.0
    idle_kwh = 2 * (86.0 + 93.7) * 6 * 300.0 / 3.6e6
    intervals = one(QUIET, empty_hosts_are_free=False)
    assert intervals.energy_kwh == pytest.approx(idle_kwh)


def test_constant_demand_costs_the_curve_of_its_hosts() -> None:
    """First fit: 2500 and 2000 MIPS need a G5 core, 1000 and 500 go to the first G4; 20 % of each is asked."""
    at = {"g5": 0.2 * 4500.0 / 5320.0, "g4": 0.2 * 1500.0 / 3720.0}
    watts = 97.0 + (at["g5"] * 10 - 1) * 4.0 + 86.0 + at["g4"] * 10 * 3.4
    assert one(EVEN).energy_kwh == pytest.approx(watts * 6 * 300.0 / 3.6e6)


@needs_data
def test_without_quirks_memory_holds_and_nobody_vanishes() -> None:
    plausible = run_reference_day(percent("20110303"), ReferencePolicy(overload="thr", quirks=PLAUSIBLE))
    assert plausible.vms_alive[-1] == len(percent("20110303"))
    assert plausible.energy_kwh > run("20110303", "thr").energy_kwh
    assert plausible.slatah < run("20110303", "thr").slatah


@needs_data
def test_pricing_wake_ups_saves_energy_and_migrations_above_the_bound() -> None:
    trace = percent("20110303")
    thrifty = run_reference_day(trace, ReferencePolicy(overload="lr", placement="least_rise"))
    published = run("20110303", "lr")
    bound = least_energy_kwh(reference_facts(trace), run("20110303", "dvfs").allocated_mips)
    assert bound < thrifty.energy_kwh < published.energy_kwh
    assert thrifty.slav < published.slav
    np.testing.assert_array_equal(thrifty.vms_alive, published.vms_alive)


def test_the_bound_is_the_energy_of_full_hosts_at_constant_demand() -> None:
    """5320 MIPS for ten minutes keep one G5 full: 135 W."""
    facts = reference_facts(EVEN, hosts=2)
    assert least_energy_kwh(facts, np.full(3, 5320.0)) == pytest.approx(135.0 * 600.0 / 3.6e6)


def test_an_unknown_policy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInputError, match="use one of npa, dvfs"):
        ReferencePolicy(overload="magic")


def test_more_vms_than_hosts_can_hold_are_refused() -> None:
    with pytest.raises(BadInputError, match="add hosts"):
        run_reference_day(np.full((40, 8), 50, dtype=np.int8), ReferencePolicy(overload="thr"), hosts=2)
