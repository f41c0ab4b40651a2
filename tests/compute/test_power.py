"""Power curves, calibrated clusters and curves from idle and peak."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from connectors.host_types import read_host_types
from twin.compute.power import power_w
from twin.compute.power_fit import ClusterLoad, fit_power, held_out, least_relative_error, mape_pct
from twin.compute.power_shape import fit_shapes, left_out_errors
from twin.errors import BadInputError
from twin.streams import stream

HOST_TYPES = Path(__file__).parents[2] / "data" / "host_types.csv"
LINE = np.linspace(100.0, 200.0, 11)[None, :]


@pytest.mark.parametrize(("used", "watts"), [(0.0, 100.0), (0.05, 105.0), (0.37, 137.0), (1.0, 200.0), (1.7, 200.0)])
def test_power_is_linear_between_points_and_ends_at_the_peak(used: float, watts: float) -> None:
    np.testing.assert_allclose(power_w(LINE, np.array([used])), watts)


def cluster(noise: float = 0.0) -> tuple[ClusterLoad, np.ndarray]:
    rng = stream(5, "cluster")
    busy = 100.0 + 30.0 * np.sin(np.arange(2000) / 90.0) + rng.normal(0.0, 4.0, 2000)
    used = busy * rng.uniform(0.4, 0.8, 2000)
    return ClusterLoad(used=used, busy=busy), (9000.0 + 80.0 * used + 60.0 * busy) * np.exp(
        noise * rng.standard_normal(2000)
    )


def test_the_fit_finds_the_coefficients_that_made_the_power() -> None:
    load, power = cluster()
    np.testing.assert_allclose(least_relative_error(load.columns(), power), [9000.0, 80.0, 60.0], rtol=1e-6)


def test_intervals_hold_the_truth_and_widen_with_noise() -> None:
    widths = []
    for noise in (0.01, 0.05):
        load, power = cluster(noise)
        model = fit_power(load, power, 200, seed=3)
        assert model.low_w[1] - 8.0 < 80.0 < model.high_w[1] + 8.0
        widths.append(model.high_w[1] - model.low_w[1])
    assert widths[1] > widths[0]


def test_a_single_spike_does_not_move_the_fit() -> None:
    load, power = cluster(0.01)
    before = least_relative_error(load.columns(), power)
    power[100] *= 3.0
    np.testing.assert_allclose(least_relative_error(load.columns(), power), before, rtol=0.02)


def test_held_out_days_are_not_seen() -> None:
    load, power = cluster()
    day = np.arange(2000) // 400
    hidden = power.copy()
    hidden[day == 2] = 1.0
    assert mape_pct(held_out(load, hidden, day, [2]), power[day == 2]) < 1e-6


def test_too_little_data_is_refused() -> None:
    load, power = cluster()
    with pytest.raises(BadInputError, match="fewer than three blocks"):
        fit_power(load, power, 1000)


def test_bundled_servers_name_their_source_and_rise_with_load() -> None:
    for server in read_host_types(HOST_TYPES):
        assert "spec.org" in server.type.source
        assert np.all(np.diff(server.type.power_w) > 0.0)


def test_nine_points_are_predicted_within_five_percent_for_half_of_the_servers() -> None:
    """Each server is left out of what its own curve is predicted from; the straight line misses by 9.3 %."""
    servers = read_host_types(HOST_TYPES)
    errors = left_out_errors([s.facts for s in servers], np.array([s.type.power_w for s in servers]))
    assert np.median(errors) <= 5.0


def test_a_predicted_curve_starts_at_idle_ends_at_peak_and_never_falls() -> None:
    servers = read_host_types(HOST_TYPES)
    shapes = fit_shapes([s.facts for s in servers], np.array([s.type.power_w for s in servers]))
    curve = shapes.curve_w(servers[3].facts)
    assert (curve[0], curve[-1]) == (servers[3].facts.idle_w, servers[3].facts.peak_w)
    assert np.all(np.diff(curve) >= 0.0)


def test_a_table_without_watts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "types.csv"
    path.write_text("name,cores\na,2\n")
    with pytest.raises(BadInputError, match="columns missing"):
        read_host_types(path)
