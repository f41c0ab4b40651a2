"""Command that runs the whole loop on the bundled site: demo."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.cli.demonstration.report import demo_page, show
from twin.cli.output import JsonOption, Progress, note, print_json, progress_bar, say
from twin.cli.workspace import Workspace
from twin.errors import BadInputError, RefusedError

if TYPE_CHECKING:
    from connectors.emulator.runs import Record
    from connectors.governance import Principal
    from twin.cli.control_room import ControlRoom
    from twin.cli.demonstration.world import EmbeddedWorld
    from twin.cli.proposals import Proposal
    from twin.model import Model
    from twin.ports import Connector

MARK = "understudy-demo"
"""File that tells a demo workspace, which may be made anew, from somebody's own."""
SCENARIOS = (
    "baseline",
    "wider_setpoints",
    "shorter_hours",
    "supply_air_reset",
    "demand_controlled_ventilation",
    "empty_zone_setback",
    "consolidation_static",
    "consolidation_regression",
    "combined",
)
SCENARIO_MEMBERS = 3
TRIALS = 60
HEADLINE = "hvac_kwh"
COMPARED = ("hvac_kwh", "fan_kwh", "cooling_kwh", "heating_kwh", "gas_kwh", "it_kwh", "electricity_kwh")
PASSWORD = "rehearsal"
PROPOSER, FIRST, SECOND = "planner", "facility-lead", "platform-lead"


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
    app.command("demo")(demo)


@dataclass
class Story:
    """What happened, as the document of ``demo --json``."""

    facts: dict[str, Any] = field(default_factory=dict)

    def tell(self, part: str, value: object) -> None:
        """Adds a part."""
        self.facts[part] = value


def demo(
    workspace: Annotated[Path, typer.Option("--workspace", help="Made anew for each run.")] = Path("var/demo"),
    seed: Annotated[int, typer.Option(help="Of calibration, forecast samples and search.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """The whole loop on the bundled site: telemetry to verified saving, in a fresh workspace."""
    require_emulator()
    here = fresh_workspace(workspace)
    story = Story()
    with _left_alone(here) as untouched, progress_bar("demo") as tell:
        model = learn(here, story, seed, tell)
        look_ahead(here, story, tell)
        ask_what_if(here, story, tell)
        act(here, model, story, untouched, seed, tell)
    report = _write_report(here, model, story)
    if as_json:
        print_json({**story.facts, "workspace": str(here.folder), "report": str(report)})
        return
    show(story.facts)
    say(f"report: {report}")
    say(f"dashboard: understudy dashboard --workspace {here.folder} --emulated")


def require_emulator() -> None:
    """Nothing when the emulated building can run.

    Raises:
        BadInputError: its extra is not installed.
    """
    from importlib.util import find_spec

    if find_spec("pyenergyplus") is None:
        message = "the demo's building needs EnergyPlus; install the extra: pip install 'understudy[emulator]'"
        raise BadInputError(message)


def fresh_workspace(folder: Path) -> Workspace:
    """A new workspace of the bundled site; one that an earlier demo left is replaced.

    Raises:
        BadInputError: the folder holds something else.
    """
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).is_file():
            message = f"{folder} is no demo workspace; the demo would replace it: choose another --workspace"
            raise BadInputError(message)
        shutil.rmtree(folder)
    copy_bundled_site(folder)
    (folder / MARK).write_text("made by 'understudy demo', which replaces this folder\n", encoding="utf-8")
    return Workspace.at(folder)


def copy_bundled_site(folder: Path) -> None:
    """The bundled site as a workspace: site file, telemetry, scenarios.

    Raises:
        BadInputError: the bundled site is missing.
    """
    import scenarios
    from connectors.emulator.bundled_site import bundled_site_folder

    folder.mkdir(parents=True, exist_ok=True)
    bundled = bundled_site_folder()
    shutil.copy(bundled / "site.yaml", folder / "site.yaml")
    shutil.copytree(bundled / "telemetry", folder / "telemetry", dirs_exist_ok=True)
    (folder / "scenarios").mkdir(exist_ok=True)
    library = Path(scenarios.__file__).parent / "library"
    for file in sorted(library.glob("*.yaml")):
        shutil.copy(file, folder / "scenarios" / file.name)


@contextmanager
def _left_alone(here: Workspace) -> Iterator[Future[Record]]:
    """The same weeks in a building that nobody touches, run beside in a process of its own."""
    from multiprocessing import get_context

    from twin.cli.demonstration.world import run_untouched

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool.submit(run_untouched, str(here.folder))


# ---- learn, look ahead, ask ------------------------------------------------------------------------------------


def learn(here: Workspace, story: Story, seed: int, tell: Progress) -> Model:
    """Telemetry into the store, twin fitted to it."""
    from connectors.ingest import Telemetry, ingest
    from twin.cli.models import calibrated, document
    from twin.cli.proposals import present

    note("ingest: ten weeks of telemetry")
    done = ingest(here.site_file, Telemetry(here.var("telemetry")), now=_after_bundle(), progress=tell)
    told = done.to_json()
    story.tell("ingest", {key: told[key] for key in ("rows", "new_rows", "findings")})
    note("calibrate: fit the twin to it, judge it on weeks that it never saw")
    model = calibrated(here, quick=True, seed=seed, tell=tell)
    story.tell("calibration", document(model))
    story.tell("present", present(here).isoformat())
    return model


def _after_bundle() -> Any:
    from connectors.emulator.bundled_site import NOW, local_midnight

    return local_midnight(NOW)


def look_ahead(here: Workspace, story: Story, tell: Progress) -> None:
    """People and load of the next two days, and how good such forecasts were."""
    from twin.cli.forecasts import backtest_rows, forecast_rows

    note("forecast: people and electricity, 48 h")
    rows = forecast_rows(here.folder, 48, tell)
    story.tell("forecast", {"horizon_h": 48, "series": rows, "backtest": backtest_rows(here.folder, 48, tell)})


def ask_what_if(here: Workspace, story: Story, tell: Progress) -> None:
    """The scenario library, replayed over the last four weeks."""
    from scenarios.spec import read_scenario
    from twin.cli.runs import run_files

    note("what if: nine scenarios over the last four weeks")
    files = [read_scenario(here.folder / "scenarios" / f"{name}.yaml") for name in SCENARIOS]
    result = run_files(files, here, members=SCENARIO_MEMBERS, tell=tell)
    story.tell("scenarios", result.summary["scenarios"])
    story.tell("scenarios_report", str(result.folder / "report.html"))


# ---- propose, approve, push, verify ----------------------------------------------------------------------------


def act(here: Workspace, model: Model, story: Story, untouched: Future[Record], seed: int, tell: Progress) -> None:
    """Plan, approval, push into the embedded building, and a week later the reckoning."""
    from twin.cli.demonstration.world import EmbeddedWorld

    world = EmbeddedWorld.of(here)
    world.start()
    with world.building:
        room = _room(here, world)
        people = _people(room)
        story.tell("accounts", {"names": list(people), "password": PASSWORD})
        proposal, plan_id = _propose(here, model, world, room, people[PROPOSER], seed, tell)
        story.tell("plan", _plan_facts(room, plan_id, proposal))
        story.tell("approval", _approve(room, plan_id, people))
        note("push: canary first, every write read back")
        record = room.control.push(plan_id, FIRST)
        story.tell("push", _push_facts(room, plan_id, record.state.value))
        _let_the_week_pass(world, room, tell)
        story.facts["push"]["state_after_a_week"] = room.store.record(plan_id).state.value
        verify(world, untouched.result(), proposal, story)
        _measure(here, world, room, plan_id, story)
        room.control.release_all(FIRST, "the demo is over")
        held = [r.point for r in world.building.read(world.building.points()) if r.held_by == "understudy"]
        story.facts["push"]["points_still_held"] = len(held)
        story.tell("audit_ok", not room.folder.verify(room.store))
        story.tell("audit_rows", len(room.store.audit()))


def _room(here: Workspace, world: EmbeddedWorld) -> ControlRoom:
    from twin.cli.control_room import open_control_room

    connectors: dict[str, Connector] = {"building": world.building, "hosts": world.hosts}
    return open_control_room(here.folder, clock=world.building, connectors=connectors)


def _people(room: ControlRoom) -> dict[str, Principal]:
    from connectors.governance import Role

    roles = {
        PROPOSER: [Role.PROPOSER, Role.APPROVER],
        FIRST: [Role.APPROVER, Role.OPERATOR],
        SECOND: [Role.APPROVER, Role.AUDITOR],
    }
    for name, given in roles.items():
        room.identity.add(name, PASSWORD, given)
    return {name: room.identity.authenticate(name, PASSWORD) for name in roles}


def _propose(
    here: Workspace, model: Model, world: EmbeddedWorld, room: ControlRoom, who: Principal, seed: int, tell: Progress
) -> tuple[Proposal, str]:
    from connectors.governance import propose
    from optimizer.goals import Goal
    from twin.cli.demonstration.world import weather_forecast
    from twin.cli.proposals import days_ahead, draft_plan, rehearsal_of, searched

    note("search: the best policy of the week ahead, within limits of comfort, air and service")
    ahead = days_ahead(here, weather_forecast(world), seed=seed)
    rehearsal = rehearsal_of(here, ahead, room.connectors, seed=seed)
    proposal = searched(rehearsal, Goal.parse("energy"), trials=TRIALS, seed=seed, progress=tell)
    plan = draft_plan(
        here,
        proposal,
        rehearsal,
        model,
        room.connectors,
        proposer=who.name,
        now=room.clock.now(),
        policy_digest=room.policies.bundle().digest,
        seed=seed,
    )
    return proposal, propose(room.store, plan, who).plan_id


def _plan_facts(room: ControlRoom, plan_id: str, proposal: Proposal) -> dict[str, object]:
    from twin.cli.plans import view_document
    from twin.text.canonical import plain

    view = room.store.view(plan_id)
    steps = [
        {
            "wave": wave.index,
            "point": step.action.point,
            "now": step.action.expected,
            "planned": step.action.value,
            "unit": step.action.unit,
        }
        for wave in view.plan.waves
        for step in wave.steps
    ]
    return {
        "id": plan_id,
        "title": view.plan.title,
        "policy": {key: value for key, value in plain(proposal.policy).items() if value is not None},
        "risk_class": view.plan.risk_class,
        "waves": len(view.plan.waves),
        "steps": steps,
        "rehearsal": view.plan.rehearsal.summary,
        "kpis": view_document(view)["plan"]["kpis"],  # type: ignore[index]
        "tried": len(proposal.search.tried),
    }


def _approve(room: ControlRoom, plan_id: str, people: Mapping[str, Principal]) -> dict[str, object]:
    """The proposer is refused; two others approve."""
    try:
        room.approvals.approve(plan_id, people[PROPOSER], "my own")
        refused = ""
    except RefusedError as error:
        refused = str(error)
    for name in (FIRST, SECOND):
        record = room.approvals.approve(plan_id, people[name], "expected effect and limits looked at")
    return {"by_proposer_refused": refused, "approved_by": [FIRST, SECOND], "state": record.state.value}


def _push_facts(room: ControlRoom, plan_id: str, state: str) -> dict[str, Any]:
    steps = room.store.steps(plan_id)
    states: dict[str, int] = {}
    for step in steps:
        states[step.state.value] = states.get(step.state.value, 0) + 1
    record = room.store.record(plan_id)
    changes = [row.event for row in room.store.audit() if row.subject == plan_id]
    return {"state": state, "reason": record.reason, "steps": states, "events": changes[:12]}


def _let_the_week_pass(world: EmbeddedWorld, room: ControlRoom, tell: Progress) -> None:
    """The building runs on; deadlines and expiry are enforced every hour, as the agent does."""
    total = (world.end() - world.building.now()) / timedelta(hours=1)
    passed = 0.0
    while world.building.now() < world.end():
        world.building.advance_to(min(world.building.now() + timedelta(hours=1), world.end()))
        room.control.enforce()
        passed += 1.0
        tell(passed, max(total, passed), "a week in the building")


def verify(world: EmbeddedWorld, untouched: Record, proposal: Proposal, story: Story) -> None:
    """Predicted against realised, for every end use that is metered."""
    from twin.cli.demonstration.world import discomfort_kh, energies

    touched = world.building.record()
    before, after = energies(untouched, world), energies(touched, world)
    rows = {kpi: _compared(proposal, kpi, before[kpi], after[kpi]) for kpi in COMPARED}
    headline = rows[HEADLINE]
    story.tell("verification", rows)
    story.tell("discomfort_kh", {"untouched": discomfort_kh(untouched, world), "plan": discomfort_kh(touched, world)})
    story.tell("predicted_saving_pct", headline["predicted_pct"])
    story.tell("realised_saving_pct", headline["realised_pct"])
    story.tell("realised_inside_interval", headline["inside"])


def _measure(here: Workspace, world: EmbeddedWorld, room: ControlRoom, plan_id: str, story: Story) -> None:
    """The saving as a site knows it, which has no untouched twin building: meters against the calibrated twin."""
    from twin.cli.savings import verified
    from twin.text.canonical import plain

    here.telemetry.append(world.telemetry())
    for report in verified(here, room, plan_id, FIRST):
        if report.meter in story.facts["verification"]:
            story.facts["verification"][report.meter]["measured_pct"] = plain(report.saving_pct)
            story.facts["verification"][report.meter]["measured_verdict"] = report.verdict


def _compared(proposal: Proposal, kpi: str, before: float, after: float) -> dict[str, Any]:
    from optimizer.proposal import saving_percent

    saving = saving_percent(proposal.effect.baseline, proposal.effect.delta, (kpi,))
    realised = 100.0 * (before - after) / before if before else 0.0
    return {
        "predicted_pct": {"value": saving.value, "low": saving.low, "high": saving.high},
        "realised_pct": realised,
        "inside": saving.low <= realised <= saving.high,
        "untouched_kwh": before,
        "plan_kwh": after,
    }


def _write_report(here: Workspace, model: Model, story: Story) -> Path:
    place = here.var("report.html")
    place.write_text(demo_page(model, story.facts), encoding="utf-8")
    return place
