"""Fans, coils, boxes and dampers follow their closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_site import two_zone_site

from twin.building.moist_air import saturation_ratio, wet_bulb_c
from twin.building.parameters import SPECS, Parameters, keys_of, site_parameters
from twin.building.plant import (
    BY_GAS,
    BY_HEAT_PUMP,
    BY_RESISTANCE,
    TOWER_RATED_C,
    Law,
    capacity_w,
    coil_heat_w,
    cooling_power_w,
    electricity_for,
    fan_power_w,
    gas_for,
    leaving_ratio,
    plant,
    wet_bulb_at_plant_c,
)
from twin.building.units import mixing
from twin.site import Site
from twin.vocab import CoolingKind

SITE = two_zone_site()
CHILLED = replace(
    SITE, air_handlers=tuple(replace(unit, cooling=CoolingKind.CHILLED_WATER) for unit in SITE.air_handlers)
)


def numbers(site: Site = SITE, **values: float) -> Law:
    """The law of the first unit."""
    units = plant(site, Parameters(values))
    return Law(*(float(getattr(units, name)[0]) for name in Law._fields))


def test_fan_power_is_the_cube_of_flow_for_exponent_three() -> None:
    some = numbers(fan_idle=0.0, fan_exponent=3.0, fan_w_kg_s=1000.0)
    full = some.unit_flow
    np.testing.assert_allclose(fan_power_w(some, full), 1000.0 * full)
    np.testing.assert_allclose(fan_power_w(some, full / 2), 1000.0 * full / 8)


def test_cooling_at_rating_conditions_takes_load_over_cop() -> None:
    some = numbers(cop=4.0, cycling_loss=0.1)
    np.testing.assert_allclose(cooling_power_w(some, 1e4, 1e4, 35.0, 19.4), 2500.0)


def test_cooling_at_half_load_loses_half_of_the_cycling_loss() -> None:
    some = numbers(cop=4.0, cycling_loss=0.2)
    np.testing.assert_allclose(cooling_power_w(some, 5e3, 1e4, 35.0, 19.4), 1250.0 / 0.9)


@pytest.mark.parametrize(("load", "share"), [(0.0, 0.0), (0.075, 0.1675), (0.15, 0.32), (0.5, 0.6), (1.0, 1.0)])
def test_chillers_draw_their_idle_share_while_they_run(load: float, share: float) -> None:
    some = numbers(CHILLED, cop=4.0, cooling_idle=0.2)
    np.testing.assert_allclose(cooling_power_w(some, load * 1e4, 1e4, 35.0, TOWER_RATED_C), share * 2500.0, atol=1e-3)


def test_chillers_work_by_the_wet_bulb_outdoors_and_coils_by_that_before_them() -> None:
    mix, outdoor = (26.0, 0.010), (32.0, 0.012)
    assert wet_bulb_at_plant_c(numbers(CHILLED), mix, outdoor) == pytest.approx(wet_bulb_c(*outdoor))
    assert wet_bulb_at_plant_c(numbers(), mix, outdoor) == pytest.approx(wet_bulb_c(*mix))


def test_chillers_are_dearer_and_coils_cheaper_by_their_warmer_wet_bulb() -> None:
    chiller, coil = numbers(CHILLED, cop_tower=0.02), numbers(cop_wet_bulb=0.02)
    at_rating = cooling_power_w(chiller, 1e4, 1e4, 35.0, TOWER_RATED_C)
    assert cooling_power_w(chiller, 1e4, 1e4, 35.0, TOWER_RATED_C + 5.0) == pytest.approx(1.1 * at_rating)
    assert cooling_power_w(coil, 1e4, 1e4, 35.0, 24.4) == pytest.approx(
        0.9 * cooling_power_w(coil, 1e4, 1e4, 35.0, 19.4)
    )


def test_what_chillers_can_give_knows_no_weather() -> None:
    chiller = numbers(CHILLED)
    assert capacity_w(chiller, 20.0, 10.0) == capacity_w(chiller, 35.0, 25.0) == chiller.cooling_w


def test_cooling_is_cheaper_when_it_is_cooler_outdoors() -> None:
    some = numbers(cop_outdoor=0.02)
    assert cooling_power_w(some, 1e4, 1e4, 25.0, 19.4) == pytest.approx(
        0.8 * cooling_power_w(some, 1e4, 1e4, 35.0, 19.4)
    )


def test_a_coil_without_bypass_dries_air_to_saturation_and_never_wets_it() -> None:
    some = numbers(bypass=0.0)
    np.testing.assert_allclose(leaving_ratio(some, 25.0, 0.012, 12.0), saturation_ratio(12.0))
    assert leaving_ratio(some, 25.0, 0.004, 12.0) == 0.004


def test_coil_heat_counts_temperature_and_moisture() -> None:
    """1 kg/s, 10 K and 2 g/kg: 10.06 + 5.00 kW."""
    np.testing.assert_allclose(coil_heat_w(1.0, 10.0, 0.002), 10_060.0 + 5_002.0)


@pytest.mark.parametrize(("kind", "electric", "gas"), [(BY_GAS, 0.0, 1250.0), (BY_RESISTANCE, 1000.0, 0.0)])
def test_heat_is_booked_as_fuel_or_electricity(kind: float, electric: float, gas: float) -> None:
    some = numbers(heating_efficiency=0.8)
    assert electricity_for(some, kind, 1000.0, 0.0) == electric
    assert gas_for(some, kind, 1000.0) == pytest.approx(gas)


def test_a_heat_pump_takes_less_when_it_is_milder() -> None:
    cold, mild = (electricity_for(numbers(), BY_HEAT_PUMP, 1000.0, outdoor_c) for outdoor_c in (-10.0, 10.0))
    assert cold > mild > 0


def test_the_economizer_mixes_to_the_wanted_temperature_between_minimum_and_all() -> None:
    """Return air of 24 °C and outdoor air of 4 °C make 14 °C half and half."""
    some = numbers(outdoor_air=1.0)
    least = some.outdoor_air / 2.0
    assert mixing(some, 2.0, 1.0, 24.0, 4.0, 14.0, True) == pytest.approx(0.5)
    assert mixing(some, 2.0, 1.0, 24.0, 18.0, 14.0, True) == 1.0
    assert mixing(some, 2.0, 1.0, 24.0, 28.0, 14.0, True) == pytest.approx(least)
    assert mixing(some, 2.0, 1.0, 24.0, 4.0, 14.0, False) == pytest.approx(least)


@pytest.mark.parametrize(
    ("dry_c", "relative", "wet_c"), [(30.0, 0.5, 22.0), (20.0, 0.5, 13.8), (35.0, 0.2, 18.8), (10.0, 0.9, 9.1)]
)
def test_wet_bulb_is_as_on_the_psychrometric_chart(dry_c: float, relative: float, wet_c: float) -> None:
    """Values read from the ASHRAE chart for sea level."""
    pressure = relative * saturation_ratio(dry_c) / (0.62198 + saturation_ratio(dry_c))
    ratio = 0.62198 * pressure / (1.0 - pressure)
    np.testing.assert_allclose(wet_bulb_c(dry_c, ratio), wet_c, atol=0.35)


def test_saturation_is_that_of_the_steam_table() -> None:
    """2.339 kPa at 20 °C gives 14.7 g/kg at 101.325 kPa."""
    np.testing.assert_allclose(saturation_ratio(20.0), 0.0147, rtol=0.01)


def test_a_value_of_one_unit_goes_before_that_of_all_and_the_guess() -> None:
    parameters = Parameters({"cop": 3.0, "unit-1/cop": 4.0})
    assert parameters.of("cop", "unit-1") == 4.0
    assert parameters.of("cop", "unit-2") == 3.0
    assert Parameters().of("cop") == SPECS["cop"].guess


def test_every_guess_lies_within_its_bounds() -> None:
    assert all(spec.low <= spec.guess <= spec.high for spec in SPECS.values())
    assert all(spec.low > 0 for spec in SPECS.values() if spec.log)


def test_keys_name_the_building_its_zones_or_its_units() -> None:
    assert keys_of(SITE, SPECS["wall_u"]) == ("wall_u",)
    assert keys_of(SITE, SPECS["solar"]) == ("core/solar", "south/solar")
    assert keys_of(SITE, SPECS["cop"]) == ("unit-1/cop",)


def test_what_the_site_states_replaces_the_guess() -> None:
    from dataclasses import replace

    unit = replace(SITE.air_handlers[0], rated_cop=3.9, minimum_flow_fraction=0.4, fan_pressure_pa=1204.0)
    stated = site_parameters(replace(SITE, air_handlers=(unit,), infiltration_fraction_fans_on=0.3))
    assert stated.of("cop", "unit-1") == 3.9
    assert stated.of("minimum_flow", "unit-1") == 0.4
    assert stated.of("infiltration_fans_on") == 0.3
    np.testing.assert_allclose(stated.of("fan_w_kg_s", "unit-1"), 1204.0 / 1.204 / 0.6)
