"""Commands on the audit log: show, verify, export, checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli.output import HERE, JsonOption, WorkspaceOption, note, print_json, print_table, require_workspace, say
from twin.errors import BadInputError

if TYPE_CHECKING:
    from connectors.plan_store import PlanStore, StoreFolder

audit = typer.Typer(name="audit", help="The audit log and its proof.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
    app.add_typer(audit)


def _open(workspace: Path) -> tuple[StoreFolder, PlanStore]:
    from connectors.change_control import SystemClock
    from connectors.plan_store import StoreFolder
    from connectors.settings import load_site

    site = load_site(require_workspace(workspace) / "site.yaml").site
    folder = StoreFolder(workspace / "var" / "plans")
    return folder, folder.open(site.name, SystemClock())


@audit.command("show")
def show(
    plan: Annotated[str | None, typer.Option("--plan", help="Only rows of this plan (first characters).")] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="At most so many rows.")] = 50,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """The log: who did what to which plan, when, with which reason."""
    _, store = _open(workspace)
    rows = [row for row in store.audit() if plan is None or row.subject.startswith(plan)][-last:]
    if as_json:
        from twin.text.canonical import plain

        print_json({"rows": [{**plain(row), "payload": json.loads(row.payload)} for row in rows]})
        return
    table = [[str(r.seq), r.at[:19], r.actor, r.event, r.subject[:12], _reason(r.payload)] for r in rows]
    print_table("Audit log", ["row", "at (UTC)", "who", "what", "subject", "why"], table)


def _reason(payload: str) -> str:
    document = json.loads(payload)
    steps = ", ".join(f"{action} {state}" for action, state in document.get("steps", {}).items())
    return str(document.get("reason") or steps or document.get("why") or "")[:80]


@audit.command("verify")
def verify(
    checkpoints: Annotated[
        Path | None, typer.Option("--checkpoints", help="Copy of the checkpoints that was kept elsewhere.")
    ] = None,
    public_key: Annotated[Path | None, typer.Option("--public-key", help="Public key that was kept elsewhere.")] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> int:
    """Proves log and records; exit code 3 and the row when something was changed, cut or written anew."""
    for path in (checkpoints, public_key):
        if path is not None and not path.is_file():
            message = f"{path} is no file"
            raise BadInputError(message)
    folder, store = _open(workspace)
    findings = folder.verify(store, checkpoints=checkpoints, public_key=public_key)
    rows = 0 if findings else store.ledger.head()[0]
    if as_json:
        found = [{"row": finding.row, "sentence": finding.sentence} for finding in findings]
        print_json({"ok": not findings, "rows": rows, "findings": found})
    for finding in findings:
        note(f"{finding.row}: {finding.sentence}")
    if not as_json and not findings:
        say(f"{rows} rows: chain, records and checkpoints agree")
    return 3 if findings else 0


@audit.command("export")
def export(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines: checkpoints, public key, rows.")],
    script: Annotated[Path | None, typer.Option("--script", help="Also write the program that proves it.")] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Writes everything that an auditor needs to prove the log without this program."""
    from connectors.audit.checkpoints import read_checkpoints
    from twin.text.canonical import canonical, plain

    folder, store = _open(workspace)
    public = folder.key_file.with_suffix(".pub").read_text(encoding="utf-8")
    lines: list[object] = [{"kind": "instance", "instance": folder.instance, "site": store.site, "public_key": public}]
    lines += [{"kind": "checkpoint", **point} for point in read_checkpoints(folder.checkpoint_file)]
    rows = store.audit()
    lines += [{"kind": "row", **plain(row)} for row in rows]
    target.write_bytes(b"".join(canonical(line) + b"\n" for line in lines))
    if script is not None:
        from connectors.audit import standalone

        script.write_text(Path(standalone.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    if as_json:
        print_json({"file": str(target), "rows": len(rows)})
    else:
        say(f"{len(rows)} rows written to {target}")


@audit.command("checkpoint")
def checkpoint(
    to: Annotated[Path | None, typer.Option("--to", help="Copy all checkpoints here, best on another machine.")] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Signs where the log stands now."""
    import shutil

    folder, store = _open(workspace)
    seq = store.checkpoint()
    if to is not None:
        shutil.copyfile(folder.checkpoint_file, to)
    if as_json:
        print_json({"row": seq, "file": str(to or folder.checkpoint_file)})
    else:
        say(f"row {seq} signed in {to or folder.checkpoint_file}")
