"""The web application: one Flask server with the guard, the sign-in, the screens and the REST interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dash import Dash
from flask import Flask

from dashboard import api, compression, downloads, guard, intake, shell, signin, sso
from dashboard.callbacks import Callbacks
from dashboard.index_page import IndexPage
from dashboard.pages import (
    audit,
    forecast,
    health,
    now,
    plans,
    push,
    savings,
    scenario,
    scenarios,
    settings,
)
from dashboard.services import Services
from dashboard.sessions import MemorySessions, SessionStore

PAGES = (
    now.PAGE,
    forecast.PAGE,
    scenarios.PAGE,
    scenario.PAGE,
    plans.PAGE,
    push.PAGE,
    savings.PAGE,
    health.PAGE,
    audit.PAGE,
    settings.PAGE,
)
LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """The application with what tests and the composition root look at."""

    server: Flask
    dash: Dash
    callbacks: Callbacks


def create_dashboard(
    services: Services, *, sessions: SessionStore | None = None, hosts: Sequence[str] = LOCAL_HOSTS
) -> Dashboard:
    """The application over these services.

    Args:
        services: stores and engines.
        sessions: where signed-in browsers are kept; None: in this process.
        hosts: names under which the server may be addressed.
    """
    kept = sessions or MemorySessions()
    server = Flask("dashboard", static_folder=None)
    intake.install(server)
    guard.install(server, services, kept, hosts)
    compression.install(server)
    signin.install(server, services, kept)
    sso.install(server, services, kept)
    api.install(server, services)
    downloads.install(server, services)
    app = Dash(
        "dashboard",
        server=server,
        assets_folder=str(Path(__file__).parent / "assets"),
        assets_ignore="signin",
        title="Understudy",
        update_title="",
        serve_locally=True,
        suppress_callback_exceptions=True,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
        enable_mcp=False,
    )
    app.interpolate_index = IndexPage(PAGES)
    app.layout = lambda: shell.layout(services, PAGES)
    callbacks = Callbacks(app, services)
    shell.register(app, callbacks, PAGES)
    server.config["CSP"] = guard.content_security_policy(app.csp_hashes())
    return Dashboard(server=server, dash=app, callbacks=callbacks)
