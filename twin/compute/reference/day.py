"""A day of the reference experiment: 800 old servers, four sizes of VM, one utilisation trace each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.compute.reference.arrays import Array, Books, Facts, Rule, new_books, new_plan, new_state
from twin.compute.reference.profile import DETECTORS, NO_MIGRATION, SELECTIONS, ReferencePolicy
from twin.errors import BadInputError
from twin.streams import stream
from twin.units import JOULES_PER_KWH

VM_MIPS = (2500.0, 2000.0, 1000.0, 500.0)
VM_RAM_MB = (870.0, 1740.0, 1740.0, 613.0)
HOST_PE_MIPS = (1860.0, 2660.0)
HOST_PES = 2
HOST_RAM_MB = 4096.0
HOST_CURVE_W = (
    (86.0, 89.4, 92.6, 96.0, 99.5, 102.0, 106.0, 108.0, 112.0, 114.0, 117.0),
    (93.7, 97.0, 101.0, 105.0, 110.0, 116.0, 121.0, 125.0, 129.0, 133.0, 135.0),
)
"""HP ProLiant ML110 G4 and G5. Source: SPECpower_ssj2008 results, spec.org, February 2011."""
SAMPLE_S = 300.0
FIRST_S = 0.1
FIRST_WIDTH = 64
WIDEST = 4096
DICE = 1 << 16
RANDOM = SELECTIONS["rs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceDay:
    """Measures of one day, and its series."""

    energy_kwh: float
    migrations: int
    slatah: float
    pdm: float
    overall_sla: float
    average_sla: float
    host_shutdowns: int
    time_s: Array
    energy_wh: Array
    """Energy booked before each step. [Wh]"""
    active_hosts: Array
    migrations_before: Array
    vms_alive: Array
    allocated_mips: Array

    @property
    def slav(self) -> float:
        """SLATAH × PDM."""
        return self.slatah * self.pdm

    @property
    def esv(self) -> float:
        """Energy × SLAV. [kWh]"""
        return self.energy_kwh * self.slav

    @property
    def mean_active_hosts(self) -> float:
        """Mean over the steps."""
        return float(self.active_hosts.mean())


def reference_facts(percent: NDArray[np.integer], hosts: int = 800) -> Facts:
    """Hosts and VMs of the experiment for a trace.

    Args:
        percent: CPU in percent of each VM's own capacity, row order = VM order, shape (VMs, samples).
        hosts: number of hosts, alternating between the two types.
    """
    vms = len(percent)
    kind = np.arange(vms) // max(1, -(-vms // len(VM_MIPS)))
    trace = percent.astype(np.float64) / 100.0
    host_kind = np.arange(hosts, dtype=np.int64) % len(HOST_PE_MIPS)
    return Facts(
        trace=np.ascontiguousarray(np.column_stack([trace, trace[:, -1]])),
        mips=np.array(VM_MIPS)[kind],
        ram_mb=np.array(VM_RAM_MB)[kind],
        pe_mips=np.array(HOST_PE_MIPS)[host_kind],
        total_mips=HOST_PES * np.array(HOST_PE_MIPS)[host_kind],
        segments_per_mips=10.0 / (HOST_PES * np.array(HOST_PE_MIPS)[host_kind]),
        host_ram_mb=np.full(hosts, HOST_RAM_MB),
        kind=host_kind,
        curve_w=np.ascontiguousarray(np.array(HOST_CURVE_W)[host_kind]),
    )


def _rule(policy: ReferencePolicy) -> Rule:
    quirks = policy.quirks
    moves = policy.overload not in NO_MIGRATION
    return Rule(
        detector=DETECTORS.get(policy.overload, 0),
        threshold=policy.limit,
        fallback=policy.fallback,
        selection=SELECTIONS[policy.selection],
        migrations=moves,
        first_fit=not moves,
        least_rise=policy.placement == "least_rise",
        idle_vms_vanish=quirks.idle_vms_vanish,
        memory_ignored=quirks.memory_ignored,
        empty_hosts_are_free=quirks.empty_hosts_are_free,
        violation_during_copy=quirks.violation_during_copy,
        doubles_counted=quirks.doubles_counted,
    )


def least_energy_kwh(facts: Facts, demand_mips: Array, step_s: float = SAMPLE_S) -> float:
    """Energy below which no placement can serve a demand, whole VMs, memory and moves left aside. [kWh]

    Every MIPS costs at least the least watts per MIPS of any host at any load, so a fluid spread over hosts at that
    point is a lower bound. Demand is taken as linear between steps, as the experiment does.

    Args:
        facts: hosts.
        demand_mips: demand of all VMs at each step, shape (steps,). [MIPS]
        step_s: time between steps. [s]
    """
    loads = np.arange(1, 11) / 10.0
    least_w_per_mips = float((facts.curve_w[:, 1:] / (loads * facts.total_mips[:, None])).min())
    work = float(((demand_mips[1:] + demand_mips[:-1]) / 2.0).sum()) * step_s
    return least_w_per_mips * work / JOULES_PER_KWH


def _run(facts: Facts, rule: Rule, seed: int) -> Books:
    from twin.compute.reference.kernel import LIST_FULL, OK, run

    vms, hosts, steps = len(facts.mips), len(facts.pe_mips), facts.trace.shape[1] - 2
    dice = stream(seed, "vm-selection").random(DICE if rule.selection == RANDOM else 1)
    width = FIRST_WIDTH
    while width <= WIDEST:
        books = new_books(steps, hosts)
        state, plan = new_state(vms, hosts, width), new_plan(vms, hosts, width, dice)
        status = run(facts, rule, state, plan, books, np.unique(facts.ram_mb))
        if status == OK:
            return books
        if status != LIST_FULL:
            break
        width *= 4
    raise BadInputError(f"{vms} VMs do not fit on {hosts} hosts at the start; add hosts")


def _without_power_management(facts: Facts, books: Books) -> None:
    """Every host at full power from the beginning to the last step, as the experiment's NPA baseline has it."""
    books.energy_j[0] = facts.curve_w[:, -1].sum() * books.series[-1, 0]


def run_reference_day(
    percent: NDArray[np.integer], policy: ReferencePolicy, hosts: int = 800, facts: Facts | None = None
) -> ReferenceDay:
    """Run one day of the experiment.

    Args:
        percent: CPU in percent of each VM's own capacity, in file order, shape (VMs, samples).
        policy: what decides.
        hosts: number of hosts.
        facts: other hosts and VMs than the experiment's.
    """
    of = reference_facts(percent, hosts) if facts is None else facts
    books = _run(of, _rule(policy), policy.seed)
    if policy.overload == "npa":
        _without_power_management(of, books)
    return _day(books)


def _share(part: Array, whole: Array) -> float:
    return float(part[0] / whole[0]) if whole[0] > 0.0 else 0.0


def _day(books: Books) -> ReferenceDay:
    time, energy, active, moves, alive, mips = books.series.T
    return ReferenceDay(
        energy_kwh=float(books.energy_j[0] / JOULES_PER_KWH),
        migrations=int(books.migrations[0]),
        slatah=_share(books.host_short_s, books.host_active_s),
        pdm=_share(books.lost, books.asked),
        overall_sla=_share(books.asked - books.given, books.asked),
        average_sla=_share(books.short_sum, books.short_count),
        host_shutdowns=int(books.shutdowns[0]),
        time_s=time,
        energy_wh=energy / (JOULES_PER_KWH / 1000.0),
        active_hosts=active,
        migrations_before=moves,
        vms_alive=alive,
        allocated_mips=mips,
    )
