"""A dialog for what a person signs: what will happen, the reason, and the password or the sign-in afresh."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

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


def signing_afresh(name: str, title: str, sentence: str, plan_id: str) -> Any:
    """The dialog of somebody without a password here: its form leads to the identity provider, which asks who they are.

    A plain form, so that the answer may set the cookie that comes back with the browser.

    Args:
        name: ``approve`` or ``reject``; ids begin with it.
        title: of the dialog.
        sentence: what will happen.
        plan_id: the plan.
    """
    form = html.Form(
        [
            dcc.Input(type="hidden", name="plan", value=plan_id),
            dcc.Input(type="hidden", name="decision", value=name),
            html.Label("Reason", htmlFor=f"{name}-reason"),
            dcc.Textarea(id=f"{name}-reason", name="reason", required=True, minLength=3, maxLength=2000, rows=3),
            html.Button(f"Sign in again and {name}", id=f"{name}-afresh", type="submit", className="sign-button"),
        ],
        action="/signin/sso/sign",
        method="post",
        className="signing",
    )
    words = "You have no password here: your identity provider asks you to sign in again, and that signs it."
    body = [dmc.Text(sentence, size="sm", mb="sm"), dmc.Text(words, size="sm", mb="sm", c="dimmed"), form]
    return dmc.Modal(body, id=f"{name}-dialog", title=title, opened=False, centered=True)
