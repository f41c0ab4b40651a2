"""A batch on a Ray cluster (extra ``cluster``); a node that is lost costs time, not results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from scenarios.batch import Batch, RunRow, Task, bundles_of, in_order, run_bundle
from twin.errors import BadInputError, OutsideWorldError

TRIES_PER_TASK = 5
IN_FLIGHT = 256


@contextmanager
def cluster_mapper(batch: Batch, address: str) -> Iterator[Callable[[Sequence[Task]], Iterator[RunRow]]]:
    """Maps tasks to rows on the cluster, in order.

    Raises:
        BadInputError: Ray is not installed.
        OutsideWorldError: the cluster cannot be reached.
    """
    try:
        import ray
    except ImportError:
        message = "--cluster needs Ray, which is not installed; install it with: pip install 'understudy[cluster]'"
        raise BadInputError(message) from None
    started = not ray.is_initialized()
    if started:
        try:
            ray.init(address=None if address == "local" else address, log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            message = f"no Ray cluster answers at {address}: {str(error)[:200]}; check the address or start it"
            raise OutsideWorldError(message) from error
    shared = ray.put(batch)
    remote = ray.remote(max_retries=TRIES_PER_TASK, num_cpus=1)(run_bundle)

    def done(tasks: Sequence[Task]) -> Iterator[list[tuple[int, RunRow]]]:
        pending = []
        for bundle in bundles_of(batch, tasks):
            pending.append(remote.remote(shared, bundle))
            if len(pending) >= IN_FLIGHT:
                yield ray.get(pending.pop(0))
        for reference in pending:
            yield ray.get(reference)

    try:
        yield lambda tasks: in_order(done(tasks))
    finally:
        if started:
            ray.shutdown()
