"""Eight numbers at once give the bits that each gives alone, and powers are as good as the library's."""

from __future__ import annotations

import numpy as np

from twin.building.compiled import compiled
from twin.building.lanes import WIDTH, any_of, least, load, load_first, pick, store, store_first
from twin.building.moist_air import exponential, logarithm, wet_bulb_c


@compiled
def _powers(given, exponents, logarithms):
    for k in range(0, len(given), WIDTH):
        store(exponents, k, exponential(load(given, k)))
        store(logarithms, k, logarithm(exponential(load(given, k)) * 0.5))


@compiled
def _limited(given, found, count):
    value = load_first(given, 0, count, -1.0)
    large = value > 4.0
    store_first(found, 0, count, pick(large | ~(value > 2.0), least(value, 5.0), 0.0))
    return any_of(large)


@compiled
def _wet(dry, ratio, found):
    store(found, 0, wet_bulb_c(load(dry, 0), load(ratio, 0)))


def test_powers_are_those_of_the_library() -> None:
    given = np.random.default_rng(3).uniform(-30.0, 30.0, 8000)
    exponents, logarithms = np.zeros_like(given), np.zeros_like(given)
    _powers(given, exponents, logarithms)
    np.testing.assert_allclose(exponents, np.exp(given), rtol=5e-16)
    np.testing.assert_allclose(logarithms, given + np.log(0.5), rtol=1e-15, atol=2e-15)


def test_a_lane_has_the_bits_that_the_number_has_alone() -> None:
    draw = np.random.default_rng(4)
    dry, ratio, found = draw.uniform(0.0, 40.0, 8), draw.uniform(0.001, 0.02, 8), np.zeros(8)
    _wet(dry, ratio, found)
    np.testing.assert_array_equal(found, [wet_bulb_c(*pair) for pair in zip(dry, ratio, strict=True)])


def test_lanes_beyond_the_count_are_neither_read_nor_written() -> None:
    found = np.full(8, 9.0)
    assert _limited(np.arange(1.0, 7.0), found, 6)
    np.testing.assert_array_equal(found, [1.0, 2.0, 0.0, 0.0, 5.0, 5.0, 9.0, 9.0])
    assert not _limited(np.arange(1.0, 7.0), found, 3)
