"""What the twin of the example office says: a batch of what-ifs, their series, a model, a forecast."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
from example_office import EVIL, NOW

from dashboard.memory import MemoryResults
from dashboard.views import (
    BatchView,
    ForecastView,
    Kpi,
    MeterQuality,
    ModelView,
    ParameterView,
    ScenarioView,
    ZoneQuality,
)
from twin.site import Site
from twin.vocab import EndUse


def example_kpi(value: float, spread: float, unit: str) -> Kpi:
    return Kpi(value=value, low=value - abs(spread), high=value + abs(spread), unit=unit)


def example_batch(batch_id: str = "july-0123456789ab") -> BatchView:
    measures: dict[str, tuple[dict[str, object], float, float]] = {
        "baseline": ({}, 0.0, 0.0),
        "warmer supply air": ({"supply_air_temperature_c": {"reset": {"min": 12.8, "max": 18}}}, -0.11, 4.0),
        "empty rooms set back": ({"empty_zone_setback": {"delta_k": 2}}, -0.05, 9.0),
        "both": (
            {
                "supply_air_temperature_c": {"reset": {"min": 12.8, "max": 18}},
                "empty_zone_setback": {"delta_k": 2},
            },
            -0.145,
            14.0,
        ),
        EVIL: ({"economizer": "off"}, 0.04, 1.0),
    }
    units = {"hvac_kwh": 9000.0, "electricity_kwh": 31_000.0, "cost": 4650.0, "co2_kg": 12_400.0, "peak_kw": 182.0}
    units |= {"fan_kwh": 2500.0, "cooling_kwh": 5000.0, "heating_kwh": 1500.0, "it_kwh": 1900.0}
    names = {"cost": "USD", "co2_kg": "kg", "peak_kw": "kW"}
    scenarios = []
    for name, (policy, share, discomfort) in measures.items():
        kpis = {key: example_kpi(base * (1 + share), 0.02 * base, names.get(key, "kWh")) for key, base in units.items()}
        kpis["occupied_discomfort_kh"] = example_kpi(20 + discomfort, 3, "K·h")
        delta = {key: example_kpi(base * share, 0.01 * base, names.get(key, "kWh")) for key, base in units.items()}
        percent = {key: example_kpi(100 * share, 1.5, "%") for key in units}
        has = name != "baseline"
        scenarios.append(
            ScenarioView(
                name=name,
                description="A what-if of the example.",
                policy=policy,
                kpis=kpis,
                baseline="baseline" if has else None,
                delta=delta if has else {},
                delta_percent=percent if has else {},
                drivers="replay",
            )
        )
    return BatchView(id=batch_id, made_at=NOW, model_id="3f" * 32, model_accepted=True, scenarios=tuple(scenarios))


def example_results(site: Site, frame: pd.DataFrame) -> MemoryResults:
    batch = example_batch()
    series, energies, rooms = {}, {}, {}
    for k, scenario in enumerate(batch.scenarios):
        busy = frame["west 2/zone_occupancy"].to_numpy() * 400
        columns = {
            "power_fan_w": 4000 + busy * (1 - 0.05 * k),
            "power_cooling_w": 9000 + 3 * busy * (1 - 0.06 * k),
            "people": frame["core 0/zone_occupancy"].to_numpy(),
        }
        columns |= {
            f"temperature_c.{z.id}": frame[f"{z.id}/zone_air_temperature"].to_numpy() + 0.2 * k for z in site.zones
        }
        key = (batch.id, scenario.name)
        series[key] = pd.DataFrame(columns, index=frame.index)
        energies[key] = {
            EndUse.FAN: 2500.0,
            EndUse.COOLING: 5000.0 - 300 * k,
            EndUse.HEATING_ELECTRIC: 1500.0,
            EndUse.HEATING_GAS: 900.0,
            EndUse.LIGHTS: 6000.0,
            EndUse.PLUGS: 9000.0,
            EndUse.IT: 1900.0,
            EndUse.OTHER: 400.0,
        }
        days = [date(2023, 7, 6) + timedelta(days=d) for d in range(7)]
        values = {z.id: [max(0.0, (i % 5) * 0.6 - 1 + 0.3 * k) for _ in days] for i, z in enumerate(site.zones)}
        rooms[key] = pd.DataFrame(values, index=days)
    return MemoryResults(
        kept=(batch,),
        frames=series,
        energies=energies,
        rooms=rooms,
        hours={
            key: pd.DataFrame({host.id: [24.0 - i] * 7 for i, host in enumerate(site.hosts)}, days) for key in series
        },
        moved=dict.fromkeys(series, example_moves()),
    )


def example_moves() -> pd.DataFrame:
    at = pd.DatetimeIndex([NOW - timedelta(hours=h) for h in (30, 20, 10)])
    names = {"vm": ["vm-00", "vm-01", "vm-02"], "source": ["host-00"] * 3, "target": ["host-01"] * 3}
    return pd.DataFrame({"at": at, **names, "duration_s": [12.0, 14.0, 90.0], "downtime_s": [0.1, 0.2, 0.3]})


def example_model(site: Site) -> ModelView:
    return ModelView(
        model_id="3f" * 32,
        made_at=NOW - timedelta(days=3),
        accepted=True,
        reasons=(),
        zones=tuple(ZoneQuality(zone=z.id, rmse_k=0.4 + 0.05 * (i % 5)) for i, z in enumerate(site.zones)),
        meters=(
            MeterQuality(meter="HVAC electricity", hourly_cvrmse_pct=18.0, hourly_nmbe_pct=-2.0),
            MeterQuality(meter="Fans", hourly_cvrmse_pct=12.0, hourly_nmbe_pct=4.0),
            MeterQuality(meter="Gas", hourly_cvrmse_pct=41.0, hourly_nmbe_pct=-12.0),
        ),
        parameters=(ParameterView(name="infiltration", value=0.31, low=0.2, high=0.4, unit="1/h", before=0.28),),
        data_digest="ab" * 32,
        code_version="0.1.0",
        advice="Calibrate again in October: the data holds no day below 5 °C.",
    )


def example_forecast(site: Site) -> ForecastView:
    past = [NOW - timedelta(hours=h) for h in range(96, 0, -1)]
    ahead = [NOW + timedelta(hours=h) for h in range(48)]
    wave = [60 + 40 * np.sin(i / 24 * 2 * np.pi) for i in range(144)]
    return ForecastView(
        series="people in the building",
        unit="people",
        model="prophet",
        made_at=NOW,
        history_at=tuple(past),
        history=tuple(wave[:96]),
        at=tuple(ahead),
        median=tuple(wave[96:]),
        low=tuple(w - 9 for w in wave[96:]),
        high=tuple(w + 11 for w in wave[96:]),
        errors={"mae": 4.1, "mae_ratio": 0.71},
    )
