"""Runs a batch of scenarios: in this process, in a pool of processes, or on a Ray cluster; the same bytes each time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from scenarios.batch import (
    Batch,
    Bundle,
    Ensemble,
    RunRow,
    Simulator,
    Task,
    bundles_of,
    in_order,
    run_bundle,
    steps_of,
    tasks_of,
)
from scenarios.expand import DriverRequest, Scenario, Tree
from scenarios.report import report_html
from scenarios.results import SUMMARY, ResultsFolder, manifest_of, run_id
from scenarios.summary import ScenarioRuns, summary_document
from scenarios.worlds import DriverProvider
from twin.drivers import Drivers
from twin.errors import BadInputError, OutsideWorldError
from twin.site import Site

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

POOL_PAYS_FROM_STEPS = 3_000_000
"""Below this many steps in all, starting processes costs more than it saves."""


class Progress(Protocol):
    """Tells how far a job is."""

    def __call__(self, done: float, total: float, what: str) -> None:
        """``done`` of ``total``, doing ``what``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """The calibrated twin as the runner needs it."""

    site: Site
    parameters: tuple[object, ...]
    """Best parameters first, then the ensemble."""
    structural: Mapping[str, float]
    """Relative error by end use that the model's structure leaves, from hold-out days."""
    about: Mapping[str, object]
    """What the summary says of the model: id, accepted, digests."""
    simulate: Simulator
    simulate_eight: Ensemble | None = None
    """Runs that share their drivers, at once; None: each alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What a batch came to."""

    run_id: str
    folder: Path
    summary: Tree


Mapper = Callable[[Sequence[Task]], Iterator[RunRow]]


def run_scenarios(
    scenarios: Sequence[Scenario],
    twin: Twin,
    provider: DriverProvider,
    results: Path,
    *,
    workers: int = 0,
    cluster: str | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> BatchResult:
    """Runs all scenarios and leaves their results in a folder of their own below ``results``.

    Args:
        scenarios: as ``expand`` gives them.
        twin: site, parameters and how to simulate.
        provider: gives the drivers of each request.
        results: folder that holds the results of all batches.
        workers: processes; 0 takes all cores when the batch is large and this process alone when it is small.
        cluster: address of a Ray cluster instead of processes.
        resume: keep what an interrupted run of the same batch has left.
        progress: told after every run.

    Raises:
        BadInputError: no telemetry for a period.
    """
    requests = dict.fromkeys(scenario.request for scenario in scenarios)
    drivers = {request: _drivers(provider, request) for request in requests}
    batch = Batch(
        site=twin.site,
        parameters=twin.parameters,
        drivers=drivers,
        simulate=twin.simulate,
        simulate_eight=twin.simulate_eight,
    )
    about = {"site": twin.site.name, "model": dict(twin.about)}
    manifest = manifest_of(scenarios, len(twin.parameters), drivers, twin.structural, about)
    name = run_id(scenarios[0].name, manifest)
    folder = ResultsFolder(results / name)
    folder.start(manifest, scenarios, resume=resume)
    runs = _all_runs(scenarios, batch, folder, workers, cluster, progress)
    summary = summary_document(name, about, scenarios, runs, twin.structural, twin.site)
    currency = twin.site.tariff.currency
    folder.write_text("report.html", report_html(summary, folder.path, scenarios, currency))
    folder.write_json(SUMMARY, summary)
    return BatchResult(run_id=name, folder=folder.path, summary=summary)


def _drivers(provider: DriverProvider, request: DriverRequest) -> tuple[Drivers, ...]:
    given = tuple(provider(request))
    if not given or given[0].steps == 0:
        raise BadInputError(f"no telemetry from {request.start} to {request.end}; ingest it, or choose another period")
    return given


def _all_runs(
    scenarios: Sequence[Scenario],
    batch: Batch,
    folder: ResultsFolder,
    workers: int,
    cluster: str | None,
    progress: Progress | None,
) -> dict[str, ScenarioRuns]:
    """Runs of every scenario by name: kept ones from their parts, the others done now."""
    runs: dict[str, ScenarioRuns] = {}
    open_tasks: list[tuple[Scenario, tuple[Task, ...]]] = []
    for scenario in scenarios:
        tasks = tasks_of(scenario, len(batch.parameters))
        kept = folder.read_part(scenario) if folder.has_series(scenario) else None
        if kept is not None and kept.draws == tuple(task.draw for task in tasks):
            runs[scenario.name] = kept
        else:
            open_tasks.append((scenario, tasks))
    flat = [task for _, tasks in open_tasks for task in tasks]
    with _mapper(batch, flat, workers, cluster) as mapped:
        rows = mapped(flat)
        done = 0
        for scenario, tasks in open_tasks:
            of_scenario: list[RunRow] = []
            for _ in tasks:
                of_scenario.append(next(rows))
                done += 1
                if progress is not None:
                    progress(done, len(flat), scenario.name)
            runs[scenario.name] = _kept(scenario, of_scenario, batch, folder)
    return runs


def _kept(scenario: Scenario, rows: Sequence[RunRow], batch: Batch, folder: ResultsFolder) -> ScenarioRuns:
    """Runs of a scenario, after writing them; the part last, as it marks the scenario as done."""
    findings = sorted({finding for row in rows for finding in row.findings})
    runs = ScenarioRuns(
        draws=tuple(row.draw for row in rows),
        kpis=np.stack([row.kpis for row in rows]),
        daily=np.stack([row.daily for row in rows]),
        findings=tuple(findings),
    )
    series = rows[0].series
    if series is not None:
        given = batch.drivers[scenario.request][0]
        start = given.start if scenario.request.kind != "synthetic" else scenario.request.start or given.start
        folder.write_series(scenario, series, _times(start, given.step_s, len(next(iter(series.values())))))
        folder.write_migrations(scenario, rows[0].migrations, start)
    folder.write_part(scenario, runs)
    return runs


def _times(start: datetime, step_s: float, steps: int) -> NDArray[np.int64]:
    """Time stamps of the steps, microseconds since 1970 in UTC."""
    first = round(start.timestamp() * 1e6)
    return first + np.arange(steps, dtype=np.int64) * round(step_s * 1e6)


@contextmanager
def _mapper(batch: Batch, tasks: Sequence[Task], workers: int, cluster: str | None) -> Iterator[Mapper]:
    """What maps tasks to rows, in order."""
    count = workers or (os.cpu_count() or 1 if steps_of(batch, tasks) >= POOL_PAYS_FROM_STEPS else 1)
    count = min(count, len(tasks))
    if cluster is not None:
        from scenarios.cluster import cluster_mapper

        with cluster_mapper(batch, cluster) as mapped:
            yield mapped
    elif count <= 1:
        yield lambda todo: in_order(run_bundle(batch, bundle) for bundle in bundles_of(batch, todo))
    else:
        with _pool(batch, count) as mapped:
            yield mapped


_SHARED: list[Batch] = []
"""The batch of a worker process, given once when the process starts."""


def _set_up(batch: Batch) -> None:
    _SHARED[:] = [batch]


def _in_worker(bundle: Bundle) -> list[tuple[int, RunRow]]:
    return run_bundle(_SHARED[0], bundle)


@contextmanager
def _pool(batch: Batch, workers: int) -> Iterator[Mapper]:
    """A pool of fresh processes; each is given the batch once."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=fresh, initializer=_set_up, initargs=(batch,)) as pool:
        try:
            yield lambda tasks: in_order(_mapped(pool, list(bundles_of(batch, tasks)), workers))
        except BrokenProcessPool as error:
            message = "a worker process died, perhaps for want of memory; run again with --resume and fewer --workers"
            raise OutsideWorldError(message) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _mapped(pool: ProcessPoolExecutor, bundles: Sequence[Bundle], workers: int) -> Iterator[list[tuple[int, RunRow]]]:
    return pool.map(_in_worker, bundles, chunksize=_chunk(len(bundles), workers))


def _chunk(tasks: int, workers: int) -> int:
    """Bundles sent together: few enough that all workers end together."""
    return max(1, min(16, tasks // (workers * 4)))
