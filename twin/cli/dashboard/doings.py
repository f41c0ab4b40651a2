"""What the worker does for each kind of job: what the command line does, with progress and an end when asked for."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from twin.cli.dashboard.rooms import Rooms
from twin.cli.output import Progress
from twin.errors import BadInputError, StoppedError
from twin.jobs import Job

Report = Progress
"""Notes progress; it raises StoppedError when the job was cancelled."""
Result = Mapping[str, object]
Doing = Callable[[Rooms, Job, Report], Result]
TRIALS = 60
"""Policies that a search tries at most, where the job names no number."""


def _run(rooms: Rooms, job: Job, report: Report) -> Result:
    """Runs scenarios; parts that an earlier attempt left are kept."""
    from scenarios.spec import read_scenario
    from twin.cli.runs import run_files

    folder = rooms.workspace.var("jobs", job.id, "x").parent
    scenarios: Any = job.request.get("scenarios")
    if not isinstance(scenarios, list) or not scenarios:
        raise BadInputError("the job names no scenarios")
    files = []
    for number, tree in enumerate(scenarios):
        place = folder / f"{number:04d}.yaml"
        place.write_text(json.dumps(tree), encoding="utf-8")  # JSON is YAML
        files.append(read_scenario(place))
    done = run_files(files, rooms.workspace, workers=1, resume=job.attempts > 1, tell=report)
    return {"batch": done.run_id, "message": f"{len(files)} scenarios done"}


def _push(rooms: Rooms, job: Job, report: Report) -> Result:
    """Pushes an approved plan, or goes on with a paused one; cancelling the job does not stop it: stop does.

    A push whose worker died is taken up where the journal says that it stands, by looking at the world.
    """
    room = rooms.world()
    plan_id = room.store.resolve(str(job.request.get("plan", "")))
    again = job.attempts > 1
    act = room.control.resume if job.request.get("resume") and not again else room.control.push
    with rooms.held():
        if again:
            room.control.recover()
        record = act(plan_id, job.user)
    return {"plan": plan_id, "message": f"plan {plan_id[:12]} is {record.state}: {record.reason}"}


def _command(*words: str) -> Doing:
    """A job that is a command of its own, run as a child so that cancelling can end it."""

    def run(rooms: Rooms, job: Job, report: Report) -> Result:
        command = [sys.executable, "-m", "twin", *words, "--workspace", str(rooms.workspace.folder), "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
            told: list[str] = []
            reader = threading.Thread(target=lambda: told.extend(child.communicate()), daemon=True)
            reader.start()
            try:
                while reader.is_alive():
                    report(0.0, 1.0, " ".join(words))
                    reader.join(0.5)
            except StoppedError:
                child.terminate()
                reader.join(10)
                raise
        if child.returncode not in (0, 3):
            raise BadInputError(told[1].strip()[-400:] or f"'{' '.join(words)}' ended with {child.returncode}")
        return {"message": told[1].strip()[-300:] if child.returncode else f"{' '.join(words)} done"}

    return run


def _propose(rooms: Rooms, job: Job, report: Report) -> Result:
    """Searches the twin for the best policy of the week ahead and stores it as a plan."""
    from optimizer.goals import Goal
    from twin.cli.proposals import proposed

    goal, trials = Goal.parse(str(job.request.get("goal", "energy"))), job.request.get("trials", TRIALS)
    if not isinstance(trials, int):
        message = f"trials {trials!r} is not a whole number"
        raise BadInputError(message)
    who = rooms.signed_in(job.user)
    proposal, plan_id = proposed(rooms.workspace, rooms.world(), who, goal, trials=trials, seed=0, tell=report)
    saving = proposal.saving
    words = f"saves {saving.value:.1f} % ({saving.low:.1f} to {saving.high:.1f} %), the twin says"
    return {"plan": plan_id, "message": f"plan {plan_id[:12]} waits for approval; it {words}"}


def _verify(rooms: Rooms, job: Job, report: Report) -> Result:
    """Measures what a pushed plan saved; each report is kept in the journal."""
    from twin.cli.savings import verified

    report(0.0, 1.0, "meters against the twin")
    room = rooms.room()
    plan_id = room.store.resolve(str(job.request.get("plan", "")))
    reports = verified(rooms.workspace, room, plan_id, job.user)
    period = f"{reports[0].start:%d %b %H:%M} to {reports[0].end:%d %b %H:%M} UTC"
    return {"measured": plan_id, "message": f"{len(reports)} meters measured from {period}"}


DOINGS: Mapping[str, Doing] = {
    "run": _run,
    "propose": _propose,
    "push": _push,
    "verify": _verify,
    "calibrate": _command("calibrate"),
    "forecast": _command("forecast"),
}
"""Kind of job → what is done."""
