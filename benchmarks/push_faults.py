"""Does the push survive? Seeded faults in virtual time, planted bugs that must be found, and real kills.

``--seeds N`` runs N seeds (10 000 by default, 200 with ``--quick``); ``--replay SEED`` tells one seed's story from its
audit log. The real kills, which need strace, end a process at every write-type system call of a push and its rollback.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import frame
from push_harness.kills import kill_everywhere
from push_harness.planted import PLANTED, planted
from push_harness.story import Story

SEEDS_FOR_A_BUG = 1000


CHUNK = 250


def _run_chunk(seeds: range) -> tuple[Counter[str], set[tuple[str, str]], list[dict[str, object]]]:
    states: Counter[str] = Counter()
    covered: set[tuple[str, str]] = set()
    failures: list[dict[str, object]] = []
    for seed in seeds:
        outcome = Story(seed).run()
        states[outcome.state] += 1
        covered |= outcome.covered
        if outcome.violations:
            failures.append({"seed": seed, "violations": outcome.violations})
    return states, covered, failures


def run_seeds(first: int, count: int, workers: int) -> dict[str, object]:
    """Violations, covered faults and final states of many seeds."""
    begun = time.perf_counter()
    states: Counter[str] = Counter()
    covered: set[tuple[str, str]] = set()
    failures: list[dict[str, object]] = []
    chunks = [range(at, min(at + CHUNK, first + count)) for at in range(first, first + count, CHUNK)]
    with ProcessPoolExecutor(max_workers=workers) as pool:
        for seeds, (some_states, some_covered, some_failures) in zip(chunks, pool.map(_run_chunk, chunks), strict=True):
            states += some_states
            covered |= some_covered
            failures += some_failures
            if (seeds.stop - first) % 1000 == 0:
                frame.note(f"{seeds.stop - first} seeds, {len(failures)} violate, {len(covered)} faults × states")
    return {
        "seeds": count,
        "seeds_per_s": count / (time.perf_counter() - begun),
        "violations": sum(len(failure["violations"]) for failure in failures),  # type: ignore[arg-type,misc]
        "failures": failures[:20],
        "fault_states_covered": len(covered),
        "final_states": dict(states),
    }


def _find_one(name: str, first: int) -> tuple[str, dict[str, object] | None]:
    with planted(name):
        for seed in range(first, first + SEEDS_FOR_A_BUG):
            outcome = Story(seed).run()
            if outcome.violations:
                return name, {"seed": seed, "violation": outcome.violations[0]}
    return name, None


def find_planted(first: int, workers: int) -> dict[str, object]:
    """Which planted bugs the harness finds, and with which seed."""
    found: dict[str, object] = {}
    with ProcessPoolExecutor(max_workers=workers) as pool:
        for name, hit in pool.map(_find_one, PLANTED, repeat(first)):
            found[name] = hit
            frame.note(f"planted: {name}: {'found with seed ' + str(hit['seed']) if hit else 'NOT FOUND'}")
    missing = [name for name, hit in found.items() if hit is None]
    return {
        "planted_total": len(PLANTED),
        "planted_found": len(PLANTED) - len(missing),
        "planted_missing": missing,
        "planted_within_seeds": SEEDS_FOR_A_BUG,
        "planted": found,
    }


def replay(seed: int) -> dict[str, object]:
    """One seed's story from its audit log."""
    story = Story(seed)
    outcome = story.run()
    rows = []
    for row in story.world.peek().audit():
        payload = json.loads(row.payload)
        rows.append(
            [row.seq, row.at, row.actor, row.event, payload.get("state"), payload.get("steps"), payload.get("reason")]
        )
    return {"outcome": outcome.state, "violations": outcome.violations, "rows": rows}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--quick", action="store_true", help="fewer seeds, a sample of the kill points")
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    parser.add_argument("--seeds", type=int, default=None, help="how many")
    parser.add_argument("--replay", type=int, default=None, metavar="SEED")
    parser.add_argument("--workers", type=int, default=2, help="processes that run seeds")
    chosen = parser.parse_args()
    if chosen.replay is not None:
        print(json.dumps(replay(chosen.replay), indent=1))
        return
    begun = time.perf_counter()
    document = run_seeds(chosen.seed, chosen.seeds or (200 if chosen.quick else 10_000), chosen.workers)
    if not chosen.quick:
        document |= find_planted(chosen.seed, chosen.workers)
    document |= kill_everywhere(every=40 if chosen.quick else 1)
    document |= {
        "git_commit": frame.commit(),
        "seed": chosen.seed,
        "quick": chosen.quick,
        "machine": frame.machine(),
        "wall_s": time.perf_counter() - begun,
    }
    print(json.dumps(document, indent=1) if chosen.json else frame.readable(document))


if __name__ == "__main__":
    main()
