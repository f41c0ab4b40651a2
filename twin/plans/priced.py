"""What a measured saving of energy is worth at the site's tariff, and the carbon that it spares."""

from __future__ import annotations

from collections.abc import Mapping

from twin.plans.document import Interval
from twin.site import Tariff

ELECTRICITY, GAS = "electricity_kwh", "gas_kwh"


def priced(saved_kwh: Mapping[str, Interval], tariff: Tariff) -> dict[str, Interval]:
    """Cost of energy and CO₂ that savings of the whole site's meters stand for, by KPI; empty without such a meter.

    Charges for the peak are left out: no meter shows the peak that there would have been. Where the price varies by
    hour the cost is left out too. Half widths are added, as the errors of both meters come from one model.

    Args:
        saved_kwh: measured savings by KPI. [kWh]
        tariff: prices [currency/kWh] and carbon [kg/kWh].
    """
    if ELECTRICITY not in saved_kwh:
        return {}
    parts = [(saved_kwh[ELECTRICITY], tariff.electricity_per_kwh, tariff.carbon_kg_per_kwh)]
    if GAS in saved_kwh:
        parts.append((saved_kwh[GAS], tariff.gas_per_kwh, tariff.gas_carbon_kg_per_kwh))
    found = {"co2_kg": _summed([(saved, carbon) for saved, _, carbon in parts], "kg")}
    if not tariff.electricity_by_hour:
        found["cost"] = _summed([(saved, price) for saved, price, _ in parts], tariff.currency)
    return found


def _summed(parts: list[tuple[Interval, float]], unit: str) -> Interval:
    return Interval(
        value=sum(saved.value * each for saved, each in parts),
        low=sum(saved.low * each for saved, each in parts),
        high=sum(saved.high * each for saved, each in parts),
        unit=unit,
    )
