"""An office of three floors with hosts, a week of telemetry, results, a model, plans and people: all from one seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from flask.testing import FlaskClient

from dashboard.memory import (
    FixedClock,
    MemoryAudit,
    MemoryIdentity,
    MemoryJobs,
    MemoryModels,
    MemoryPlans,
    MemoryResults,
    MemorySettings,
    MemoryTelemetry,
)
from dashboard.services import Services
from dashboard.views import (
    BatchView,
    ConnectorView,
    FindingView,
    ForecastView,
    Kpi,
    MeterQuality,
    ModelView,
    ParameterView,
    Person,
    PolicyText,
    Role,
    SavingView,
    ScenarioView,
    Severity,
    ZoneQuality,
)
from twin.plan import Action, ActionKind, PlanState, StepState
from twin.plans.document import (
    Evidence,
    Guard,
    Interval,
    KpiForecast,
    Plan,
    Rehearsal,
    Step,
    Target,
    TargetKind,
    Undo,
    UndoStep,
    Wave,
)
from twin.plans.records import AuditRow, PlanRecord, PlanView, StepRecord
from twin.site import AirHandler, Host, HostType, Location, Point, Site, Vm, Wall, Zone
from twin.streams import stream
from twin.vocab import EndUse, Facing, PointKind, SystemType

CHICAGO = ZoneInfo("America/Chicago")
START = datetime(2023, 7, 6, 5, tzinfo=UTC)
END = datetime(2023, 7, 13, 5, tzinfo=UTC)
NOW = datetime(2023, 7, 13, 5, tzinfo=UTC)
PASSWORD = "correct horse battery"
ORIGIN = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
"""What a browser says of a request that a page of the dashboard made."""
Client = Callable[[str], FlaskClient]
EVIL = "<img src=x onerror=window.hacked=1>"
_SIDES = ((Facing.SOUTH, "south"), (Facing.EAST, "east"), (Facing.NORTH, "north"), (Facing.WEST, "west"))
_KINDS = (
    PointKind.ZONE_AIR_TEMPERATURE,
    PointKind.ZONE_HEATING_SETPOINT,
    PointKind.ZONE_COOLING_SETPOINT,
    PointKind.ZONE_OCCUPANCY,
    PointKind.ZONE_CO2,
    PointKind.ZONE_PLUG_POWER,
)


def example_site(floors: int = 3, hosts: int = 12, vms: int = 60) -> Site:
    zones: list[Zone] = []
    for floor in range(floors):
        zones += [
            Zone(
                id=f"{name} {floor}",
                floor=floor,
                floor_area_m2=131.0 if name in {"east", "west"} else 207.0,
                volume_m3=560.0,
                air_handler=f"ahu {floor}",
                design_people=12.0,
                walls=(Wall(facing=facing, area_m2=120.0, window_m2=40.0),),
            )
            for facing, name in _SIDES
        ]
        zones.append(
            Zone(
                id=f"core {floor}",
                floor=floor,
                floor_area_m2=984.0,
                volume_m3=2700.0,
                air_handler=f"ahu {floor}",
                design_people=50.0,
            )
        )
    names = [zone.id for zone in zones]
    machines = tuple(
        Host(id=f"host-{i:02d}", type="plain", zone="core 0", rack=f"rack {i // 6 + 1}") for i in range(hosts)
    )
    points = [Point(id=f"{zone}/{kind.value}", kind=kind, of=zone) for kind in _KINDS for zone in names]
    for kind in (PointKind.HOST_CPU_UTILIZATION, PointKind.HOST_POWER):
        points += [Point(id=f"{host.id}/{kind.value}", kind=kind, of=host.id) for host in machines]
    points.append(Point(id="outdoor", kind=PointKind.OUTDOOR_AIR_TEMPERATURE, of="Example office"))
    return Site(
        name="Example office",
        time_zone=CHICAGO,
        location=Location(latitude_deg=42.0, longitude_deg=-88.0),
        zones=tuple(zones),
        air_handlers=tuple(
            AirHandler(
                id=f"ahu {f}",
                system=SystemType.VAV_REHEAT,
                zones=tuple(zone.id for zone in zones if zone.floor == f),
            )
            for f in range(floors)
        ),
        points=tuple(points),
        host_types=(
            HostType(name="plain", cores=16, core_mips=2600, ram_mb=131_072, power_w=tuple(range(100, 210, 10))),
        ),
        hosts=machines,
        vms=tuple(
            Vm(id=f"vm-{i:02d}", vcpus=2, mips=5200, ram_mb=4096, host=f"host-{i % hosts:02d}") for i in range(vms)
        ),
    )


def example_frame(site: Site, start: datetime = START, end: datetime = END) -> pd.DataFrame:
    index = pd.date_range(start, end, freq="15min", inclusive="left", tz="UTC")
    local = index.tz_convert(site.time_zone)
    hour = (local.hour + local.minute / 60).to_numpy()
    work = ((local.day_of_week < 5) & (hour > 7) & (hour < 19)).astype(float)
    outdoor = 24 + 7 * np.sin((hour - 9) / 24 * 2 * np.pi)
    columns: dict[str, np.ndarray] = {"outdoor": outdoor}
    for i, zone in enumerate(site.zones):
        random = stream(7, "example", zone.id)
        bump = np.clip(np.sin((hour - 7) / 12 * np.pi), 0, None) * work
        people = np.round(zone.design_people * 0.6 * bump * random.uniform(0.7, 1.3))
        warm = 23.2 + 0.1 * (i % 5) + (3.4 if zone.id == "west 2" else 0.8) * bump + 1.6 * (1 - work)
        values = {
            PointKind.ZONE_AIR_TEMPERATURE: warm + random.normal(0, 0.08, len(index)),
            PointKind.ZONE_HEATING_SETPOINT: np.where(work > 0, 21.0, 15.6),
            PointKind.ZONE_COOLING_SETPOINT: np.where(work > 0, 24.0, 26.7),
            PointKind.ZONE_OCCUPANCY: people,
            PointKind.ZONE_CO2: 420 + 14 * people * 50 / zone.design_people / 2,
            PointKind.ZONE_PLUG_POWER: 400 + 90 * people,
        }
        columns |= {f"{zone.id}/{kind.value}": series for kind, series in values.items()}
    for i, host in enumerate(site.hosts):
        random = stream(7, "example", host.id)
        cpu = np.clip(0.2 + 0.06 * (i % 7) + 0.25 * work + random.normal(0, 0.03, len(index)), 0.02, 1)
        columns[f"{host.id}/host_cpu_utilization"] = cpu
        columns[f"{host.id}/host_power"] = 100 + 100 * cpu
    return pd.DataFrame(columns, index=index)


def _kpi(value: float, spread: float, unit: str) -> Kpi:
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
        kpis = {key: _kpi(base * (1 + share), 0.02 * base, names.get(key, "kWh")) for key, base in units.items()}
        kpis["occupied_discomfort_kh"] = _kpi(20 + discomfort, 3, "K·h")
        delta = {key: _kpi(base * share, 0.01 * base, names.get(key, "kWh")) for key, base in units.items()}
        percent = {key: _kpi(100 * share, 1.5, "%") for key in units}
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
    return MemoryResults(kept=(batch,), frames=series, energies=energies, rooms=rooms)


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


def example_plan(title: str = "Warmer supply air this week", risk_class: int = 1, proposer: str = "pia") -> Plan:
    steps = tuple(
        Step(
            action=Action(
                id=f"a{i}",
                kind=ActionKind.SET_POINT,
                connector="building",
                point=f"ahu {i}/supply_air_max_c",
                value=18.0,
                expected=12.8,
                unit="°C",
                why="supply air follows the neediest zone",
            ),
            target=Target(kind=TargetKind.UNIT, id=f"ahu {i}", rooms=(f"core {i}", f"west {i}"), people=60),
        )
        for i in range(3)
    )
    saving = Interval(value=-990.0, low=-1240.0, high=-720.0, unit="kWh")
    base = Interval(value=9000.0, low=8700.0, high=9300.0, unit="kWh")
    then = Interval(value=8010.0, low=7700.0, high=8400.0, unit="kWh")
    return Plan(
        site="Example office",
        title=title,
        question="How much HVAC energy can the next week save without more discomfort?",
        proposer=proposer,
        created_at=NOW - timedelta(hours=5),
        not_before=NOW,
        expires_at=NOW + timedelta(days=1),
        hold_until=NOW + timedelta(days=7),
        waves=(Wave(index=0, steps=steps[:1], settle_s=900.0), Wave(index=1, steps=steps[1:], settle_s=900.0)),
        rollback=tuple(UndoStep(action_id=step.action.id, undo=Undo.RELEASE, prior=12.8) for step in steps),
        rehearsal=Rehearsal(ok=True, summary="Every point came back within one step; no room left its band."),
        guards=(Guard(name="core 0 air", connector="building", point="core 0/t", unit="°C", low=19.0, high=27.0),),
        kpis=(KpiForecast(name="hvac_kwh", baseline=base, candidate=then, delta=saving),),
        evidence=Evidence(
            scenario="both",
            seed=0,
            model_id="3f" * 32,
            data_digest="ab" * 32,
            site_digest="cd" * 32,
            policy_digest="ef" * 32,
            code_version="0.1.0",
            assumptions=("People come as the forecast says.",),
        ),
        rooms_in_site=15,
        risk_class=risk_class,
        risk_reasons=("reaches every room of a floor at once",),
    )


def plan_view(plan: Plan, state: PlanState = PlanState.PROPOSED, steps: tuple[StepState, ...] = ()) -> PlanView:
    record = PlanRecord(
        plan_id=plan.id, state=state, version=1, since=NOW, reason="", nonce="n" * 16, waves_passed=1 if steps else 0
    )
    actions = [step.action.id for step in plan.steps()]
    rows = tuple(
        StepRecord(plan_id=plan.id, action_id=action, position=i, wave=min(i, 1), state=step)
        for i, (action, step) in enumerate(zip(actions, steps, strict=False))
    )
    return PlanView(plan=plan, record=record, steps=rows, approvals=())


PEOPLE = {
    Person(user="vera", name="Vera Viewer", roles=frozenset({Role.VIEWER})): PASSWORD,
    Person(user="pia", name="Pia Proposer", roles=frozenset({Role.PROPOSER})): PASSWORD,
    Person(user="anna", name="Anna Approver", roles=frozenset({Role.APPROVER})): PASSWORD,
    Person(user="aron", name="Aron Approver", roles=frozenset({Role.APPROVER})): PASSWORD,
    Person(user="otto", name="Otto Operator", roles=frozenset({Role.OPERATOR, Role.APPROVER, Role.PROPOSER})): PASSWORD,
    Person(user="admin", name="Ada Admin", roles=frozenset({Role.ADMIN})): PASSWORD,
}


@dataclass(slots=True, kw_only=True)
class Example:
    services: Services
    clock: FixedClock
    identity: MemoryIdentity
    plans: MemoryPlans
    jobs: MemoryJobs


def example() -> Example:
    site = example_site()
    frame = example_frame(site)
    clock = FixedClock(NOW)
    identity = MemoryIdentity(PEOPLE, tokens={"tok-otto": "otto", "tok-vera": "vera"})
    running = plan_view(
        example_plan("Empty rooms set back", proposer="anna"),
        PlanState.PUSHING,
        (StepState.VERIFIED, StepState.INTENT, StepState.PENDING),
    )
    saving = SavingView(
        plan_id="p1",
        title="Empty rooms set back",
        month="2023-06",
        kpi="hvac_kwh",
        predicted=_kpi(450, 130, "kWh"),
        realised=_kpi(405, 160, "kWh"),
        verdict="inside the predicted interval",
    )
    findings = (
        FindingView(
            id="gap-1",
            severity=Severity.WARNING,
            subject="west 2",
            sentence="west 2: air temperature has a gap of 3 h on 9 July; it is left out of calibration.",
            since=NOW - timedelta(days=4),
        ),
    )
    plans = MemoryPlans([plan_view(example_plan()), running], identity, clock, (saving,))
    jobs = MemoryJobs(clock)
    log = AuditRow(
        seq=1,
        at="2023-07-12T14:00:00Z",
        actor="pia",
        event="plan_proposed",
        subject="0" * 64,
        payload='{"reason": "weekly search", "note": "' + EVIL + '"}',
        previous="0" * 64,
        digest="1" * 64,
    )
    settings = MemorySettings(
        known=(ConnectorView(name="building", kind="simulated", capabilities=("read", "write", "release")),),
        texts=(PolicyText(name="comfort.cedar", digest="aa" * 32, text="permit(principal, action, resource);"),),
    )
    forecast = example_forecast(site)
    return Example(
        services=Services(
            site=site,
            clock=clock,
            telemetry=MemoryTelemetry(site, frame, findings),
            models=MemoryModels(example_model(site), {forecast.series: forecast}),
            results=example_results(site, frame),
            plans=plans,
            jobs=jobs,
            audit=MemoryAudit((log,)),
            identity=identity,
            settings=settings,
        ),
        clock=clock,
        identity=identity,
        plans=plans,
        jobs=jobs,
    )
