"""The worker process: takes jobs from the table, does them as the command line would, and reports how far it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from twin.cli.dashboard.doings import DOINGS
from twin.cli.dashboard.rooms import Rooms
from twin.cli.dashboard.services import job_table
from twin.cli.output import note
from twin.errors import BadInputError, StoppedError, UnderstudyError
from twin.jobs import Job, JobState, Lane

if TYPE_CHECKING:
    from connectors.job_table import JobTable

IDLE_S = 1.0
BEAT_S = 5.0
RESTART_S = 2.0


class WorkerProcess:
    """A worker of one lane as a child of the server, started again when it dies."""

    def __init__(self, folder: Path, lane: Lane) -> None:
        self._folder = folder
        self._lane = lane
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._watch = threading.Thread(target=self._run, name=f"worker-watch-{lane}", daemon=True)

    def start(self) -> None:
        """Starts it."""
        self._watch.start()

    def _run(self) -> None:
        command = [sys.executable, "-m", "twin", "worker", "--lane", self._lane, "--workspace", str(self._folder)]
        while not self._stopping.is_set():
            self._child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            self._child.wait()
            self._stopping.wait(RESTART_S)

    def stop(self) -> None:
        """Ends it; the job in its hands is taken up again at the next start."""
        self._stopping.set()
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            self._child.wait(timeout=10)


class TableReport:
    """Progress of one job; its call ends the work when somebody cancelled it."""

    def __init__(self, table: JobTable, job: Job, worker: str) -> None:
        self._table, self._job, self._worker = table, job, worker
        self._last: tuple[float, float, str] = (0.0, 1.0, "")
        self._go_on = True
        self._over = threading.Event()
        self._said = 0.0
        self._pulse = threading.Thread(target=self._beat, daemon=True)
        self._pulse.start()

    def __call__(self, done: float, total: float, what: str) -> None:
        """Notes progress, at most twice a second.

        Raises:
            StoppedError: the job was cancelled, or another worker holds it now.
        """
        self._last = (done, total, what)
        if time.monotonic() - self._said >= 0.5:
            self._said = time.monotonic()
            self._go_on = self._table.beat(self._job.id, self._worker, *self._last)
        if not self._go_on:
            raise StoppedError("the job was cancelled")

    def _beat(self) -> None:
        while not self._over.wait(BEAT_S):
            self._go_on = self._table.beat(self._job.id, self._worker, *self._last) and self._go_on

    def close(self) -> None:
        """Ends the pulse."""
        self._over.set()
        self._pulse.join()


class WorkerThread:
    """A worker of one lane in this process, where the site lives in it too and no other process could reach it."""

    def __init__(self, rooms: Rooms, lane: Lane) -> None:
        self._rooms = rooms
        self._lane = lane
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"worker-{lane}", daemon=True)

    def start(self) -> None:
        """Starts it."""
        self._thread.start()

    def _run(self) -> None:
        take_jobs(self._rooms, self._lane, lambda: not self._stopping.is_set())

    def stop(self) -> None:
        """Lets it end; a job that takes longer is taken up again at the next start."""
        self._stopping.set()
        self._thread.join(timeout=10)


def work_on(folder: Path, *, lane: Lane | None = None, once: bool = False) -> None:
    """Takes jobs of a lane, or of all, until the process is told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    parent = os.getppid()
    take_jobs(Rooms(folder), lane, lambda: os.getppid() == parent, once=once)


def take_jobs(rooms: Rooms, lane: Lane | None, go_on: Callable[[], bool], *, once: bool = False) -> None:
    """Takes jobs of a lane, or of all, while it shall go on; ``once``: until no job waits."""
    table = job_table(rooms)
    name = f"{os.uname().nodename}:{os.getpid()}"
    while once or go_on():
        job = table.take(name, lane)
        if job is not None:
            do(rooms, table, job, name)
        elif once:
            return
        else:
            time.sleep(IDLE_S)


def do(rooms: Rooms, table: JobTable, job: Job, worker: str) -> None:
    """Does one job and notes how it ended."""
    report = TableReport(table, job, worker)
    try:
        if job.kind not in DOINGS:
            message = f"{job.kind!r} is no kind of job; known: {', '.join(DOINGS)}"
            raise BadInputError(message)
        result = DOINGS[job.kind](rooms, job, report)
    except StoppedError:
        report.close()
        table.finish(job.id, worker, JobState.CANCELLED, {}, "cancelled")
    except UnderstudyError as error:
        report.close()
        table.finish(job.id, worker, JobState.FAILED, {}, str(error))
    else:
        report.close()
        table.finish(job.id, worker, JobState.DONE, result, str(result.get("message", "")))
    note(f"job {job.id} ({job.kind}) ended")
