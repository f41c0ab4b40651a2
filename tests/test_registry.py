"""Connectors are built from blocks of the site file, and what is wrong is told with its place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import pytest

from connectors import registry
from connectors.registry import TYPES, build
from connectors.settings import SiteFile, load_site
from connectors.settings.template import TEMPLATE
from twin.errors import BadInputError

BACNET = """
connectors:
  bms:
    type: bacnet
    bind: 127.0.0.1/8:47899
    devices:
      ahu: {instance: 1001, address: "127.0.0.1:47808"}
    points:
      core/cooling_setpoint_occupied_c: {device: ahu, object: "analog-value,1", write: {min: 18, max: 28}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Callable[[str], SiteFile]:
    def load(connectors: str) -> SiteFile:
        (tmp_path / "site.yaml").write_text(TEMPLATE + connectors)
        return load_site(tmp_path / "site.yaml")

    return load


def now() -> datetime:
    return datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.skipif(find_spec("bacpypes3") is None, reason="extra bacnet is not installed")
def test_a_block_becomes_a_connector(site: Callable[[str], SiteFile]) -> None:
    connector = build(site(BACNET).connectors["bms"], now)
    assert connector.name == "bms"
    assert connector.points() == ("core/cooling_setpoint_occupied_c",)


@pytest.mark.skipif(find_spec("bacpypes3") is None, reason="extra bacnet is not installed")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "instance: 1001",
            "instance: many",
            r"site.yaml:\d+:\d+: connectors.bms.devices.ahu.instance: .*valid integer",
        ),
        ("min: 18", "min: 18, mix: 1", r"connectors.bms.points.*write.mix: unknown key 'mix'"),
        ("    bind: 127.0.0.1/8:47899\n", "", r"connectors.bms.bind: 'bind' is missing"),
        ("device: ahu,", "device: chiller,", r"'chiller' is not under devices"),
        ("min: 18", "min: 38", r"not an interval"),
    ],
    ids=["type", "unknown key", "missing key", "device", "limits"],
)
def test_a_fault_is_told_with_its_place(site: Callable[[str], SiteFile], old: str, new: str, message: str) -> None:
    block = site(BACNET.replace(old, new)).connectors["bms"]
    with pytest.raises(BadInputError, match=message):
        build(block, now)


def test_an_unknown_type_names_those_that_are_known(site: Callable[[str], SiteFile]) -> None:
    block = site("\nconnectors:\n  x: {type: telepathy}\n").connectors["x"]
    with pytest.raises(BadInputError, match="'telepathy' is no type of connector; known: bacnet, "):
        build(block, now)


def test_a_missing_extra_is_named_with_its_debian_packages(
    site: Callable[[str], SiteFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    block = site("\nconnectors:\n  x: {type: libvirt, hosts: {}}\n").connectors["x"]
    with pytest.raises(BadInputError, match=r"pip install 'understudy\[libvirt\]' \(libvirt-dev gcc pkg-config"):
        build(block, now)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_type_names_classes_that_exist(name: str) -> None:
    kind = TYPES[name]
    if any(find_spec(module) is None for module in kind.modules):
        pytest.skip(f"extra {kind.extra} is not installed")
    for path in (kind.settings, kind.connector):
        module, _, cls = path.partition(":")
        assert hasattr(__import__(module, fromlist=[cls]), cls)
