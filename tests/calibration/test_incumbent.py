"""A new model does not silently take the place of a better one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from test_calibrate import START, TRUTH, office, record

from connectors.model_store import ModelStore
from twin.building.parameters import Parameters
from twin.calibration.incumbent import recent_weeks, worse_than
from twin.cli.models import calibrated
from twin.cli.workspace import Workspace
from twin.model import Model, ParameterReport
from twin.site_match import topology_digest
from twin.vocab import PointKind

METERS = (PointKind.HVAC_ELECTRIC_POWER, PointKind.HEATING_GAS_POWER)
POOR = Parameters({"wall_u": 0.4, "shgc": 0.2, "cop": 4.5})


def model(parameters: Parameters, *, accepted: bool = True, weeks: tuple[int, ...] = (2, 4), days: int = 42) -> Model:
    site = office()
    return Model(
        site=site.name,
        site_digest="",
        data_digest="",
        code_version="1",
        start=START,
        end=START + timedelta(days=days),
        seed=0,
        accepted=accepted,
        reasons=() if accepted else ("poor",),
        metrics={"zone_rmse_k": 0.3},
        parameters=parameters,
        ensemble=(parameters,),
        structural={},
        hold_out_weeks=weeks,
        topology_digest=topology_digest(site),
    )


def test_a_worse_model_is_told_by_temperatures_and_meters_of_weeks_it_never_saw() -> None:
    why = worse_than(office(), record(METERS), model(POOR), model(TRUTH))
    assert [sentence.partition(":")[0] for sentence in why] == ["zone temperatures", "meters"]
    assert "on 2 recent weeks that the new model never saw" in why[0]


def test_a_model_that_is_as_good_or_better_may_take_the_place() -> None:
    assert worse_than(office(), record(METERS), model(TRUTH), model(POOR)) == ()
    assert worse_than(office(), record(METERS), model(TRUTH), model(TRUTH)) == ()


def test_a_model_that_is_not_accepted_does_not_replace_one_that_is() -> None:
    old = model(POOR)
    assert worse_than(office(), record(METERS), model(TRUTH, accepted=False), old) == (
        f"the new model is not accepted, model {old.model_id[:12]} in force is",
    )


@pytest.mark.parametrize(
    "old", [model(TRUTH, accepted=False), replace(model(TRUTH), topology_digest="of another building")]
)
def test_a_refused_model_or_one_of_another_building_defends_nothing(old: Model) -> None:
    assert worse_than(office(), record(METERS), model(POOR), old) == ()


def told(low: float, high: float, value: float = 1.1) -> ParameterReport:
    return ParameterReport(
        name="wall_u", value=value, low=low, high=high, unit="W/m2K", at_bound=False, identified=True
    )


@pytest.mark.parametrize(("value", "refused"), [(1.0, False), (1.2, False), (1.21, True), (0.99, True)])
def test_a_model_as_good_whose_parameter_leaves_the_interval_in_force_waits_for_a_person(
    value: float, refused: bool
) -> None:
    old = replace(model(TRUTH), reports=(told(1.0, 1.2),))
    new = replace(model(TRUTH), reports=(told(value, value, value),))
    why = worse_than(office(), record(METERS), new, old)
    leaves = f"parameters leave the intervals of the model in force: wall_u {value:.3g} W/m2K (in force 1 to 1.2)"
    assert [one.partition(";")[0] for one in why] == ([leaves] if refused else [])
    assert all("'understudy calibrate --replace'" in one for one in why)


def test_a_model_that_is_a_little_worse_does_not_replace_the_one_in_force() -> None:
    """A tenth of the wall's conductance: worse by more than what does not count, far less than what is accepted."""
    little = model(TRUTH.replacing({"wall_u": 0.8 * TRUTH.of("wall_u"), "cop": 1.05 * TRUTH.of("cop")}))
    assert worse_than(office(), record(METERS), little, model(TRUTH))
    assert worse_than(office(), record(METERS), model(TRUTH), little) == ()


@pytest.mark.parametrize("replace_it", [False, True])
def test_calibrate_puts_a_worse_model_in_force_only_when_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace_it: bool
) -> None:
    old, poor, data = model(TRUTH), model(POOR), record(METERS)
    store = ModelStore(tmp_path / "models", Model.from_json)
    here = SimpleNamespace(site=office(), models=store, var=tmp_path.joinpath)
    in_force = store.save(old)
    kept_bytes = in_force.read_bytes()
    monkeypatch.setattr("twin.cli.models.record_of", lambda *_: data)
    monkeypatch.setattr("twin.calibration.calibrate", lambda *_, **__: poor)
    kept = calibrated(cast("Workspace", here), replace=replace_it)
    assert store.load(kept.model_id) == kept
    assert store.current() == (kept if replace_it else old)
    assert in_force.read_bytes() == kept_bytes
    assert [one.startswith("not put in force: ") for one in kept.findings] == ([] if replace_it else [True, True])


def test_weeks_after_the_old_record_count_where_there_are_any() -> None:
    new = model(TRUTH, weeks=(1, 2, 3, 4, 5))
    assert recent_weeks(new, model(TRUTH, days=21)) == [3, 4, 5]
    assert recent_weeks(new, model(TRUTH, days=42)) == [2, 3, 4, 5]
