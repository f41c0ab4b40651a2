"""Command that calibrates the twin: calibrate."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
