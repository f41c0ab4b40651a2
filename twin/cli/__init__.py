"""The command line: the composition root, which alone may import every package.

Each module of this package registers the commands of one area on the application. Heavy imports stay inside commands,
so that ``understudy --help`` answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from twin.cli import (
    agent,
    audit,
    building,
    connectors,
    dashboard,
    drift,
    forecasts,
    models,
    plans,
    policies,
    proposals,
    runs,
    savings,
    site,
    telemetry,
    users,
)
from twin.cli.demonstration import story as demo
from twin.cli.output import fail, say, wants_json
from twin.errors import UnderstudyError

app = typer.Typer(
    name="understudy",
    help="Rehearse every change of a building and its machines in a twin, push it safely, check that it came true.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


INTERRUPTED = 130
STORES_ARE_USABLE = "interrupted; stores are as after the last completed step, and the command may be run again"


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", help="Say the version and leave.", is_eager=True)] = False,
) -> None:
    """Rehearse every change of a building and its machines in a twin, push it safely, check that it came true."""
    if version:
        from importlib.metadata import version as installed

        say(installed("understudy"))
        raise typer.Exit


for area in (
    demo,
    site,
    telemetry,
    models,
    drift,
    forecasts,
    runs,
    plans,
    proposals,
    savings,
    agent,
    policies,
    users,
    audit,
    connectors,
    building,
    dashboard,
):
    area.register(app)


def main() -> None:
    """Runs the command line and leaves with the exit code of the contract."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Exit code of a command: 0 done, 2 bad input, 3 refused, 4 the outside world failed, 130 interrupted."""
    as_json = wants_json(arguments)
    try:
        result = app(arguments, standalone_mode=False)
    except UnderstudyError as error:
        return fail(str(error), error.exit_code, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except typer.Exit as leave:
        return int(leave.exit_code)
    except Exception as error:  # usage errors of the command line, whichever click Typer brings
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            return fail(error.format_message(), int(error.exit_code), as_json=as_json)
        raise
    if result == INTERRUPTED:  # how the command line's library reports Ctrl-C
        return fail(STORES_ARE_USABLE, INTERRUPTED, as_json=as_json)
    return int(result) if isinstance(result, int) else 0
