"""The bundled table of servers with published power curves."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from twin.compute.power_shape import ServerFacts
from twin.errors import BadInputError
from twin.site import HostType

MB_PER_GB = 1024.0
COLUMNS = frozenset({"name", "cpu", "chips", "cores", "mhz", "ram_gb_tested", "published", "w0", "w100", "source"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedServer:
    """A server type and the facts that predict a curve."""

    type: HostType
    facts: ServerFacts


def read_host_types(path: Path) -> tuple[PublishedServer, ...]:
    """Servers of a CSV file with watts at 0, 10, … 100 % of full throughput.

    A MIPS is taken as one MHz of one core. Memory is that of the tested configuration.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as fault:
        raise BadInputError(f"{path}: cannot be read ({fault}); name the CSV file of host types") from None
    if not rows or COLUMNS - set(rows[0]):
        lacking = ", ".join(sorted(COLUMNS - set(rows[0] if rows else ())))
        raise BadInputError(f"{path}: columns missing: {lacking}; see data/host_types.csv for an example")
    return tuple(_server(path, number, row) for number, row in enumerate(rows, start=2))


def _server(path: Path, line: int, row: dict[str, str]) -> PublishedServer:
    try:
        watts = tuple(float(row[f"w{percent}"]) for percent in range(0, 101, 10))
        kind = HostType(
            name=row["name"],
            cores=int(row["cores"]),
            core_mips=float(row["mhz"]),
            ram_mb=float(row["ram_gb_tested"]) * MB_PER_GB,
            power_w=watts,
            source=row["source"],
        )
        year, chips = float(row["published"][-4:]), float(row["chips"])
    except (KeyError, ValueError) as fault:
        raise BadInputError(f"{path}:{line}: {fault}; every row needs numbers in w0 … w100, cores, mhz") from None
    amd = row["cpu"].startswith("AMD")
    facts = ServerFacts(idle_w=watts[0], peak_w=watts[-1], year=year, cores=kind.cores, chips=chips, amd=amd)
    return PublishedServer(type=kind, facts=facts)
