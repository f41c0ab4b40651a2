"""Command that serves the EnergyPlus building to others: emulate."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
