"""The fit itself, on residuals whose answer is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from twin.building.parameters import Parameters
from twin.calibration.certainty import ensemble, parameter_reports
from twin.calibration.fit import Block, Knob, fit, value_of

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
    reports = parameter_reports(found)
    assert [report.name for report in reports] == list(COPS)
    assert all(report.identified for report in reports)


def test_members_of_the_ensemble_move_like_units_alike() -> None:
    found = fit(_seen, Parameters({"a/cop": 3.0}), [Knob(COPS, 1.0)], rounds=4)
    for member in ensemble(found, 3, seed=1):
        assert len({round(value_of(member, key) / value_of(found.parameters, key), 9) for key in COPS}) == 1
