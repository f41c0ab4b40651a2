"""Simulated hosts and VMs behind the connector contract: live migration and power with the constraints of real ones.

A point has one value for all parties here (``vm/<id>/host``, ``host/<id>/power``): nothing can be relinquished, so a
release restores the prior value, and only while the world still shows ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from connectors.simulated.building import load, save
from twin.compute.live import LiveHost, LivePlacement, LiveVm
from twin.errors import RefusedError
from twin.plan import Action, ActionKind, Capability, Check, CheckVerdict, PointId, Quality, Reading, Receipt, Value
from twin.plans.guardrails import envelope_faults
from twin.ports import Clock
from twin.site import Host, HostType, Vm
from twin.text.canonical import plain

_MIGRATE, _ON, _OFF = ActionKind.LIVE_MIGRATE, ActionKind.POWER_ON_HOST, ActionKind.POWER_OFF_HOST
_REFUSED = CheckVerdict.REFUSED


class SimulatedHosts:
    """A cluster: where each VM runs, which hosts are on, who holds what."""

    capabilities = frozenset({Capability.READ, Capability.WRITE, Capability.MIGRATE, Capability.POWER})

    def __init__(
        self,
        name: str,
        hosts: Sequence[Host],
        types: Sequence[HostType],
        vms: Sequence[Vm],
        clock: Clock,
        *,
        state_file: Path | None = None,
        on_change: Callable[[Mapping[str, float]], None] | None = None,
        cpu_demand_mips: Callable[[str], float] | None = None,
    ) -> None:
        self.name = name
        self._clock = clock
        self._hosts = {host.id: host for host in hosts}
        self._types = {kind.name: kind for kind in types}
        self._vms = {vm.id: vm for vm in vms}
        self._file = state_file
        self._on_change = on_change
        self._demand = cpu_demand_mips or (lambda _: 0.0)
        self._state: dict[PointId, Value] = {f"host/{host.id}/power": "on" for host in hosts}
        self._state |= {f"vm/{vm.id}/host": vm.host or hosts[0].id for vm in vms}
        self.look()
        self._held: set[PointId] = set()

    def look(self) -> None:
        """Takes in what other processes changed in the state file."""
        stored = load(self._file) if self._file is not None else {}
        self._state |= {str(p): v for p, v in stored.items() if isinstance(v, str | float)}

    def points(self) -> tuple[PointId, ...]:
        """All points, sorted."""
        return tuple(sorted(self._state))

    def read(self, points: Sequence[PointId]) -> Sequence[Reading]:
        """Where a VM runs, or whether a host is on."""
        now = self._clock.now()
        return [
            Reading(
                point=point,
                value=self._state.get(point),
                at=now,
                quality=Quality.GOOD if point in self._state else Quality.BAD,
                held_by="operator" if point in self._held else None,
            )
            for point in points
        ]

    def placement(self) -> Mapping[str, str]:
        """VM → host."""
        return {vm: str(self._state[f"vm/{vm}/host"]) for vm in self._vms}

    def live_placement(self) -> LivePlacement:
        """Hosts that are on and where each VM runs; one that an operator holds stays."""
        types = {name: self._types[host.type] for name, host in self._hosts.items()}
        return LivePlacement(
            hosts=tuple(
                LiveHost(id=name, cores=kind.cores, core_mips=kind.core_mips, ram_mb=kind.ram_mb)
                for name, kind in types.items()
                if self.is_on(name)
            ),
            vms=tuple(
                LiveVm(
                    id=vm.id,
                    host=str(self._state[f"vm/{vm.id}/host"]),
                    running=True,
                    vcpus=vm.vcpus,
                    ram_mb=vm.ram_mb,
                    stays="an operator holds it" if f"vm/{vm.id}/host" in self._held else "",
                )
                for vm in self._vms.values()
            ),
        )

    def is_on(self, host: str) -> bool:
        """Whether a host is powered."""
        return self._state.get(f"host/{host}/power") == "on"

    def power_w(self) -> Mapping[str, float]:
        """Electric power of each host from its curve and the demand of its VMs. [W]"""
        return {host: self._host_power_w(host, share) for host, share in self.cpu_utilization().items()}

    def cpu_utilization(self) -> Mapping[str, float]:
        """Share of each host's CPU that its VMs ask for, at most 1."""
        load_mips = dict.fromkeys(self._hosts, 0.0)
        for vm, host in self.placement().items():
            load_mips[host] += min(self._demand(vm), self._vms[vm].mips)
        kinds = {host: self._types[self._hosts[host].type] for host in load_mips}
        return {host: min(1.0, mips / (kinds[host].cores * kinds[host].core_mips)) for host, mips in load_mips.items()}

    def _host_power_w(self, host: str, share: float) -> float:
        kind = self._types[self._hosts[host].type]
        if not self.is_on(host):
            return kind.sleep_power_w
        steps = len(kind.power_w) - 1
        where = share * steps
        low = min(int(where), steps - 1)
        return kind.power_w[low] + (where - low) * (kind.power_w[low + 1] - kind.power_w[low])

    # ---- contract ----------------------------------------------------------------------------------------------

    def check(self, action: Action) -> Check:
        """Whether the move fits memory, rules and power states now."""
        if faults := envelope_faults(action):
            return Check(verdict=_REFUSED, reason="; ".join(faults))
        if action.point not in self._state:
            return Check(verdict=_REFUSED, reason=f"{self.name} has no point {action.point}")
        if self._state[action.point] == action.value:
            return Check(verdict=CheckVerdict.ALREADY_DONE)
        if action.point in self._held:
            return Check(verdict=_REFUSED, reason=f"{action.point} is held by an operator")
        thing = action.point.split("/")[1]
        rules = {_MIGRATE: self._migration_fault, _ON: self._no_fault, _OFF: self._power_off_fault}
        if action.kind not in rules:
            return Check(verdict=_REFUSED, reason=f"{self.name} cannot {action.kind}")
        fault = rules[action.kind](thing, str(action.value))
        return Check(verdict=_REFUSED if fault else CheckVerdict.READY, reason=fault)

    def _no_fault(self, _: str, __: str) -> str:
        return ""

    def _power_off_fault(self, host: str, _: str) -> str:
        running = sorted(vm for vm, where in self.placement().items() if where == host)
        return f"host {host} still runs {', '.join(running)}" if running else ""

    def _migration_fault(self, vm: str, to: str) -> str:
        if to not in self._hosts:
            return f"{to} is no host of {self.name}"
        if not self.is_on(to):
            return f"host {to} is off"
        if self._vms[vm].pinned:
            return f"{vm} is pinned to its host"
        others = [self._vms[v] for v, where in self.placement().items() if where == to and v != vm]
        free_mb = self._types[self._hosts[to].type].ram_mb - sum(other.ram_mb for other in others)
        if self._vms[vm].ram_mb > free_mb:
            return f"host {to} has {free_mb:.0f} MB free, {vm} needs {self._vms[vm].ram_mb:.0f} MB"
        group = self._vms[vm].anti_affinity
        if group is not None and any(other.anti_affinity == group for other in others):
            return f"host {to} already runs a VM of the anti-affinity group {group}"
        return ""

    def apply(self, action: Action) -> Receipt:
        """Migrates or switches; what it finds done already stays so."""
        check = self.check(action)
        if check.verdict is _REFUSED:
            raise RefusedError(check.reason)
        prior = self._state[action.point]
        self._put(action.point, action.value)
        return Receipt(
            action_id=action.id,
            connector=self.name,
            kind=action.kind,
            point=action.point,
            value=action.value,
            prior=prior,
            prior_held_by="operator" if action.point in self._held else None,
        )

    def release(self, receipt: Receipt) -> None:
        """Restores the prior value when the world still shows ours and nobody holds the point.

        Raises:
            RefusedError: the way back is blocked, for instance the source host is full.
        """
        if receipt.prior is None or self._state.get(receipt.point) != receipt.value or receipt.point in self._held:
            return
        back = {_ON: _OFF, _OFF: _ON}.get(receipt.kind, receipt.kind)
        action = Action(
            id=f"{receipt.action_id}-back",
            kind=back,
            connector=self.name,
            point=receipt.point,
            value=receipt.prior,
            expected=receipt.value,
        )
        self.apply(action)

    def _put(self, point: PointId, value: Value) -> None:
        self._state[point] = value
        if self._file is not None:
            save(self._file, plain(self._state))
        if self._on_change is not None:
            self._on_change(self.power_w())

    # ---- what others do at the site ----------------------------------------------------------------------------

    def operate(self, point: PointId, value: Value | None) -> None:
        """An operator moves or switches something by hand and holds it; None lets it go."""
        if value is None:
            self._held.discard(point)
            return
        self._held.add(point)
        self._put(point, value)
