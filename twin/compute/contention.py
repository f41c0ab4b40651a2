"""Sharing of CPU on hosts, and the books of energy, shortfall and response time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.compute.fleet import Array, Fleet, Index
from twin.compute.latency import response_ms, weighted_percentile
from twin.compute.migration import CORES_BUSY_COPYING, PERFORMANCE_LOSS
from twin.compute.power import power_w

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Demand and state of hosts that hold for a while."""

    demand_mips: Array
    host_of: Index
    vm_ram_mb: Array
    awake: Flags
    waking: Flags
    copying: Index
    """VMs under live migration, with the two hosts of each beside it."""
    sources: Index
    targets: Index


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Means over a step, shape (hosts,) each."""

    power_w: Array
    on: Array
    utilization: Array
    latency_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Measures of a whole run."""

    slatah: float
    pdm: float
    latency_p95_ms: float


def granted_share(asked: Array, capacity: Array) -> Array:
    """Share of what VMs ask for that each host can give; all are cut alike where there is not enough.

    The same holds for memory, our assumption for hosts that are over-committed by policy: a VM whose pages are out of
    memory to a part waits for them in that part of its time.
    """
    return np.minimum(1.0, capacity / np.maximum(asked, 1e-12))


class Account:
    """Integrates energy, shortfall and response time over stretches of constant load."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._short_s = np.zeros(len(fleet.host_ids))
        self._active_s = np.zeros(len(fleet.host_ids))
        self._lost = 0.0
        self._asked = 0.0
        self._latencies: list[Array] = []
        self._weights: list[Array] = []
        self._demand = np.zeros(len(fleet.vm_ids))
        self._clear()

    def _clear(self) -> None:
        hosts = len(self._fleet.host_ids)
        self._energy_j, self._on_s, self._used_s = np.zeros(hosts), np.zeros(hosts), np.zeros(hosts)
        self._latency_sum = self._latency_weight = 0.0

    def add(self, load: Load, seconds: float) -> None:
        """Book a stretch of time in which nothing changes."""
        fleet, hosts = self._fleet, len(self._fleet.host_ids)
        placed = load.host_of >= 0
        where, demand = load.host_of[placed], load.demand_mips[placed]
        asked: Array = np.zeros(hosts) + np.bincount(where, weights=demand, minlength=hosts)
        for end in (load.sources, load.targets):
            np.add.at(asked, end, CORES_BUSY_COPYING * fleet.core_mips[end])
        capacity = fleet.capacity_mips
        share = granted_share(asked, capacity)
        resident = np.zeros(hosts) + np.bincount(where, weights=load.vm_ram_mb[placed], minlength=hosts)
        share = np.minimum(share, granted_share(resident, fleet.ram_mb))
        used = np.minimum(asked / capacity, 1.0)
        self._book_power(load, used, seconds)
        active = load.awake & (asked > 0.0)
        self._active_s += seconds * active
        self._short_s += seconds * (active & (share < 1.0))
        self._asked += float(demand.sum()) * seconds
        moving = load.demand_mips[load.copying] * share[load.sources]
        self._lost += PERFORMANCE_LOSS * float(moving.sum()) * seconds
        self._demand = load.demand_mips
        self._book_latency(response_ms(asked / capacity, fleet.cores)[where], demand * seconds)

    def _book_power(self, load: Load, used: Array, seconds: float) -> None:
        fleet = self._fleet
        idle = np.where(load.waking, fleet.wake_j / np.maximum(fleet.wake_s, 1e-9), fleet.sleep_w)
        self._energy_j += seconds * np.where(load.awake, power_w(fleet.curve_w, used), idle)
        self._on_s += seconds * load.awake
        self._used_s += seconds * used * load.awake

    def _book_latency(self, latency_ms: Array, weight: Array) -> None:
        self._latencies.append(latency_ms.astype(np.float32))
        self._weights.append(weight.astype(np.float32))
        self._latency_sum += float(latency_ms @ weight)
        self._latency_weight += float(weight.sum())

    def pause(self, vm: int, seconds: float) -> None:
        """Book the pause at the end of a live migration: the VM gets nothing."""
        self._lost += float(self._demand[vm]) * seconds

    def take(self, step_s: float) -> Means:
        """Means since the last call, over a step of this length."""
        latency = self._latency_sum / self._latency_weight if self._latency_weight > 0.0 else 0.0
        means = Means(
            power_w=self._energy_j / step_s,
            on=self._on_s / step_s,
            utilization=self._used_s / step_s,
            latency_ms=latency,
        )
        self._clear()
        return means

    def totals(self) -> Totals:
        """Measures over everything booked so far."""
        active = self._active_s > 0.0
        slatah = float((self._short_s[active] / self._active_s[active]).mean()) if active.any() else 0.0
        latency = np.concatenate(self._latencies) if self._latencies else np.zeros(0)
        weight = np.concatenate(self._weights) if self._weights else np.zeros(0)
        return Totals(
            slatah=slatah,
            pdm=self._lost / self._asked if self._asked > 0.0 else 0.0,
            latency_p95_ms=weighted_percentile(latency.astype(np.float64), weight.astype(np.float64), 0.95),
        )
