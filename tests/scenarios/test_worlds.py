"""Changed worlds and synthetic days."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
from fake_twin import SITE, recorded

from scenarios.expand import DriverRequest, World
from scenarios.worlds import changed, synthetic

REQUEST = DriverRequest(
    kind="synthetic", start=datetime(2030, 7, 1, 5, tzinfo=UTC), end=datetime(2030, 7, 15, 5, tzinfo=UTC)
)


def test_a_world_without_changes_is_the_same_object() -> None:
    drivers = recorded()
    assert changed(drivers, World()) is drivers


def test_a_heat_wave_shifts_outdoor_air_only() -> None:
    drivers = recorded()
    hot = changed(drivers, World(outdoor_temperature_shift_k=5.0))
    np.testing.assert_allclose(hot.weather.outdoor_c, drivers.weather.outdoor_c + 5.0)
    np.testing.assert_array_equal(hot.people, drivers.people)


def test_people_stay_whole() -> None:
    half = changed(recorded(), World(people_scale=1.4))
    assert set(np.unique(half.people)) == {0.0, 1.0}


def test_synthetic_days_keep_the_kind_of_day() -> None:
    """Nobody is in on the drawn weekends, and everyone from 8 to 18 h on the drawn working days."""
    drawn = synthetic([recorded()], REQUEST, SITE, seed=3)
    by_day = drawn.people[:, 0].reshape(14, 96).sum(axis=1)
    days = [datetime(2030, 7, 1 + k, tzinfo=UTC).weekday() for k in range(14)]
    np.testing.assert_array_equal(by_day, [40.0 if day < 5 else 0.0 for day in days])


def test_the_same_seed_draws_the_same_days() -> None:
    base = recorded()
    noise = np.random.default_rng(1).normal(size=base.steps)
    base.weather.outdoor_c[:] += noise
    one, same, other = (synthetic([base], REQUEST, SITE, seed=seed).weather.outdoor_c for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_synthetic_drivers_cover_the_period_exactly() -> None:
    drawn = synthetic([recorded()], REQUEST, SITE, seed=0)
    assert drawn.start == REQUEST.start
    assert drawn.end == REQUEST.end


def test_stretches_of_telemetry_are_drawn_from_together() -> None:
    """Two stretches, 20 °C and 30 °C: both kinds of weather are drawn."""
    warm = recorded()
    cool = replace(
        warm,
        start=warm.start + timedelta(days=100),
        weather=replace(warm.weather, outdoor_c=warm.weather.outdoor_c - 10.0),
    )
    request = replace(REQUEST, end=REQUEST.start + timedelta(days=60), window_days=183)
    drawn = synthetic([warm, cool], request, SITE, seed=1)
    assert set(np.unique(drawn.weather.outdoor_c)) == {20.0, 30.0}
