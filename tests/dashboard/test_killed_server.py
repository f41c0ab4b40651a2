"""Server and worker killed in the middle of long work: after a restart the pages show the truth, and work goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from browser import CHROMIUM, Watched, context_of, launched
from demo_once import ROOT, told_by_the_demo
from live_site import PASSWORD, wait_for
from playwright.sync_api import Browser, sync_playwright

from twin.cli.dashboard.rooms import Rooms
from twin.cli.dashboard.services import job_table
from twin.jobs import JobState

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium (see .ci/packages.txt)"),
    pytest.mark.skipif(
        find_spec("pyenergyplus") is None and not os.environ.get("CI"), reason="the extra 'emulator' is not installed"
    ),
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return told_by_the_demo(tmp_path_factory)[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = launched(playwright)
        yield running
        running.close()


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(workspace: Path, port: int) -> Iterator[int]:
    """A dashboard with its worker in a process group of their own, which is killed in the end; its number."""
    command = [sys.executable, "-m", "twin", "dashboard", "--workspace", str(workspace), "--port", str(port), "--json"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    try:
        document = ""
        while not document.endswith("}\n"):
            line = process.stdout.readline()
            assert line, "the server ended before it served"
            document += line
        assert json.loads(document)["url"].endswith(f":{port}/")
        yield process.pid
    finally:
        kill(process.pid)
        process.wait()
        process.stdout.close()


def kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def signs_in_again(who: Watched, user: str) -> None:
    """The open page has noticed by itself that its session is over, and comes back to where it was."""
    who.page.wait_for_url("**/signin?next=**", timeout=30_000)
    who.page.fill("#user", user)
    who.page.fill("#password", PASSWORD)
    who.page.click("button")
    who.page.wait_for_selector("#page h1")


def test_a_batch_goes_on_after_a_kill_and_the_page_shows_it(workspace: Path, browser: Browser, port: int) -> None:
    table = job_table(Rooms(workspace))
    period = {"from": "2023-10-16", "to": "2023-10-30"}
    names = ("baseline", "wider", "widest")
    scenarios = [
        {
            "schema_version": 1,
            "name": name,
            "period": period,
            "drivers": "replay",
            "policy": {"cooling_setpoint_c": {"occupied": 24 + i, "unoccupied": 27}} if i else "baseline",
            **({"baseline": "baseline"} if i else {}),
        }
        for i, name in enumerate(names)
    ]
    context = context_of(browser, f"http://127.0.0.1:{port}", "light")
    who = Watched(context, f"http://127.0.0.1:{port}", patience_s=60.0)
    with server(workspace, port) as group:
        who.sign_in("planner", PASSWORD)
        who.see("/scenarios")
        job = table.submit("run", {"scenarios": scenarios}, "planner")
        wait_for(lambda: (found := table.get(job.id)) is not None and found.done >= 1, 90, "the first runs")
        kill(group)
    left = table.get(job.id)
    assert left is not None
    assert left.state is JobState.RUNNING
    with server(workspace, port):
        signs_in_again(who, "planner")
        who.page.get_by_role("button", name="Jobs (1)").click()
        who.page.get_by_text("running", exact=True).first.wait_for(timeout=60_000)
        who.page.get_by_role("link", name="Show the results").first.wait_for(timeout=180_000)
        who.page.get_by_role("link", name="Show the results").first.click()
        who.page.locator(".ag-row[row-id=widest]").first.wait_for()
    done = table.get(job.id)
    assert done is not None
    assert (done.state, done.attempts) == (JobState.DONE, 2)
    context.close()
