"""Distances from comfort are those of the table that charts are drawn from."""

from __future__ import annotations

import numpy as np

from twin.building.comfort import distances
from twin.kpi import discomfort_by_zone
from twin.site import ComfortBand


def test_distances_are_the_sums_of_the_table_over_all_zones_and_steps_with_people() -> None:
    rng = np.random.default_rng(3)
    temperature, co2 = rng.uniform(15.0, 30.0, (200, 3)), rng.uniform(400.0, 2000.0, (200, 3))
    people, band = rng.integers(0, 3, (200, 3)).astype(float), ComfortBand()
    outside_k, above = distances(temperature, co2, people, (band.min_c, band.max_c, 1000.0))
    np.testing.assert_allclose(outside_k, discomfort_by_zone(temperature, people, band, 3600.0).sum(), rtol=1e-12)
    assert above == ((co2 > 1000.0) & (people > 0)).sum()
