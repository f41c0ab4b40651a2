"""Commands on plans: propose, list, show, approve, reject, push, pause, resume, rollback, release-all, close."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli.control_room import AsOption, ControlRoom, open_control_room, principal_of
from twin.cli.output import HERE, JsonOption, WorkspaceOption, note, print_json, print_table, say, var
from twin.plan import PlanState

if TYPE_CHECKING:
    from connectors.governance import Principal
    from twin.plans.records import PlanRecord, PlanView

plans = typer.Typer(name="plan", help="The life of a plan: propose, approve, push, undo.", no_args_is_help=True)
PlanArgument = Annotated[str, typer.Argument(metavar="ID", help="Plan id, or its first characters.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it stays in the audit log.")]

_DRIVEN = frozenset({PlanState.PUSHING, PlanState.ROLLING_BACK})
_GOOD = frozenset({PlanState.PUSHED, PlanState.CONFIRMED})


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
    app.add_typer(plans)


def record_document(record: PlanRecord) -> dict[str, object]:
    """Where a plan stands, for a JSON document."""
    return {
        "plan_id": record.plan_id,
        "state": record.state.value,
        "reason": record.reason,
        "since": record.since.isoformat(),
        "deadline": record.deadline.isoformat() if record.deadline else None,
        "waves_passed": record.waves_passed,
    }


def view_document(view: PlanView) -> dict[str, object]:
    """A plan with all that is known of it, for a JSON document."""
    from twin.text.canonical import plain

    approvals = [{key: value for key, value in plain(a).items() if key != "signature"} for a in view.approvals]
    return {
        **record_document(view.record),
        "plan": plain(view.plan),
        "steps": plain(view.steps),
        "approvals": approvals,
    }


def _answer(room: ControlRoom, record: PlanRecord, *, as_json: bool) -> None:
    if as_json:
        print_json({**record_document(record), "steps": _step_states(room, record)})
    else:
        say(f"plan {record.plan_id[:12]} is {record.state}: {record.reason}")


def _step_states(room: ControlRoom, record: PlanRecord) -> dict[str, str]:
    return {step.action_id: step.state.value for step in room.store.steps(record.plan_id)}


@plans.command("list")
def list_plans(workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """All plans of the workspace, oldest change first."""
    from connectors.change_control import REVERSAL_REFUSED

    room = open_control_room(workspace)
    rows = [(record, room.store.plan(record.plan_id)) for record in room.store.records()]
    if as_json:
        listed = [{**record_document(r), "title": p.title, "risk_class": p.risk_class} for r, p in rows]
        print_json({"plans": listed, "reversals_refused": room.store.ledger.count(REVERSAL_REFUSED)})
        return
    table = [[r.plan_id[:12], r.state.value, p.title, str(p.risk_class), f"{r.since:%Y-%m-%d %H:%M}"] for r, p in rows]
    print_table("Plans", ["id", "state", "title", "risk", "since (UTC)"], table)
    if refused := room.store.ledger.count(REVERSAL_REFUSED):
        say(f"{refused} changes were refused because they would have taken back a change of a moment ago")


@plans.command("show")
def show_plan(plan: PlanArgument, workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """A plan in full: effects, every target now and planned, approvals, state of each step."""
    room = open_control_room(workspace)
    view = room.store.view(room.store.resolve(plan))
    if as_json:
        print_json(view_document(view))
        return
    _print_view(view)


def _print_view(view: PlanView) -> None:
    plan, record = view.plan, view.record
    say(f"{plan.title}\n{plan.question}\nid {record.plan_id}\n{record.state}: {record.reason}")
    say(
        f"risk class {plan.risk_class}: {'; '.join(plan.risk_reasons)}; held until {plan.hold_until:%Y-%m-%d %H:%M} UTC"
    )
    effects = [
        [k.name, f"{k.baseline.value:,.1f}", f"{k.delta.value:+,.1f}", f"{k.delta.low:+,.1f} … {k.delta.high:+,.1f}"]
        for k in plan.kpis
    ]
    if effects:
        print_table("Predicted effect", ["KPI", "now", "change", "80 % interval"], effects)
    states = {step.action_id: step.state.value for step in view.steps}
    rows = [
        [str(w.index), s.action.point, str(s.action.expected), str(s.action.value), s.action.unit, states[s.action.id]]
        for w in plan.waves
        for s in w.steps
    ]
    print_table("Targets", ["wave", "point", "now", "planned", "unit", "state"], rows)
    for approval in view.approvals:
        say(f"{approval.decision} by {approval.approver} at {approval.at:%Y-%m-%d %H:%M}: {approval.reason}")


@plans.command("approve")
def approve_plan(
    plan: PlanArgument,
    as_user: AsOption = None,
    reason: ReasonOption = "",
    valid_h: Annotated[float | None, typer.Option("--valid-h", help="Hours that the approval is valid.")] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Signs an approval; its proposer never may."""
    room = open_control_room(workspace)
    plan_id, who = room.store.resolve(plan), principal_of(room, as_user)
    until = room.clock.now() + timedelta(hours=valid_h) if valid_h is not None else None
    record = room.approvals.approve(plan_id, who, reason, expires_at=until)
    if record.state is PlanState.PROPOSED and not as_json:
        say("signed; another person must approve before it can be pushed")
    _answer(room, record, as_json=as_json)


@plans.command("reject")
def reject_plan(
    plan: PlanArgument,
    as_user: AsOption = None,
    reason: ReasonOption = "",
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Takes a proposed or approved plan off the table."""
    room = open_control_room(workspace)
    record = room.approvals.reject(room.store.resolve(plan), principal_of(room, as_user), reason)
    _answer(room, record, as_json=as_json)


@plans.command("push")
def push_plan(
    plan: PlanArgument, as_user: AsOption = None, workspace: WorkspaceOption = HERE, as_json: JsonOption = False
) -> int:
    """Pushes an approved plan in waves; exit code 0 only when it ends pushed."""
    room = open_control_room(workspace)
    plan_id, who = room.store.resolve(plan), _operator(room, as_user, "push")
    return _drive(room, plan_id, who, lambda: room.control.push(plan_id, who.name), as_json=as_json)


@plans.command("resume")
def resume_plan(
    plan: PlanArgument, as_user: AsOption = None, workspace: WorkspaceOption = HERE, as_json: JsonOption = False
) -> int:
    """Goes on with a paused plan, after all checks pass again."""
    room = open_control_room(workspace)
    plan_id, who = room.store.resolve(plan), _operator(room, as_user, "push")
    return _drive(room, plan_id, who, lambda: room.control.resume(plan_id, who.name), as_json=as_json)


def _taken_up(room: ControlRoom, plan_id: str) -> PlanRecord:
    """A plan that a dead process left half way, gone on with by looking at the world; a living one is left alone."""
    note("a push of this plan was begun before: taking it up where the world says it stands")
    room.control.recover()
    return room.store.record(plan_id)


def _drive(room: ControlRoom, plan_id: str, who: Principal, act: Callable[[], PlanRecord], *, as_json: bool) -> int:
    """Runs a push; an interrupt pauses it in good order."""
    try:
        record = _taken_up(room, plan_id) if room.store.record(plan_id).state in _DRIVEN else act()
    except KeyboardInterrupt:
        note("interrupted; the plan is being paused")
        if room.store.record(plan_id).state is not PlanState.PUSHING:
            raise
        record = room.control.pause(plan_id, who.name, "interrupted at the console")
    _answer(room, record, as_json=as_json)
    if record.state in _GOOD:
        return 0
    return 4 if record.state is PlanState.STUCK else 3


@plans.command("pause")
def pause_plan(
    plan: PlanArgument,
    as_user: AsOption = None,
    reason: ReasonOption = "pause asked for",
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Holds a running push before its next write."""
    room = open_control_room(workspace)
    who = _stopper(room, as_user, "pause")
    _answer(room, room.control.pause(room.store.resolve(plan), who.name, reason), as_json=as_json)


@plans.command("rollback")
def roll_back_plan(
    plan: PlanArgument,
    as_user: AsOption = None,
    reason: ReasonOption = "rollback asked for",
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> int:
    """Stops a plan and gives back every point that it touched."""
    room = open_control_room(workspace)
    who = _stopper(room, as_user, "rollback")
    record = room.control.rollback(room.store.resolve(plan), who.name, reason)
    _answer(room, record, as_json=as_json)
    return 4 if record.state is PlanState.STUCK else 0


@plans.command("release-all")
def release_all(
    as_user: AsOption = None,
    reason: ReasonOption = "release all",
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> int:
    """Stops every plan of the site and gives every point back."""
    room = open_control_room(workspace)
    who = _stopper(room, as_user, "release")
    records = room.control.release_all(who.name, reason)
    if as_json:
        print_json({"plans": [record_document(record) for record in records]})
    else:
        for record in records:
            say(f"plan {record.plan_id[:12]} is {record.state}: {record.reason}")
        say(f"{len(records)} plans held points")
    return 4 if any(record.state is PlanState.STUCK for record in records) else 0


@plans.command("close")
def close_plan(
    plan: PlanArgument,
    statement: Annotated[str, typer.Option("--statement", help="What was found at the site.")],
    as_user: AsOption = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Ends a stuck plan by a person's statement of what was found."""
    room = open_control_room(workspace)
    who = _operator(room, as_user, "close")
    _answer(room, room.control.close_by_hand(room.store.resolve(plan), who.name, statement), as_json=as_json)


@plans.command("dossier")
def write_dossier(
    plan: PlanArgument,
    html: Annotated[
        Path | None, typer.Option("--html", help="Where the page goes.", show_default="var/dossiers")
    ] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Everything to decide on a plan, and later to judge it, as one page and one document."""
    from twin.plans.dossier import dossier
    from twin.plans.dossier_page import dossier_page

    room = open_control_room(workspace, connectors={})
    plan_id = room.store.resolve(plan)
    rows = [row for row in room.store.audit() if row.subject == plan_id]
    document = dossier(room.store.view(plan_id), rows, room.store.verifications(plan_id))
    target = html or var(workspace, "dossiers", f"{plan_id[:12]}.html")
    target.write_text(dossier_page(document), encoding="utf-8")
    if as_json:
        print_json(document)
    else:
        say(f"dossier written to {target}")


def _operator(room: ControlRoom, name: str | None, scope: str) -> Principal:
    from connectors.governance import Role

    who = principal_of(room, name)
    who.require(Role.OPERATOR, scope=scope)
    return who


def _stopper(room: ControlRoom, name: str | None, scope: str) -> Principal:
    from connectors.governance.people import STOPPERS

    who = principal_of(room, name)
    who.require(*STOPPERS, scope=scope)
    return who
