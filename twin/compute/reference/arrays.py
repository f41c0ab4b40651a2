"""Array state of a reference run, in the order CloudSim keeps its lists."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Flags = NDArray[np.bool_]

HISTORY = 30


class Facts(NamedTuple):
    """What never changes in a run."""

    trace: Array
    """Utilisation of each VM at 0, 300, … s, the last sample twice, shape (VMs, samples + 1)."""
    mips: Array
    ram_mb: Array
    pe_mips: Array
    """MIPS of one core of each host, shape (hosts,)."""
    total_mips: Array
    segments_per_mips: Array
    """Ten over ``total_mips``."""
    host_ram_mb: Array
    kind: Index
    """Type of each host, shape (hosts,); hosts of one type are alike."""
    curve_w: Array
    """Shape (hosts, 11). [W]"""


class Rule(NamedTuple):
    """Detector, selection and quirks as numbers for the kernels."""

    detector: int
    threshold: float
    fallback: float
    selection: int
    migrations: bool
    first_fit: bool
    least_rise: bool
    idle_vms_vanish: bool
    memory_ignored: bool
    empty_hosts_are_free: bool
    violation_during_copy: bool
    doubles_counted: bool


class State(NamedTuple):
    """Running state; one row of ``vms`` is a host's list in order of arrival."""

    vms: NDArray[np.int32]
    incoming: Flags
    """Whether the entry is a VM that is still being copied to this host."""
    filled: Index
    host_of: Index
    alive: Flags
    copying: Flags
    demand: Array
    """Demand of each VM now, uncapped. [MIPS]"""
    past: Array
    """Utilisation at the last 30 steps, newest first, shape (VMs, 30)."""
    oldest: Index
    """Largest lag with any utilisation in ``past``, -1 where none."""
    trend: Array
    """Least-squares extrapolation of each VM's demand one step ahead. [MIPS]"""
    used_mips: Array
    """Allocated on each host as its utilisation counts it. [MIPS]"""
    asked_mips: Array
    vm_given: Array
    vm_asked: Array
    vm_was_copying: Flags
    steps: Index
    """Steps in ``past`` so far, one element."""


class Plan(NamedTuple):
    """Tentative lists and sums of one decision round."""

    vms: NDArray[np.int32]
    filled: Index
    given: Array
    """Allocated, summed in list order. [MIPS]"""
    free: Array
    asked: Array
    ram: Array
    past: Array
    """Sum of the VMs' histories over capacity, newest first, shape (hosts, 30); valid where ``past_known``."""
    past_known: Flags
    oldest: Index
    trend: Array
    power: Array
    """Power at the utilisation of the last recomputation. [W]"""
    used: Array
    """That utilisation."""
    closed: Flags
    """Hosts that may not receive."""
    picked: Flags
    """Hosts that may not be emptied."""
    queue: Index
    """VMs to place, in order."""
    sort_key: Array
    move_vm: Index
    move_host: Index
    scratch: Array
    """Shape (2, 30)."""
    dice: Array
    """Uniform random numbers for random selection."""
    thrown: Index
    """How many of them are used, one element."""


class Books(NamedTuple):
    """Accumulators; one-element arrays so that kernels can write to them."""

    energy_j: Array
    host_active_s: Array
    host_short_s: Array
    asked: Array
    given: Array
    lost: Array
    short_sum: Array
    short_count: Array
    migrations: Index
    shutdowns: Index
    active: Flags
    series: Array
    """Shape (steps, 6): time, energy so far [J], active hosts, migrations so far, VMs alive, allocated MIPS."""


def new_state(vms: int, hosts: int, width: int) -> State:
    """State before anything is placed."""
    return State(
        vms=np.zeros((hosts, width), np.int32),
        incoming=np.zeros((hosts, width), np.bool_),
        filled=np.zeros(hosts, np.int64),
        host_of=np.full(vms, -1, np.int64),
        alive=np.ones(vms, np.bool_),
        copying=np.zeros(vms, np.bool_),
        demand=np.zeros(vms),
        past=np.zeros((vms, HISTORY)),
        oldest=np.full(vms, -1, np.int64),
        trend=np.zeros(vms),
        used_mips=np.zeros(hosts),
        asked_mips=np.zeros(hosts),
        vm_given=np.zeros(vms),
        vm_asked=np.zeros(vms),
        vm_was_copying=np.zeros(vms, np.bool_),
        steps=np.zeros(1, np.int64),
    )


def new_plan(vms: int, hosts: int, width: int, dice: Array) -> Plan:
    """Room for the decisions of a round."""
    return Plan(
        vms=np.zeros((hosts, width), np.int32),
        filled=np.zeros(hosts, np.int64),
        given=np.zeros(hosts),
        free=np.zeros(hosts),
        asked=np.zeros(hosts),
        ram=np.zeros(hosts),
        past=np.zeros((hosts, HISTORY)),
        past_known=np.zeros(hosts, np.bool_),
        oldest=np.zeros(hosts, np.int64),
        trend=np.zeros(hosts),
        power=np.zeros(hosts),
        used=np.zeros(hosts),
        closed=np.zeros(hosts, np.bool_),
        picked=np.zeros(hosts, np.bool_),
        queue=np.zeros(vms, np.int64),
        sort_key=np.zeros(vms),
        move_vm=np.zeros(3 * vms, np.int64),
        move_host=np.zeros(3 * vms, np.int64),
        scratch=np.zeros((2, HISTORY)),
        dice=dice,
        thrown=np.zeros(1, np.int64),
    )


def new_books(steps: int, hosts: int) -> Books:
    """Empty books."""
    return Books(
        energy_j=np.zeros(1),
        host_active_s=np.zeros(1),
        host_short_s=np.zeros(1),
        asked=np.zeros(1),
        given=np.zeros(1),
        lost=np.zeros(1),
        short_sum=np.zeros(1),
        short_count=np.zeros(1),
        migrations=np.zeros(1, np.int64),
        shutdowns=np.zeros(1, np.int64),
        active=np.ones(hosts, np.bool_),
        series=np.zeros((steps, 6)),
    )
