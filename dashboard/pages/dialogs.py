"""A dialog for what a person signs: what will happen, the reason, and the password afresh."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc

EYE = {"aria-label": "Show or hide the password"}


def signing(name: str, title: str, sentence: str, act: str, colour: str) -> Any:
    """A dialog that asks for reason and password; ids begin with ``name``."""
    return dmc.Modal(
        [
            dmc.Text(sentence, size="sm", mb="sm"),
            dmc.Textarea(id=f"{name}-reason", label="Reason", required=True, autosize=True, minRows=2),
            dmc.PasswordInput(
                id=f"{name}-password",
                visibilityToggleButtonProps=EYE,
                label="Your password, again",
                required=True,
                mt="sm",
            ),
            dmc.Group(
                [dmc.Button(act, id=f"{name}-act", color=colour)],
                justify="flex-end",
                mt="md",
            ),
        ],
        id=f"{name}-dialog",
        title=title,
        opened=False,
        centered=True,
    )
