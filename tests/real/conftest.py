"""Fixtures that start real peers for the tests that need them and stop them afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from peers import BacnetPeer, rig_cluster

if TYPE_CHECKING:
    from connectors.libvirt_hosts.connector import LibvirtConnector


@pytest.fixture
def bacnet_peer(tmp_path: Path) -> Iterator[BacnetPeer]:
    pytest.importorskip("bacpypes3")
    peer = BacnetPeer(tmp_path / "bacnet.log")
    yield peer
    peer.stop()


@pytest.fixture
def bacnet_peers(tmp_path: Path) -> Iterator:
    started: list[BacnetPeer] = []

    def start(*options: str, **facts: int) -> BacnetPeer:
        started.append(BacnetPeer(tmp_path / f"bacnet{len(started)}.log", *options, **facts))
        return started[-1]

    yield start
    for peer in started:
        peer.stop()


@pytest.fixture(scope="module")
def rig() -> Iterator:
    """Three libvirt hosts, for one file at a time; what a crashed run left is used again or removed."""
    pytest.importorskip("libvirt")
    cluster = rig_cluster().up(hosts=3, guests=3, mem=96)
    yield cluster
    cluster.down()


@pytest.fixture
def connector(rig) -> Iterator[LibvirtConnector]:
    from libvirt_moves import settings

    from connectors.libvirt_hosts.connector import LibvirtConnector

    made = LibvirtConnector("cloud", settings(rig))
    yield made
    made.close()


@pytest.fixture
def fresh(rig) -> Iterator:
    """The rig with hosts on, network healed, guests booted at home; faults are healed afterwards."""
    rig.reset()
    yield rig
    for host in rig.hosts:
        with contextlib.suppress(RuntimeError, ProcessLookupError):
            if pid := rig.libvirtd_pid(host):
                os.kill(pid, signal.SIGCONT)
