"""The planner starts from what hosts show: moved, resized, strange, stopped and doubtful VMs, hosts that are off."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from optimizer.packing import emptied, repacked
from twin.compute.live import LiveHost, LivePlacement, LiveSite, LiveVm, PlacementMemory, live_site, together
from twin.site import Host, HostType, Location, Site, Vm

TYPE = HostType(name="t", cores=8, core_mips=1000.0, ram_mb=16_000.0, power_w=tuple(100.0 + 10 * i for i in range(11)))
SITE = Site(
    name="office",
    time_zone=ZoneInfo("UTC"),
    location=Location(latitude_deg=42.0, longitude_deg=-88.0),
    zones=(),
    host_types=(TYPE,),
    hosts=tuple(Host(id=f"h{i}", type="t") for i in (1, 2, 3)),
    vms=tuple(Vm(id=f"v{i}", vcpus=2, mips=2000.0, ram_mb=4000.0, host=f"h{i}") for i in (1, 2, 3)),
)
HOSTS = tuple(LiveHost(id=f"h{i}", cores=8, core_mips=1000.0, ram_mb=16_000.0) for i in (1, 2, 3))


def vm(name: str, host: str, **facts: object) -> LiveVm:
    return LiveVm(**{"id": name, "host": host, "running": True, "vcpus": 2, "ram_mb": 4000.0, **facts})


STANDING = LivePlacement(hosts=HOSTS, vms=(vm("v1", "h1"), vm("v2", "h2"), vm("v3", "h3")))


def seen(**changes: object) -> LiveSite:
    return live_site(SITE, replace(STANDING, **changes))


def told(found: LiveSite) -> tuple[str, ...]:
    return tuple(map(str, found.notes))


def with_vm(other: LiveVm) -> tuple[LiveVm, ...]:
    return (*(one for one in STANDING.vms if one.id != other.id), other)


def test_a_world_that_is_as_the_file_says_changes_nothing() -> None:
    found = seen()
    assert (found.site, found.columns, found.notes) == (SITE, (0, 1, 2), ())


def test_a_vm_that_somebody_moved_or_resized_is_planned_as_it_stands() -> None:
    found = seen(vms=with_vm(vm("v1", "h3", vcpus=4, ram_mb=2000.0)))
    v1 = found.site.vms[0]
    assert (v1.host, v1.vcpus, v1.mips, v1.ram_mb) == ("h3", 4, 4000.0, 2000.0)
    assert told(found) == ("v1 is on h3, not on h1 as the site file says",)


def test_consolidation_starts_where_the_vms_stand_now() -> None:
    """By the file h1 holds v1; someone has emptied it, so h2 is what is left to empty."""
    found = seen(vms=with_vm(vm("v1", "h3")))
    packed = repacked(found.site, np.full(3, 0.5), headroom=0.4)
    assert emptied(packed) == ("h1", "h2")
    assert [one.host for one in packed.vms] == ["h3"] * 3


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (vm("v1", "h1", running=False), "it is off"),
        (vm("v1", "h1", stays="it is being moved", half_on=("h2",)), "it is being moved"),
    ],
)
def test_a_vm_that_may_not_move_keeps_its_host_in_use(other: LiveVm, why: str) -> None:
    found = seen(vms=with_vm(other))
    assert told(found) == (f"v1 stays on h1: {why}",)
    assert "h1" not in emptied(repacked(found.site, np.full(3, 0.1), headroom=0.1))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"silent": ("h3",), "hosts": HOSTS[:2], "vms": STANDING.vms[:2]}, "h3 cannot be asked"),
        ({"unclear": {"v1": "two copies of it are alive, at h1 and h2"}, "vms": STANDING.vms[1:]}, "two copies"),
    ],
    ids=["silent", "doubled"],
)
def test_unknown_is_not_good_so_nothing_moves(change: dict[str, object], why: str) -> None:
    found = seen(**change)
    assert why in told(found)[-1]
    assert all(one.pinned for one in found.site.vms)
    assert (len(found.site.vms), found.clear) == (3, False)


def test_a_host_that_is_switched_off_is_left_out_and_is_no_silent_host() -> None:
    found = live_site(SITE, replace(STANDING, hosts=HOSTS[:2], silent=("h3",), vms=(*STANDING.vms[:2],)), off=["h3"])
    assert [host.id for host in found.site.hosts] == ["h1", "h2"]
    assert [one.id for one in found.site.vms] == ["v1", "v2"]
    assert not any(one.pinned for one in found.site.vms)


def test_a_stranger_stays_counts_as_busy_and_keeps_its_host_on() -> None:
    found = seen(vms=(*STANDING.vms, vm("db", "h3", vcpus=4)))
    assert (found.columns, found.site.vms[3].mips, found.site.vms[3].pinned) == ((0, 1, 2, -1), 4000.0, True)
    assert found.demand(np.array([[0.1, 0.2, 0.3]])).tolist() == [[0.1, 0.2, 0.3, 1.0]]
    assert emptied(repacked(found.site, found.demand(np.full(3, 0.1)), headroom=0.3)) == ("h1", "h2")


def test_a_vm_that_nobody_has_is_left_out_with_its_demand() -> None:
    found = seen(vms=STANDING.vms[1:])
    assert found.columns == (1, 2)
    assert found.demand(np.array([0.1, 0.2, 0.3])).tolist() == [0.2, 0.3]
    assert "v1 is in the site file and on none of the hosts" in told(found)[0]


def test_memory_that_the_host_lacks_is_not_planned_with() -> None:
    found = seen(hosts=(replace(HOSTS[0], ram_mb=5000.0), *HOSTS[1:]))
    packed = repacked(found.site, np.full(3, 0.1), headroom=0.1)
    assert sum(one.host == "h1" for one in packed.vms) <= 1


def test_a_vm_is_never_planned_on_a_host_whose_cpu_lacks_its_features() -> None:
    found = seen(vms=tuple(vm(f"v{i}", f"h{i}", barred_hosts=("h1", "h2") if i == 3 else ()) for i in (1, 2, 3)))
    packed = repacked(found.site, np.full(3, 0.1), headroom=0.1)
    assert packed.vms[2].host == "h3"
    assert emptied(packed) == ("h1", "h2")


def test_groups_of_file_and_hosts_that_share_a_vm_are_joined() -> None:
    site = replace(
        SITE, vms=(replace(SITE.vms[0], anti_affinity="web"), replace(SITE.vms[1], anti_affinity="web"), SITE.vms[2])
    )
    found = live_site(site, replace(STANDING, apart=(frozenset({"v2", "v3"}),)))
    assert len({one.anti_affinity for one in found.site.vms} - {None}) == 1
    assert emptied(repacked(found.site, np.full(3, 0.1), headroom=0.1)) == ()


def test_a_host_is_counted_with_guests_on_their_way_and_not_at_all_in_doubt() -> None:
    moving = replace(STANDING, vms=with_vm(vm("v1", "h1", half_on=("h2",))))
    assert [moving.running_on(host) for host in ("h1", "h2", "h9")] == [1, 2, None]
    assert replace(moving, unclear={"v1": "twice"}).running_on("h1") is None


def test_several_connectors_are_one_placement() -> None:
    parts = [LivePlacement(hosts=(host,), vms=(one,)) for host, one in zip(HOSTS, STANDING.vms, strict=True)]
    assert together(parts) == STANDING


def test_a_memory_of_places_tells_what_changed_and_not_what_nobody_can_tell() -> None:
    memory = PlacementMemory()
    assert memory.look(STANDING) == ()
    moved = replace(STANDING, vms=with_vm(vm("v1", "h2")))
    assert [str(change) for change in memory.look(moved)] == ["v1 runs on h2; before: runs on h1"]
    assert memory.look(replace(moved, vms=moved.vms[:2], silent=("h2",))) == ()
    stopped = replace(STANDING, vms=(vm("v1", "h2", running=False), vm("v2", "h2")))
    assert [str(change) for change in memory.look(stopped)] == [
        "v1 is off at h2; before: runs on h2",
        "v3 is nowhere; before: runs on h3",
    ]
    assert [change.vm for change in memory.look(STANDING)] == ["v1", "v3"]
