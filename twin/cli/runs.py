"""Commands on scenarios: run, compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from twin.cli.output import HERE, JsonOption, WorkspaceOption, note, print_json, print_table, progress_bar, say

if TYPE_CHECKING:
    from scenarios.expand import Scenario
    from scenarios.runner import BatchResult, Twin
    from scenarios.spec import ScenarioFile
    from twin.cli.workspace import Workspace
    from twin.model import Model
    from twin.site import Site

_SHOWN = ("hvac_kwh", "gas_kwh", "electricity_kwh", "peak_kw", "cost", "co2_kg", "occupied_discomfort_kh")


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
    app.command("run")(run)
    app.command("compare")(compare)


def run(
    scenarios: Annotated[list[Path], typer.Argument(help="Scenario files, or folders of them.", show_default=False)],
    workspace: WorkspaceOption = HERE,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0: as many as pay.")] = 0,
    cluster: Annotated[str | None, typer.Option(help="Address of a Ray cluster (extra 'cluster').")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Keep what an interrupted run left.")] = False,
    members: Annotated[int, typer.Option(min=0, help="Parameter sets of the ensemble to use; 0: all.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Run what-if scenarios in the calibrated twin and compare them with their baselines."""
    from scenarios.spec import read_scenarios

    files = read_scenarios(scenarios)
    here = workspace_of(files, workspace)
    with progress_bar("run") as progress:
        result = run_files(files, here, workers=workers, cluster=cluster, resume=resume, members=members, tell=progress)
    if as_json:
        print_json({**result.summary, "folder": str(result.folder)})
        return
    show(result, here.site.tariff.currency)


def run_files(
    files: Sequence[ScenarioFile],
    here: Workspace,
    *,
    workers: int = 0,
    cluster: str | None = None,
    resume: bool = False,
    members: int = 0,
    tell: object = None,
) -> BatchResult:
    """Expands and runs scenario files in a workspace.

    Raises:
        BadInputError: a fault of a scenario, or no telemetry for its period.
        RefusedError: the workspace has no calibrated model, or that of another site.
    """
    from scenarios.expand import expand
    from scenarios.runner import Progress, run_scenarios
    from twin.cli.recorded_drivers import TelemetryDrivers

    expanded = expand(files, here.site)
    twin = twin_of(here, members)
    for sentence, names in ineffective(expanded, here.site).items():
        note(f"warning: {sentence} (scenario {', '.join(names)})")
    return run_scenarios(
        expanded,
        twin,
        TelemetryDrivers(here),
        here.var("results", "x").parent,
        workers=workers,
        cluster=cluster,
        resume=resume,
        progress=cast("Progress | None", tell),
    )


def ineffective(scenarios: Sequence[Scenario], site: Site) -> dict[str, list[str]]:
    """Sentence about a policy key that the site cannot follow → scenarios that name it."""
    from twin.policy_effect import without_effect

    found: dict[str, list[str]] = {}
    for scenario in scenarios:
        for sentence in without_effect(scenario.policy, site):
            found.setdefault(sentence, []).append(scenario.name)
    return found


def twin_of(here: Workspace, members: int = 0) -> Twin:
    """The calibrated twin of a workspace as the runner takes it."""
    from scenarios.runner import Twin
    from scenarios.shared_runs import simulate_eight, simulate_sharing

    model = here.models.current()
    _same_site(model, here)
    if not model.accepted:
        note(f"warning: model {model.model_id[:12]} was not accepted: {'; '.join(model.reasons)}")
    parameters = (model.parameters, *model.ensemble)
    return Twin(
        site=here.site,
        parameters=parameters[: members or None],
        structural={str(use): float(error) for use, error in model.structural.items()},
        about={"model_id": model.model_id, "accepted": model.accepted, "reasons": list(model.reasons)},
        simulate=simulate_sharing,
        simulate_eight=simulate_eight,
    )


def _same_site(model: Model, here: Workspace) -> None:
    """Refuses the model of another building; warns when the site file has changed since.

    Raises:
        RefusedError: the model knows another site, other zones or units, or other points.
    """
    from twin.errors import RefusedError
    from twin.site_match import mismatches
    from twin.text.canonical import digest

    if model.site_digest == digest(here.site):
        return
    if faults := mismatches(model, here.site):
        message = f"model {model.model_id[:12]} is of another site than {here.site.name!r}: {'; '.join(faults)}"
        raise RefusedError(f"{message}. Run 'understudy calibrate' here")
    note(f"warning: site.yaml has changed since model {model.model_id[:12]} was calibrated; calibrate again")


def workspace_of(files: Sequence[ScenarioFile], folder: Path) -> Workspace:
    """The workspace that the scenarios speak of: that of ``--workspace``, or the one that ``site`` names.

    Raises:
        BadInputError: a site that is not there, or scenarios of several sites.
    """
    from twin.cli.workspace import Workspace
    from twin.errors import BadInputError

    named = {place for file in files if (place := _site_folder(file, folder)) is not None}
    if len(named) > 1:
        places = ", ".join(sorted(str(place) for place in named))
        raise BadInputError(f"the scenarios name several sites ({places}); run those of one site together")
    return Workspace.at(named.pop() if named else folder)


def _site_folder(file: ScenarioFile, workspace: Path) -> Path | None:
    """Folder of the site that a scenario names; None when it names none, or that of the workspace by its name."""
    from twin.cli.workspace import Workspace
    from twin.errors import BadInputError

    named = file.spec.site
    if named is None:
        return None
    for base in (file.path.parent, workspace):
        place = base / named
        folder = place if place.is_dir() else place.parent
        if place.exists() and (folder / "site.yaml").is_file():
            return folder.resolve()
    if (workspace / "site.yaml").is_file() and Workspace.at(workspace).site.name == named:
        return workspace.resolve()
    message = f"there is no site {named!r}; give the path of a site.yaml relative to this file, or leave `site` out"
    raise BadInputError(file.fault(("site",), message))


def show(result: BatchResult, currency: str) -> None:
    """The result as a table for people, with the site's currency by its code."""
    entries = cast("list[dict[str, object]]", result.summary["scenarios"])
    print_table("Scenarios (median, 80 % interval; delta = scenario − baseline)", *table_of(entries, currency))
    say(f"results: {result.folder}")


def table_of(entries: Sequence[dict[str, object]], currency: str = "currency") -> tuple[list[str], list[list[str]]]:
    """Columns and rows: main KPIs, with their delta below."""
    first = cast("dict[str, dict[str, float]]", entries[0]["kpis"])
    names = [name for name in _SHOWN if name in first]
    units = {name: {"currency": currency}.get(unit := str(first[name]["unit"]), unit) for name in names}
    columns = ["scenario", *(f"{name} [{units[name]}]" for name in names)]
    return columns, [[str(entry["name"]), *(_cell(entry, name) for name in names)] for entry in entries]


def _cell(entry: dict[str, object], name: str) -> str:
    kpis = cast("dict[str, dict[str, float]]", entry["kpis"])
    deltas = cast("dict[str, dict[str, float]]", entry.get("delta_vs_baseline") or {})
    text = f"{kpis[name]['value']:,.1f}" if name in kpis else "–"
    if name in deltas:
        delta = deltas[name]
        text += f"\n{delta['value']:+,.1f}\n({delta['low']:+,.1f} … {delta['high']:+,.1f})"
    return text


def compare(
    results: Annotated[list[str], typer.Argument(help="Results: ids below var/results, or folders.")],
    workspace: WorkspaceOption = HERE,
    baseline: Annotated[str | None, typer.Option(help="Scenario to take deltas against; default: as run.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Put scenarios of one or several results side by side, with deltas and intervals."""
    from scenarios.compare import compared

    document = compared([_result(workspace, name) for name in results], baseline)
    if as_json:
        print_json(document)
        return
    print_table("Scenarios side by side", *table_of(cast("list[dict[str, object]]", document["scenarios"])))
    for text in cast("list[str]", document["notes"]):
        say(text)


def _result(workspace: Path, name: str) -> Path:
    """Folder of a result by path or id."""
    from twin.errors import BadInputError

    for place in (Path(name), workspace / "var" / "results" / name):
        if (place / "summary.json").is_file() or (place / "manifest.json").is_file():
            return place
    known = sorted(item.name for item in (workspace / "var" / "results").glob("*") if item.is_dir())
    message = f"there is no result {name!r}; known: {', '.join(known[-10:]) or 'none, run some scenarios first'}"
    raise BadInputError(message)
