"""Published traces of VM demand as arrays: PlanetLab and Bitbrains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twin.errors import BadInputError, OutsideWorldError

Array = NDArray[np.float64]

PLANETLAB_STEP_S = 300.0
BITBRAINS_STEP_S = 300.0
MISSING = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanetlabDay:
    """One day of PlanetLab: CPU in percent of each VM's own capacity."""

    vms: tuple[str, ...]
    percent: NDArray[np.int8]
    """Shape (VMs, samples); five minutes between samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BitbrainsMonth:
    """The Bitbrains "Rnd" trace: demand and capacity of business VMs; NaN where the collector has no sample."""

    vms: NDArray[np.int64]
    cpu_mhz: Array
    """Shape (steps, VMs). [MHz]"""
    cpu_cap_mhz: Array
    memory_mb: Array
    """What the hypervisor calls in use, a fraction of what a VM occupies: pack by capacity instead. [MB]"""
    memory_cap_mb: Array
    cores: Array

    @property
    def utilization(self) -> Array:
        """CPU demand as a share of capacity, 0 where a VM is off, shape (steps, VMs)."""
        off = ~(self.cpu_cap_mhz > 0.0)
        share: Array = np.where(off, 0.0, self.cpu_mhz / np.where(off, 1.0, self.cpu_cap_mhz))
        share[np.isnan(self.cpu_mhz)] = np.nan
        return share


def _columns(path: Path, names: list[str] | None = None) -> dict[str, NDArray[np.generic]]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(path)
        wanted = file.schema_arrow.names if names is None else names
        lacking = sorted(set(wanted) - set(file.schema_arrow.names))
        if lacking:
            raise BadInputError(
                f"{path}: column {lacking[0]!r} is missing; the file has {file.schema_arrow.names[:6]} …"
            )
        table = file.read(columns=wanted, use_threads=False)
    except FileNotFoundError:
        raise BadInputError(f"{path}: no such file; name a Parquet file of the trace") from None
    except ArrowException as fault:
        raise BadInputError(f"{path}: not a readable Parquet file ({fault}); fetch it again") from None
    except OSError as fault:
        raise OutsideWorldError(f"{path}: cannot be read ({fault})") from None
    return {name: table.column(name).to_numpy() for name in wanted}


def read_planetlab(path: Path) -> PlanetlabDay:
    """A day of PlanetLab, VMs in the order of the file.

    Args:
        path: Parquet with ``vm`` and ``s000`` … of percent, one row per VM.
    """
    columns = _columns(path)
    samples = sorted(name for name in columns if name[0] == "s" and name[1:].isdigit())
    if "vm" not in columns or len(samples) < 3:
        raise BadInputError(f"{path}: no column 'vm' or fewer than three samples 's000' …; is it a PlanetLab day?")
    percent = np.column_stack([columns[name].astype(np.int8) for name in samples])
    if percent.min() < 0 or percent.max() > 100:
        raise BadInputError(f"{path}: CPU from {percent.min()} to {percent.max()} %; percent must lie in 0..100")
    return PlanetlabDay(vms=tuple(str(name) for name in columns["vm"]), percent=percent)


def read_bitbrains(path: Path) -> BitbrainsMonth:
    """The Bitbrains month; capacities are series, since many VMs are resized.

    Args:
        path: Parquet with ``vm``, ``step``, ``cpu_mhz``, ``cpu_cap_mhz``, ``mem_mb``, ``mem_cap_mb``, ``cores``.
    """
    names = ["cpu_mhz", "cpu_cap_mhz", "mem_mb", "mem_cap_mb", "cores"]
    columns = _columns(path, ["vm", "step", *names])
    vms, place = np.unique(columns["vm"].astype(np.int64), return_inverse=True)
    steps = columns["step"].astype(np.int64)
    grids = []
    for name in names:
        grid = np.full((int(steps.max()) + 1, len(vms)), np.nan)
        values = columns[name].astype(np.float64)
        grid[steps, place] = np.where(values == MISSING, np.nan, values)
        grids.append(grid)
    cpu, cap, memory, memory_cap, cores = grids
    return BitbrainsMonth(
        vms=vms, cpu_mhz=cpu, cpu_cap_mhz=cap, memory_mb=memory, memory_cap_mb=memory_cap, cores=cores
    )
