"""Commands on plans: propose, list, show, approve, reject, push, pause, rollback, release-all."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
