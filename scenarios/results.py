"""The folder of one batch: what ran, the runs of each scenario, series, summary. Survives being killed at any point.

Every file is written beside its place and renamed into it, so that a file that is there is whole. The folder is named
by the digest of all that decides its content; a second run of the same question finds the parts of the first.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from scenarios.batch import Draw
from scenarios.expand import DriverRequest, Scenario, Tree
from scenarios.summary import ScenarioRuns
from twin.drivers import Drivers, Weather
from twin.errors import BadInputError, OutsideWorldError
from twin.kpi import KPIS
from twin.result import Migration

FORMAT = 1
SUMMARY = "summary.json"
MIGRATION_COLUMNS = ("vm", "source", "target", "duration_s", "downtime_s", "completed")


def migrations_file(index: int) -> str:
    """Where the migrations of a scenario are, below the batch's folder."""
    return f"series/{index:04d}.migrations.parquet"


def run_id(name: str, manifest: Mapping[str, object]) -> str:
    """Name of a batch: its first scenario and the digest of its manifest."""
    import rfc8785

    digest = hashlib.sha256(rfc8785.dumps(manifest)).hexdigest()  # type: ignore[arg-type]
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "run"
    return f"{slug}-{digest[:12]}"


def manifest_of(
    scenarios: Sequence[Scenario],
    members: int,
    drivers: Mapping[DriverRequest, Sequence[Drivers]],
    structural: Mapping[str, float],
    about: Mapping[str, object],
) -> Tree:
    """All that decides the numbers of a batch, as JSON."""
    digests = {request: digest_of(given) for request, given in drivers.items()}
    return {
        "format": FORMAT,
        **about,
        "members": members,
        "structural": dict(structural),
        "drivers": {str(scenario.index): digests[scenario.request] for scenario in scenarios},
        "scenarios": [scenario_tree(scenario) for scenario in scenarios],
    }


def scenario_tree(scenario: Scenario) -> Tree:
    """A resolved scenario as it would be written in a file of its own."""
    request = scenario.request
    options = {
        "forecast": {"samples": request.samples},
        "synthetic": {"block_days": request.block_days, "window_days": request.window_days},
    }
    world = {
        key: value for key, value in asdict(scenario.world).items() if value != (0.0 if key.endswith("_k") else 1.0)
    }
    tree: Tree = {
        "schema_version": 1,
        "name": scenario.name,
        "description": scenario.description,
        "drivers": {request.kind: options[request.kind]} if request.kind in options else request.kind,
        "policy": scenario.policy_text,
        "overrides": [world] if world else [],
        "seeds": list(scenario.seeds),
        "baseline": scenario.baseline,
    }
    if request.start is not None and request.end is not None:
        tree["period"] = {"from": request.start.isoformat(), "to": request.end.isoformat()}
    return tree


def digest_of(drivers: Sequence[Drivers]) -> str:
    """Digest of all arrays of the drivers, in the order given."""
    digest = hashlib.sha256()
    for one in drivers:
        digest.update(f"{one.start.isoformat()} {one.step_s} {one.vm_step_s}".encode())
        arrays = [getattr(one.weather, item.name) for item in fields(Weather)]
        arrays += [one.people, one.lights_w, one.plugs_w, one.other_gain_w]
        arrays += [one.electricity_price_kwh, one.carbon_kg_kwh]
        optional = (one.vm_utilization, one.host_power_w, one.radiator_valve, one.blind_open)
        arrays += [array for array in optional if array is not None]
        for array in arrays:
            digest.update(f"{array.shape}".encode())
            digest.update(np.ascontiguousarray(array, dtype=np.float64).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class ResultsFolder:
    """Files of one batch."""

    path: Path

    def start(self, manifest: Mapping[str, object], scenarios: Sequence[Scenario], *, resume: bool) -> None:
        """Makes the folder; without ``resume``, parts of an earlier run are removed first.

        Raises:
            OutsideWorldError: the disk refuses.
        """
        try:
            for name in ("parts", "series", "scenarios"):
                (self.path / name).mkdir(parents=True, exist_ok=True)
            if not resume:
                for part in sorted((self.path / "parts").glob("*.npz")):
                    part.unlink()
            self.write_json("manifest.json", manifest)
            for scenario in scenarios:
                self.write_json(f"scenarios/{scenario.index:04d}.yaml", scenario_tree(scenario))
        except OSError as error:
            raise _disk(self.path, error) from error

    def write_json(self, name: str, document: object) -> None:
        """Writes a JSON document in one step."""
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        self.write_text(name, text)

    def write_text(self, name: str, text: str) -> None:
        """Writes a text in one step."""
        _replace(self.path / name, lambda file: file.write(text.encode()))

    def write_part(self, scenario: Scenario, runs: ScenarioRuns) -> None:
        """Keeps all runs of a scenario."""
        draws = np.array([[draw.seed, draw.sample, draw.member] for draw in runs.draws], dtype=np.int64)
        findings = np.frombuffer(json.dumps(runs.findings).encode(), dtype=np.uint8)
        names = np.frombuffer(json.dumps(list(KPIS)).encode(), dtype=np.uint8)

        def write(file: BinaryIO) -> None:
            np.savez(file, draws=draws, kpis=runs.kpis, daily=runs.daily, findings=findings, names=names)

        _replace(self._part(scenario), write)

    def read_part(self, scenario: Scenario) -> ScenarioRuns | None:
        """Runs kept of a scenario; None when there are none, or not readable ones."""
        return read_runs(self._part(scenario))

    def write_series(
        self, scenario: Scenario, series: Mapping[str, NDArray[np.float32]], times: NDArray[np.int64]
    ) -> None:
        """Series of the first draw as Parquet; ``timestamp`` is UTC.

        Without dictionaries, which measured values only make slower to write, and files larger.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        stamps = pa.array(times, type=pa.timestamp("us", tz="UTC"))
        table = pa.table({"timestamp": stamps, **{name: pa.array(values) for name, values in series.items()}})
        place = self.path / "series" / f"{scenario.index:04d}.parquet"
        _replace(place, lambda file: pq.write_table(table, file, compression="zstd", use_dictionary=False))

    def write_migrations(self, scenario: Scenario, migrations: Sequence[Migration], start: datetime) -> None:
        """Live migrations of the first draw as Parquet; ``at`` is UTC. Nothing where there were none."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not migrations:
            return
        first = start.timestamp()
        at = pa.array([round(1e6 * (first + one.at_s)) for one in migrations], type=pa.timestamp("us", tz="UTC"))
        columns = {name: [getattr(one, name) for one in migrations] for name in MIGRATION_COLUMNS}
        table = pa.table({"at": at, **columns})
        _replace(self.path / migrations_file(scenario.index), lambda file: pq.write_table(table, file))

    def has_series(self, scenario: Scenario) -> bool:
        """Whether the series of a scenario are there."""
        return (self.path / "series" / f"{scenario.index:04d}.parquet").is_file()

    def _part(self, scenario: Scenario) -> Path:
        return self.path / "parts" / f"{scenario.index:04d}.npz"


def read_runs(path: Path) -> ScenarioRuns | None:
    """Runs of a part file; None when it is missing, cut off, or of other KPIs."""
    try:
        with np.load(path, allow_pickle=False) as part:
            if json.loads(part["names"].tobytes()) != list(KPIS):
                return None
            draws = tuple(Draw(seed=int(s), sample=int(k), member=int(m)) for s, k, m in part["draws"])
            findings = tuple(json.loads(part["findings"].tobytes()))
            return ScenarioRuns(draws=draws, kpis=part["kpis"], daily=part["daily"], findings=findings)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def read_summary(path: Path) -> Tree:
    """The summary of a results folder.

    Raises:
        BadInputError: there is none, or it is not a summary.
    """
    file = path / SUMMARY if path.is_dir() else path
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        message = f"{path}: no {SUMMARY} there; finish the run with 'understudy run … --resume', or name another result"
        raise BadInputError(message) from None
    except ValueError:
        raise BadInputError(f"{file}: not a JSON document; run the scenarios again") from None
    if not isinstance(document, dict) or "scenarios" not in document:
        raise BadInputError(f"{file}: has no list of scenarios; name a folder made by 'understudy run'")
    return document


def _replace(place: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes beside the place, then renames: the place holds the old file or the whole new one."""
    beside = place.with_name(f"{place.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(place)
    except OSError as error:
        raise _disk(place, error) from error
    finally:
        beside.unlink(missing_ok=True)


def _disk(place: Path, error: OSError) -> OutsideWorldError:
    return OutsideWorldError(f"{place}: cannot be written: {error.strerror}; free space or choose another workspace")
