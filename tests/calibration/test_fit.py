"""The fit itself, on residuals whose answer is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from twin.building.parameters import Parameters
from twin.calibration.certainty import ensemble, of_one_stage, of_two_stages, parameter_reports
from twin.calibration.fit import Fit, fit, lowest
from twin.calibration.information import Block, Information, Knob
from twin.calibration.scale import value_of

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
    known = of_one_stage(Fit(Parameters(), (("wall_u",),), told, np.array([1e-9]), 0.0))
    np.testing.assert_allclose(known.covariance - known.expected, [[values.var(ddof=1) / 4]], rtol=1e-6)


def test_the_week_that_decides_most_is_named_with_its_reach() -> None:
    told = _told([[[1.0]]] * 4, [[3.0], [-1.0], [-1.0], [-1.0]])
    first, *_ = of_one_stage(Fit(Parameters(), (("wall_u",),), told, np.array([1e-9]), 0.0)).influence()
    half = 1.2816 * np.sqrt(0.25 + 4.0 / 4.0)  # four observations, and s²/n of the weeks
    assert (first.week, first.parameter) == (0, "wall_u")
    assert first.reach == pytest.approx(1.0 / half, rel=1e-3)


def test_what_the_first_stage_has_wrong_is_carried_into_the_second() -> None:
    """Closed form for one value that goes on and one that is held: M^-2 (A + P² C + A_held² C_held)."""
    rooms = Fit(
        Parameters(),
        (("wall_u",), ("shgc",)),
        _told([[[3.0, 0.0], [0.0, 8.0]]], [[0.0, 0.0]]),
        np.array([1.0, 1.0]),
        0.0,
    )
    plant = Fit(Parameters(), (("wall_u",),), _told([[[5.0]]], [[0.0]]), np.array([2.0]), 0.0)
    known = of_two_stages(rooms, plant, _told([[[5.0, 3.0], [3.0, 7.0]]], [[0.0, 0.0]]))
    assert known.groups == (("wall_u",), ("shgc",))
    expected = [[(5.0 + 4.0 / 4.0 + 9.0 / 9.0) / 49.0, -3.0 / 9.0 / 7.0], [-3.0 / 9.0 / 7.0, 1.0 / 9.0]]
    np.testing.assert_allclose(known.covariance, expected)
