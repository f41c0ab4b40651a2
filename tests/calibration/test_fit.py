"""The fit itself, on residuals whose answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from twin.building.parameters import Parameters
from twin.calibration.certainty import Certainty, ensemble, of_next_stage, of_one_stage, parameter_reports
from twin.calibration.fit import Fit, fit, lowest
from twin.calibration.influence import influences, too_heavy, unchecked
from twin.calibration.information import Block, Information, Knob
from twin.calibration.scale import value_of
from twin.model import Influence

Array = NDArray[np.float64]

COPS = ("a/cop", "b/cop", "c/cop")


def _seen(parameters: Parameters) -> Sequence[Block]:
    """Three like units behind one meter; it shows their mean logarithm of the rated COP, truly that of 4."""
    mean = np.mean([np.log(value_of(parameters, key)) for key in COPS])
    return [Block("meter", np.full(100, (mean - np.log(4.0)) / 0.02), 100.0)]


def test_units_that_are_alike_move_together_and_reach_the_answer_in_two_steps() -> None:
    found = fit(_seen, Parameters({"a/cop": 3.0, "b/cop": 3.0, "c/cop": 3.0}), [Knob(COPS, 1.0)], rounds=2)
    assert [value_of(found.parameters, key) for key in COPS] == pytest.approx([4.0, 4.0, 4.0], rel=5e-3)


def test_what_was_measured_to_differ_between_units_stays_different() -> None:
    start = Parameters({"a/cop": 2.7, "b/cop": 3.0, "c/cop": 3.3})
    found = fit(_seen, start, [Knob(COPS, 1.0)], rounds=4)
    ratio = [value_of(found.parameters, key) / value_of(start, key) for key in COPS]
    assert ratio == pytest.approx([ratio[0]] * 3)


def test_a_value_that_a_shared_meter_tells_is_called_identified_for_every_unit() -> None:
    found = fit(_seen, Parameters({"a/cop": 3.0}), [Knob(COPS, 1.0)], rounds=4)
    reports = parameter_reports(of_one_stage(found))
    assert [report.name for report in reports] == list(COPS)
    assert all(report.identified for report in reports)


def test_members_of_the_ensemble_move_like_units_alike() -> None:
    found = fit(_seen, Parameters({"a/cop": 3.0}), [Knob(COPS, 1.0)], rounds=4)
    for member in ensemble(of_one_stage(found), 3, seed=1):
        assert len({round(value_of(member, key) / value_of(found.parameters, key), 9) for key in COPS}) == 1


def test_a_value_at_its_bound_is_held_and_the_others_do_not_count_on_it() -> None:
    """x² + xy + y² with slope (-1, 2) is least at (4/3, -5/3); where y may not fall, at x = 1/2 and y = 0."""
    system, slope = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([-1.0, 2.0])
    wide = np.full(2, 9.0)
    np.testing.assert_allclose(lowest(system, slope, -wide, wide), [4.0 / 3.0, -5.0 / 3.0])
    np.testing.assert_allclose(lowest(system, slope, np.array([-9.0, 0.0]), wide), [0.5, 0.0])


def test_a_step_that_would_leave_the_box_ends_at_its_side() -> None:
    step = lowest(np.eye(2) + 0.2, np.array([-3.0, -0.5]), np.full(2, -0.7), np.full(2, 0.7))
    np.testing.assert_allclose(step, [0.7, (0.5 - 0.2 * 0.7) / 1.2])


def _told(precision: list[list[list[float]]], slope: list[list[float]]) -> Information:
    return Information(tuple(range(len(slope))), np.array(precision), np.array(slope))


def test_the_jackknife_of_a_mean_is_its_textbook_error() -> None:
    """Weekly values of which the fit is the mean: on top of what is expected comes s²/n."""
    values = np.array([1.0, 2.0, 4.0, 9.0])
    told = _told([[[1.0]]] * 4, [[values.mean() - value] for value in values])
    known = of_one_stage(Fit(Parameters(), (("wall_u",),), told, np.array([1e-9]), np.zeros(1)))
    np.testing.assert_allclose(known.covariance - known.expected, [[values.var(ddof=1) / 4]], rtol=1e-6)


def _alone(covariance: Array, moves: list[list[float]] | None = None) -> Certainty:
    """A certainty of which only the covariance, and what weeks disagree in, matters."""
    groups = tuple((name,) for name in ("wall_u", "window_u", "roof_u", "shgc", "cop")[: len(covariance)])
    without = {week: np.array(move) for week, move in enumerate(moves or [])}
    return Certainty(Parameters(), groups, covariance, covariance, np.ones(len(groups)), without)


def test_one_parameter_has_the_usual_80_percent_interval() -> None:
    np.testing.assert_allclose(_alone(np.array([[4.0]])).half_width, 2.0 * 1.2816, rtol=0.03)


def test_five_independent_parameters_lie_within_their_intervals_at_once() -> None:
    """0.8 = p^5, so that each interval holds at p = 0.956: 2.017 standard errors. Source: Sidak 1967."""
    np.testing.assert_allclose(_alone(np.eye(5)).half_width, 2.017, rtol=0.03)


def test_parameters_that_move_together_are_no_more_uncertain_than_one() -> None:
    np.testing.assert_allclose(_alone(np.ones((5, 5))).half_width, 1.2816, rtol=0.03)


def test_what_few_weeks_disagree_in_is_wider_by_students_t() -> None:
    """Three weeks, two degrees of freedom: 1.886 standard errors instead of 1.282."""
    known = _alone(np.array([[1e-12]]), [[-1.0], [0.0], [1.0]])
    np.testing.assert_allclose(known.half_width, 1.886 * np.sqrt(known.covariance[0]), rtol=0.05)


def test_a_fit_that_has_no_time_to_end_says_how_far_its_end_may_be() -> None:
    """Residuals are linear in the logarithm: the next step leads to the end, and the interval reaches there."""
    start = Parameters({"a/cop": 3.0})
    begun = fit(_seen, start, [Knob(COPS, 1.0)], rounds=0)
    ended = fit(_seen, start, [Knob(COPS, 1.0)], rounds=20)
    np.testing.assert_allclose(begun.left, np.log(4.0) - np.log([3.0, 3.2, 3.2]).mean(), rtol=1e-3)
    np.testing.assert_array_equal(ended.left, 0.0)
    assert parameter_reports(of_one_stage(begun))[1].holds(value_of(ended.parameters, COPS[1]))


def test_the_week_that_decides_most_is_named_with_its_reach_and_what_it_does_to_energy() -> None:
    told = _told([[[1.0]]] * 4, [[3.0], [-1.0], [-1.0], [-1.0]])
    known = of_one_stage(Fit(Parameters(), (("wall_u",),), told, np.array([1e-9]), np.zeros(1)))
    first, *others = influences(known, lambda parameters: parameters.of("wall_u"), lambda week: int(week > 0))
    assert (first.week, first.parameter, len(others)) == (0, "wall_u", 3)
    assert [one.peers for one in (first, *others)] == [0, 2, 2, 2]
    assert first.reach == pytest.approx(1.0 / float(known.half_width[0]), rel=1e-6)
    assert first.energy == pytest.approx(np.e - 1.0, rel=1e-6)  # one step up the logarithmic scale


@pytest.mark.parametrize(("energy", "refused"), [(0.09, 0), (-0.09, 0), (0.11, 1), (-0.11, 1)])
def test_a_week_that_moves_energy_by_more_than_ten_percent_stops_acceptance(energy: float, refused: int) -> None:
    found = Influence(week=2, parameter="wall_u", reach=1.0, energy=energy, peers=2)
    reasons = too_heavy([found], datetime(2023, 1, 2, tzinfo=UTC))
    assert len(reasons) == refused
    assert not refused or reasons[0].startswith("the week from 2023-01-16 decides too much: without it HVAC energy is")


def test_a_week_without_peers_in_its_season_is_told_and_stops_nothing() -> None:
    found = [Influence(week=2, parameter="wall_u", reach=1.0, energy=0.3, peers=peers) for peers in (0, 1)]
    start = datetime(2023, 1, 2, tzinfo=UTC)
    assert not too_heavy(found, start)
    assert [one[:36] for one in unchecked(found, start)] == ["the week from 2023-01-16 decides much"[:36]] * 2


def test_what_the_first_stage_has_wrong_is_carried_into_the_second() -> None:
    """Closed form for one value that goes on and one that is held: M^-2 (A + P² C + A_held² C_held)."""
    rooms = Fit(
        Parameters(),
        (("wall_u",), ("shgc",)),
        _told([[[3.0, 0.0], [0.0, 8.0]]], [[0.0, 0.0]]),
        np.array([1.0, 1.0]),
        np.zeros(2),
    )
    plant = Fit(Parameters(), (("wall_u",),), _told([[[5.0]]], [[0.0]]), np.array([2.0]), np.zeros(1))
    known = of_next_stage(of_one_stage(rooms), plant, _told([[[5.0, 3.0], [3.0, 7.0]]], [[0.0, 0.0]]))
    assert known.groups == (("wall_u",), ("shgc",))
    expected = [[(5.0 + 4.0 / 4.0 + 9.0 / 9.0) / 49.0, -3.0 / 9.0 / 7.0], [-3.0 / 9.0 / 7.0, 1.0 / 9.0]]
    np.testing.assert_allclose(known.covariance, expected)
