"""Connectors of one site ask each other: who switches hosts asks who knows the VMs, and the other way round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("libvirt")
pytest.importorskip("httpx2")

from connectors.change_control import SystemClock
from connectors.settings import load_site
from twin.cli.carriers import carriers
from twin.cli.machines import live_machines, power_of
from twin.cli.worlds import build_connectors
from twin.errors import RefusedError

SITE = """
schema_version: 1
name: closet
time_zone: UTC
location: {latitude_deg: 42, longitude_deg: -88}
zones: [{id: room, floor: 0, floor_area_m2: 60, conditioned: false}]
host_types:
  - {name: t, cores: 8, core_mips: 1000, ram_mb: 16000, power_w: [50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100]}
hosts: [{id: h1, type: t}, {id: h2, type: t}]
vms:
  - {id: v1, vcpus: 2, mips: 2000, ram_mb: 4000, host: h1}
  - {id: v2, vcpus: 2, mips: 2000, ram_mb: 4000, host: h1}
connectors:
  vms: {type: simulated_hosts}
  cloud: {type: libvirt, hosts: {far: {uri: "qemu+unix:///system?socket=/nowhere"}}, timeout_s: 2}
  bmc: {type: redfish, server: {url: "http://127.0.0.1:9", timeout_s: 1}, hosts: {h1: {system: /s/1, power: true}}}
"""


@pytest.fixture
def built(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "site.yaml").write_text(SITE)
    return dict(build_connectors(load_site(tmp_path / "site.yaml"), SystemClock(), tmp_path))


def test_who_switches_hosts_counts_the_vms_that_others_know(built: dict[str, Any]) -> None:
    assert [built["bmc"].guests_on(host) for host in ("h1", "h2")] == [2, 0]
    assert built["bmc"].guests_on("far") is None  # libvirt is configured for it and cannot ask it


def test_a_host_counts_as_fenced_when_another_connector_shows_it_off(built: dict[str, Any]) -> None:
    assert [built["cloud"].fenced(host) for host in ("h1", "far")] == [False, False]
    built["vms"].operate("host/h1/power", "off")
    assert built["cloud"].fenced("h1")


def test_the_planner_leaves_a_host_out_that_is_off_and_moves_nothing_while_another_is_silent(
    built: dict[str, Any], tmp_path: Path
) -> None:
    site = load_site(tmp_path / "site.yaml").site
    known = {name: built[name] for name in ("vms", "bmc")}
    built["vms"].operate("host/h2/power", "off")
    assert power_of(site, known) == {"h1": "on", "h2": "off"}
    found = live_machines(site, known)
    assert ([host.id for host in found.site.hosts], found.clear) == (["h1"], True)
    assert not live_machines(site, built).clear


def test_without_a_connector_of_hosts_the_site_file_counts(built: dict[str, Any], tmp_path: Path) -> None:
    site = load_site(tmp_path / "site.yaml").site
    assert live_machines(site, {"bmc": built["bmc"]}).site is site


def test_each_point_has_the_connector_that_shows_it_and_one_that_nobody_shows_is_named(built: dict[str, Any]) -> None:
    found = carriers(built, ["vm/v1/host", "host/h1/power"], "the moves")
    assert found == {"vm/v1/host": ("vms", "h1"), "host/h1/power": ("vms", "on")}
    with pytest.raises(RefusedError, match=r"no connector carries the moves .*first point vm/v9/host"):
        carriers(built, ["vm/v1/host", "vm/v9/host"], "the moves")
