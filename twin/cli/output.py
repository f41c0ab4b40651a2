"""What every command shares: its options, its one JSON document, its tables, its progress, its errors."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Protocol, TypeAlias

import typer

from twin.errors import BadInputError

WorkspaceOption: TypeAlias = Annotated[
    Path, typer.Option("--workspace", help="Folder with site.yaml and var/.", show_default="here")
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else there.")]
HERE = Path()


class Progress(Protocol):
    """Tells how far a job is."""

    def __call__(self, done: float, total: float, what: str) -> None:
        """``done`` of ``total``, doing ``what``."""
        ...


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether the caller asked for a JSON document."""
    return "--json" in arguments


def fail(message: str, exit_code: int, *, as_json: bool) -> int:
    """Says what is wrong on stderr, and as a JSON document on stdout when asked; the exit code."""
    print(f"understudy: {message}", file=sys.stderr)  # noqa: T201 - the command line speaks here
    if as_json:
        print_json({"error": {"message": message, "exit_code": exit_code}})
    return exit_code


def print_json(document: object) -> None:
    """Writes one JSON document; numbers that are not finite become null."""
    json.dump(_finite(document), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False, default=str)
    sys.stdout.write("\n")


def say(text: str) -> None:
    """A line for a person, on stdout."""
    sys.stdout.write(f"{text}\n")


def note(text: str) -> None:
    """A line of progress or warning, on stderr."""
    sys.stderr.write(f"{text}\n")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table for a person, on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else 120, markup=False, highlight=False)
    console.print(title, style="bold")
    console.print(table)


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """A progress bar on stderr; the function given takes (done, total, what)."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bars:
        task = bars.add_task(title, total=1.0)

        def tell(done: float, total: float, what: str) -> None:
            bars.update(task, completed=done, total=total, description=f"{title}: {what}" if what else title)

        yield tell


def require_workspace(folder: Path) -> Path:
    """The workspace folder.

    Raises:
        BadInputError: it has no ``site.yaml``.
    """
    if not (folder / "site.yaml").is_file():
        message = f"{folder.resolve()} is not a workspace: it has no site.yaml; create one with 'understudy init DIR'"
        raise BadInputError(message)
    return folder


def var(folder: Path, *parts: str) -> Path:
    """A path below the workspace's ``var/``; its folder exists afterwards."""
    path = folder.joinpath("var", *parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
