"""Spoilt telemetry of the bundled office (fault A12): found by name, and no parameter leaves its interval."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from connectors.emulator.bundled_site import bundled_site_folder
from twin.building.parameters import SPECS, unphysical
from twin.site import Site

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from spoilt_telemetry import (
    Fitted,
    Spoil,
    counts_turned_round,
    fitted,
    missing_month,
    poisoned_week,
    strayed,
    telemetry,
)

pytestmark = pytest.mark.slow
SPOILT: list[tuple[Spoil, str]] = [
    (poisoned_week, "the week from 2023-10-09 agrees with no other week: left out of fit and verdict"),
    (missing_month, "13440 steps (3360.0 h) are missing from 2023-05-15"),
    (counts_turned_round, "zone_occupancy: counts of the day from 2023-"),
]


@pytest.fixture(scope="module")
def office() -> tuple[Site, pd.DataFrame]:
    return telemetry(bundled_site_folder() / "site.yaml", bundled_site_folder())


@pytest.fixture(scope="module")
def clean(office: tuple[Site, pd.DataFrame]) -> Fitted:
    return fitted(*office)


@pytest.mark.parametrize(("spoil", "sentence"), SPOILT, ids=[spoil.__name__ for spoil, _ in SPOILT])
def test_a_fault_in_the_record_is_told_and_moves_no_parameter_out_of_its_interval(
    spoil: Spoil, sentence: str, office: tuple[Site, pd.DataFrame], clean: Fitted
) -> None:
    site, rows = office
    spoilt = fitted(site, spoil(rows))
    assert [one for one in spoilt.told if sentence in one]
    assert not [one for one in clean.told if sentence in one]
    assert {name: far for name, far in strayed(spoilt.model, clean.model).items() if far > 1.0} == {}
    assert unphysical(spoilt.model.parameters, site) == ()
    assert spoilt.data.digest != clean.data.digest == clean.model.data_digest


def test_intervals_of_a_clean_record_are_narrow_enough_to_tell_something(clean: Fitted) -> None:
    """A quarter of the parameters that ten weeks tell, at least, are known to a third of what is physical."""
    spans = [(SPECS[one.name.rpartition("/")[2]], one) for one in clean.model.reports if one.identified]
    narrow = [one for spec, one in spans if one.high - one.low < (spec.high - spec.low) / 3.0]
    assert len(spans) > 40
    assert len(narrow) > len(spans) / 4
    assert clean.model.accepted
