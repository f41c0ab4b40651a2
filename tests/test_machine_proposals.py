"""Hosts and VMs are proposed from what hypervisors show, as a site file that can be checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from connectors.host_types import read_host_types
from connectors.machine_proposals import machine_fragment, propose_machines
from connectors.settings import load_site
from connectors.settings.template import TEMPLATE
from twin.compute.live import LiveHost, LivePlacement, LiveVm
from twin.errors import BadInputError

SERVERS = read_host_types(Path(__file__).parents[1] / "data" / "host_types.csv")
HOSTS = tuple(LiveHost(id=f"h{i}", cores=80, core_mips=2250.0 + i, ram_mb=393_000.4) for i in (1, 2))


def vm(name: str, **facts: object) -> LiveVm:
    return LiveVm(**{"id": name, "host": "h1", "running": True, "vcpus": 2, "ram_mb": 4096.0, **facts})


LIVE = LivePlacement(
    hosts=HOSTS,
    vms=(
        vm("web-1"),
        vm("web-2", host="h2", barred_hosts=("h1",)),
        vm("db", stays="it is pinned to its host", pinned=True),
        vm("odd name: {x}\n- z"),
    ),
    silent=("h3",),
    apart=(frozenset({"web-1", "web-2"}), frozenset({"web-2", "db"})),
)


def test_alike_hosts_share_a_type_with_the_curve_of_a_published_server() -> None:
    found = propose_machines(LIVE, SERVERS)
    assert [(kind.cores, kind.core_mips, kind.ram_mb) for kind in found.host_types] == [(80, 2252.0, 393_000.0)]
    assert {host.type for host in found.hosts} == {"host-80c-384g"}
    published = {server.type.power_w for server in SERVERS if server.type.cores == 80}
    assert found.host_types[0].power_w in published


def test_rules_of_the_connector_become_rules_of_the_site() -> None:
    vms = {one.id: one for one in propose_machines(LIVE, SERVERS).vms}
    assert {one.anti_affinity for one in vms.values()} == {"apart-1"}
    assert (vms["db"].pinned, vms["web-1"].pinned, vms["web-2"].barred_hosts) == (True, False, ("h1",))
    assert vms["web-1"].mips == 2 * 2252.0


def test_the_only_room_of_a_site_is_where_its_hosts_stand() -> None:
    assert {host.zone for host in propose_machines(LIVE, SERVERS, ["closet"]).hosts} == {"closet"}
    found = propose_machines(LIVE, SERVERS, ["a", "b"])
    assert {host.zone for host in found.hosts} == {None}
    assert "zone" in found.remarks[0]


def test_what_is_missing_or_cannot_be_named_is_said() -> None:
    remarks = propose_machines(LIVE, SERVERS).remarks
    assert [remark.split()[0] for remark in remarks] == ["give", "h3", "db", "'odd"]
    assert all("\n" not in remark for remark in remarks)


def test_the_fragment_fits_into_a_site_file(tmp_path: Path) -> None:
    text = machine_fragment(propose_machines(LIVE, SERVERS), "cloud")
    assert set(YAML(typ="safe").load(text)) == {"host_types", "hosts", "vms", "sources"}
    machines, _, source = text.partition("sources:\n")
    head, _, _ = TEMPLATE.partition("\nsources:")
    connector = "connectors:\n  cloud: {type: libvirt, hosts: {h1: {uri: qemu+tcp://h1/system}}}\n"
    (tmp_path / "site.yaml").write_text(f"{head}\n{machines}sources:\n{source}{connector}")
    found = load_site(tmp_path / "site.yaml")
    assert [one.id for one in found.site.vms] == ["web-1", "web-2", "db"]
    assert {point.of for point in found.site.points} == {"web-1", "web-2", "db"}


def test_without_a_host_that_answers_nothing_is_proposed() -> None:
    with pytest.raises(BadInputError, match="silent: h3"):
        propose_machines(LivePlacement(silent=("h3",)), SERVERS)
