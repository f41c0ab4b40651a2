"""What measured energy is worth."""

from __future__ import annotations

from dataclasses import replace

import pytest

from twin.plans.document import Interval
from twin.plans.priced import priced
from twin.site import Tariff

TARIFF = Tariff(
    currency="EUR",
    electricity_per_kwh=0.2,
    gas_per_kwh=0.05,
    carbon_kg_per_kwh=0.4,
    gas_carbon_kg_per_kwh=0.2,
    peak_per_kw_month=9.0,
)
SAVED = {
    "electricity_kwh": Interval(value=100.0, low=80.0, high=120.0, unit="kWh"),
    "gas_kwh": Interval(value=10.0, low=-10.0, high=30.0, unit="kWh"),
    "fan_kwh": Interval(value=50.0, low=50.0, high=50.0, unit="kWh"),
}


def test_both_meters_count_once_and_parts_of_them_do_not() -> None:
    found = priced(SAVED, TARIFF)
    assert found["cost"] == Interval(value=20.5, low=15.5, high=25.5, unit="EUR")
    assert found["co2_kg"] == Interval(value=42.0, low=30.0, high=54.0, unit="kg")


def test_a_price_by_the_hour_gives_no_cost_and_no_meter_gives_nothing() -> None:
    assert set(priced(SAVED, replace(TARIFF, electricity_by_hour=(0.2,) * 24))) == {"co2_kg"}
    assert priced({"fan_kwh": SAVED["fan_kwh"]}, TARIFF) == {}


def test_without_a_gas_meter_electricity_alone_counts() -> None:
    found = priced({"electricity_kwh": SAVED["electricity_kwh"]}, TARIFF)
    assert found["cost"].value == pytest.approx(20.0)
