"""The dashboard over the example office: people, services in memory, and what a test may turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from example_office import EVIL, NOW, example_frame, example_site
from example_plans import example_plan, plan_view
from example_results import example_forecast, example_kpi, example_model, example_results
from flask.testing import FlaskClient

from dashboard.app import Dashboard
from dashboard.memory import (
    FixedClock,
    MemoryAudit,
    MemoryIdentity,
    MemoryJobs,
    MemoryModels,
    MemoryPlans,
    MemorySettings,
    MemoryTelemetry,
)
from dashboard.services import Services
from dashboard.views import ConnectorView, FindingView, Person, PolicyText, Role, SavingView, Severity
from twin.plan import PlanState, StepState
from twin.plans.records import AuditRow

PASSWORD = "correct horse battery"
ORIGIN = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
"""What a browser says of a request that a page of the dashboard made."""
Client = Callable[[str], FlaskClient]
RUN = "/_dash-update-component"
"""Where a browser sends callbacks."""

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
        predicted=example_kpi(450, 130, "kWh"),
        realised=example_kpi(405, 160, "kWh"),
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


def callback_body(made: Dashboard, output: str, values: dict[str, object] | None = None) -> dict[str, object]:
    """The body that the browser would send to run the callback with this output."""
    key = next(key for key in made.dash.callback_map if output in key)
    spec = made.dash.callback_map[key]
    given = values or {}

    def filled(part: dict[str, object]) -> dict[str, object]:
        name = f"{part['id']}.{part['property']}"
        return {"id": part["id"], "property": part["property"], "value": given.get(name)}

    outputs = [
        {"id": one.rsplit(".", 1)[0], "property": one.rsplit(".", 1)[1]}
        for one in key.strip(".").replace("\\.", "\0").split("...")
    ]
    inputs = [filled(part) for part in spec["inputs"]]
    return {
        "output": key,
        "outputs": outputs if len(outputs) > 1 or key.startswith("..") else outputs[0],
        "inputs": inputs,
        "changedPropIds": [f"{inputs[0]['id']}.{inputs[0]['property']}"],
        "state": [filled(part) for part in spec["state"]],
    }
