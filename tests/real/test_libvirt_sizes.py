"""Sizes and power states of a real Linux guest, which has the driver of a memory balloon, and of one that has none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

pytest.importorskip("libvirt")

from libvirt_moves import settings, to_host, unbroken
from peers import require_linux_guest, rig_cluster, wait_until

from connectors.libvirt_hosts.connector import LibvirtConnector
from twin.errors import OutsideWorldError, RefusedError
from twin.plan import Action, ActionKind, Receipt

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
MIB = 1024.0**2


@pytest.fixture(scope="module")
def linux_rig() -> Iterator:
    """Two hosts; l1 runs Linux with 128 MiB, g1 has no driver of anything."""
    require_linux_guest()
    cluster = rig_cluster().up(hosts=2, guests=1, mem=32, linux=1)
    wait_until(lambda: "usable" in memory(cluster), 20.0, "the guest to tell of its memory")
    yield cluster
    cluster.down()


@pytest.fixture
def cloud(linux_rig) -> Iterator[LibvirtConnector]:
    made = LibvirtConnector("cloud", replace(settings(linux_rig), guests=["l1", "g1"], shutdown_s=20.0))
    yield made
    made.close()


def memory(rig) -> dict[str, int]:
    """What the guest itself tells of its memory. [KiB]"""
    host = rig.where("l1")[0]
    return {name: int(kib) for name, kib in map(str.split, rig.virsh(host, "dommemstat", "l1").stdout.splitlines())}


def wanted(kind: ActionKind, field: str, value: float | str, guest: str = "l1") -> Action:
    return Action(
        id=f"{kind} {guest}", kind=kind, connector="cloud", point=f"vm/{guest}/{field}", value=value, expected=None
    )


def set_memory(connector: LibvirtConnector, memory_bytes: float, guest: str = "l1") -> Receipt:
    return connector.apply(wanted(ActionKind.RESIZE_VM, "memory_bytes", memory_bytes, guest))


def test_memory_is_taken_from_the_guest_stays_taken_through_a_move_and_is_given_back(linux_rig, cloud) -> None:
    had = memory(linux_rig)["available"]
    receipt = set_memory(cloud, 100 * MIB)
    assert cloud.read(["vm/l1/memory_bytes"])[0].value == 100 * MIB
    wait_until(lambda: memory(linux_rig)["available"] < had - 20 * 1024, 5.0, "the guest to have less")
    cloud.apply(to_host("h2", "l1"))
    assert linux_rig.where("l1") == ["h2"]
    assert cloud.read(["vm/l1/memory_bytes"])[0].value == 100 * MIB
    cloud.release(receipt)
    assert cloud.read(["vm/l1/memory_bytes"])[0].value == 128 * MIB
    wait_until(lambda: memory(linux_rig)["available"] > had - 1024, 5.0, "the guest to have it back")
    unbroken(linux_rig, "l1")


@pytest.mark.parametrize(
    ("guest", "memory_bytes", "reason"),
    [
        ("l1", 48 * MIB, "would starve the guest"),
        ("l1", 100 * MIB + 1, "no whole pages"),
        ("l1", 256 * MIB, "the guest's maximum"),
        ("g1", 24 * MIB, "does not tell what memory it can spare"),
    ],
    ids=["starving", "pages", "maximum", "no driver"],
)
def test_a_size_that_the_guest_cannot_have_is_refused_beforehand(
    linux_rig, cloud, guest: str, memory_bytes: float, reason: str
) -> None:
    before = cloud.read([f"vm/{guest}/memory_bytes"])[0].value
    with pytest.raises(RefusedError, match=reason):
        set_memory(cloud, memory_bytes, guest)
    assert cloud.read([f"vm/{guest}/memory_bytes"])[0].value == before


def test_memory_that_the_guest_does_not_give_is_an_error_and_asked_for_no_longer(linux_rig, cloud, monkeypatch) -> None:
    """The guest has no driver, and our own refusal is switched off."""
    monkeypatch.setattr("connectors.libvirt_hosts.lifecycle.memory_fault", lambda *_: "")
    with pytest.raises(OutsideWorldError, match=r"shows 32768 KiB of memory, not 24576"):
        set_memory(cloud, 24 * MIB, "g1")
    assert cloud.read(["vm/g1/memory_bytes"])[0].value == 32 * MIB


def test_the_guest_sees_a_vcpu_that_is_plugged(linux_rig, cloud) -> None:
    cloud.apply(wanted(ActionKind.RESIZE_VM, "vcpus", 3.0))
    assert cloud.read(["vm/l1/vcpus"])[0].value == 3.0
    console = linux_rig.dir / "shared" / "l1.tty"
    wait_until(lambda: "cpus 0-2" in console.read_text(errors="replace"), 10.0, "the guest to use it")


def test_a_saved_guest_goes_on_where_it_was_and_one_that_is_asked_shuts_itself_down(linux_rig, cloud) -> None:
    saved = cloud.apply(wanted(ActionKind.SHUT_DOWN_VM, "state", "saved"))
    assert linux_rig.where("l1") == []
    assert cloud.read(["vm/l1/state"])[0].value == "saved"
    cloud.release(saved)
    unbroken(linux_rig, "l1")
    cloud.apply(wanted(ActionKind.SHUT_DOWN_VM, "state", "shut_off"))
    assert linux_rig.where("l1") == []
    assert "Power down" in (linux_rig.dir / "shared" / "l1.tty").read_text(errors="replace")
