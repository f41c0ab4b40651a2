"""The heat network is exact, conserves heat and knows its closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from small_site import two_zone_site

from twin.building.network import AIR, NODES, network
from twin.building.parameters import SPECS, Parameters

SITE = two_zone_site()
bounded = st.fixed_dictionaries(
    {
        name: st.floats(SPECS[name].low, SPECS[name].high)
        for name in ("wall_u", "window_u", "surface_h", "mass_h", "air_capacity", "mass_capacity", "wall_capacity")
    }
)
vectors = st.lists(st.floats(-40, 60), min_size=NODES, max_size=NODES).map(np.array)
heats = st.lists(st.floats(-2e4, 2e4), min_size=NODES, max_size=NODES).map(np.array)


@settings(deadline=None)
@given(values=bounded, begin=vectors, heat=heats)
def test_two_half_steps_equal_one_step(values: dict[str, float], begin: np.ndarray, heat: np.ndarray) -> None:
    parameters = Parameters(values)
    whole, half = network(SITE, parameters, 900.0), network(SITE, parameters, 450.0)
    once = whole.keep[1] @ begin + whole.gain[1] @ heat
    middle = half.keep[1] @ begin + half.gain[1] @ heat
    twice = half.keep[1] @ middle + half.gain[1] @ heat
    np.testing.assert_allclose(twice, once, rtol=1e-9, atol=1e-8)


@settings(deadline=None)
@given(values=bounded, begin=vectors, heat=heats)
def test_heat_stored_is_heat_in_minus_heat_lost(values: dict[str, float], begin: np.ndarray, heat: np.ndarray) -> None:
    net = network(SITE, Parameters(values), 900.0)
    end = net.keep[1] @ begin + net.gain[1] @ heat
    mean = net.mean_keep[1] @ begin + net.mean_gain[1] @ heat
    stored = (net.capacity[1] * (end - begin)).sum() / 900.0
    balance = stored - heat.sum() + (net.boundary[1] * mean).sum()
    assert abs(balance) < 1e-6 * max(1.0, np.abs(heat).max(), np.abs(net.boundary[1] * mean).max())


def test_a_zone_left_alone_settles_at_the_temperature_around_it() -> None:
    net = network(SITE, Parameters(), 3600.0 * 24 * 365)
    heat = net.boundary[1] * 7.0
    np.testing.assert_allclose(net.keep[1] @ np.full(NODES, 30.0) + net.gain[1] @ heat, 7.0, atol=1e-6)


def test_more_heat_into_the_air_never_cools_a_node() -> None:
    net = network(SITE, Parameters(), 900.0)
    assert (net.gain[:, :, AIR] >= 0).all()


def test_the_shared_wall_is_counted_once() -> None:
    net = network(SITE, Parameters({"interior_u": 2.0}), 900.0)
    np.testing.assert_array_equal(net.pairs, [[0, 1]])
    np.testing.assert_allclose(net.pair_w_k, [120.0])


def test_the_top_plenum_takes_the_roof_and_the_upper_floor_stands_on_the_plenum_below() -> None:
    below, above = SITE.zones[0], replace(SITE.zones[1], floor=1, roof_m2=0.0)
    units = replace(SITE.air_handlers[0], zones=("core",), return_plenum=True)
    upper = replace(units, id="unit-2", zones=("south",))
    site = replace(SITE, zones=(below, replace(above, air_handler="unit-2")), air_handlers=(units, upper))
    net = network(site, Parameters({"roof_u": 0.5, "plenum_wall": 0.0}), 900.0)
    np.testing.assert_allclose(net.plenum_out, [0.0, 50.0])
    np.testing.assert_array_equal(net.floor_plenum, [-1, 0])
