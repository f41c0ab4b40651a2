"""The twin's run, with what neighbouring runs have in common done once: sun on the facades, and the hosts.

The hosts do not depend on the building's parameters, so all members of an ensemble share one run of them; a policy
that leaves the hosts alone shares it with its baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from twin.building.model import Sun, sun_on
from twin.building.parameters import Parameters
from twin.drivers import Drivers, Weather
from twin.policy import Policy
from twin.result import ComputeResult, RunResult
from twin.run import Case, hosts_of, simulate, simulate_together
from twin.site import Site

T = TypeVar("T")


KEPT = 4


class Latest:
    """The values made last, by key; keys are compared by identity of their objects, which stay alive here."""

    def __init__(self) -> None:
        self._kept: list[tuple[tuple[object, ...], object]] = []

    def get(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        """The value of a key, made when it is none of the last few."""
        for known, value in self._kept:
            if _same(known, key):
                return cast("T", value)
        made = make()
        self._kept = [(key, made), *self._kept[: KEPT - 1]]
        return made


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return len(one) == len(other) and all(
        a is b or (not isinstance(a, Site | Drivers | Weather) and a == b) for a, b in zip(one, other, strict=True)
    )


_SUN, _HOSTS = Latest(), Latest()


def simulate_sharing(site: Site, parameters: object, drivers: Drivers, policy: Policy, *, seed: int) -> RunResult:
    """As ``twin.run.simulate``, and bit for bit the same whatever ran before."""
    hosts = _hosts(site, drivers, policy, seed)
    known = cast("Parameters", parameters)
    return simulate(site, known, drivers, policy, seed=seed, sun=_sun(site, drivers), hosts=hosts)


def simulate_eight(site: Site, runs: Sequence[tuple[object, Policy, int]], drivers: Drivers) -> Sequence[RunResult]:
    """Up to eight runs (parameters, policy, seed) at once, with the bits of ``simulate_sharing`` but without series."""
    cases = [
        Case(parameters=cast("Parameters", parameters), policy=policy, hosts=_hosts(site, drivers, policy, seed))
        for parameters, policy, seed in runs
    ]
    return simulate_together(site, cases, drivers, sun=_sun(site, drivers))


def _sun(site: Site, drivers: Drivers) -> Sun:
    return _SUN.get((site, drivers.weather, drivers.start, drivers.step_s), lambda: sun_on(site, drivers))


def _hosts(site: Site, drivers: Drivers, policy: Policy, seed: int) -> ComputeResult | None:
    of_hosts = (policy.consolidation, policy.power_down_idle_hosts, policy.headroom)
    return _HOSTS.get((site, drivers, of_hosts, seed), lambda: hosts_of(site, drivers, policy, seed=seed))
