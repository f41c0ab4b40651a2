"""libvirt over TLS and SSH: daemons with certificates and host keys made here, clients with right and wrong ones."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("libvirt")

from certificates import authority, issue
from libvirt_moves import settings, to_host
from peers import Peer, require_program, wait_until

from connectors.libvirt_hosts.connector import LibvirtConnector
from connectors.libvirt_hosts.settings import LibvirtHost
from twin.errors import BadInputError, OutsideWorldError

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture
def ca(rig, tmp_path: Path) -> Iterator[Path]:
    """The authority whose clients the daemon of h1 lets in."""
    rig.power_on("h1")
    ca = authority(tmp_path / "ca")
    keys = issue(ca, rig.dir / "h1" / "etc" / "tls", "server", rig.addr("h1"))
    config = rig.dir / "h1" / "etc" / "libvirtd.conf"
    before = config.read_text()
    inside = "/etc/libvirt/tls"
    config.write_text(
        before.replace("listen_tls = 0", "listen_tls = 1")
        + f'''ca_file = "{inside}/cacert.pem"\ncert_file = "{inside}/servercert.pem"\n'''
        + f'''key_file = "{inside}/serverkey.pem"\n'''
    )
    assert keys.exists()
    rig.daemon_kill("h1")
    rig.daemon_start("h1")
    yield ca
    config.write_text(before)
    rig.daemon_kill("h1")
    rig.daemon_start("h1")


def over_tls(rig, keys: Path) -> LibvirtConnector:
    host = LibvirtHost(uri=f"qemu+tls://{rig.addr('h1')}/system", pki_path=str(keys))
    return LibvirtConnector("cloud", replace(settings(rig), hosts={"h1": host}))


def test_a_host_is_read_over_tls_with_a_certificate_of_its_authority(rig, ca: Path, tmp_path: Path) -> None:
    connector = over_tls(rig, issue(ca, tmp_path / "ours", "client", "understudy"))
    assert connector.read(["host/h1/state"])[0].value == "up"


def test_a_server_of_another_authority_is_not_believed(rig, ca: Path, tmp_path: Path) -> None:
    other = authority(tmp_path / "other")
    connector = over_tls(rig, issue(other, tmp_path / "ours", "client", "understudy"))
    with pytest.raises(OutsideWorldError, match=r"(?s)h1.*certificate"):
        connector.read(["host/h1/state"])


def test_a_client_of_another_authority_is_not_let_in(rig, ca: Path, tmp_path: Path) -> None:
    keys = issue(authority(tmp_path / "other"), tmp_path / "ours", "client", "understudy")
    (keys / "cacert.pem").write_bytes((ca / "cacert.pem").read_bytes())
    with pytest.raises(OutsideWorldError, match="h1"):
        over_tls(rig, keys).read(["host/h1/state"])


@pytest.fixture
def ssh(rig, tmp_path: Path) -> Iterator[Path]:
    """A folder with ``ssh``, which knows the key of h1 only, and ``id``, which h1 lets in as ``operator``."""
    rig.power_on("h1")
    home = rig.dir / "h1" / "home"
    (home / ".ssh").mkdir(parents=True, exist_ok=True)
    new_key(tmp_path / "id")
    (home / ".ssh" / "authorized_keys").write_text((tmp_path / "id.pub").read_text())
    for private in (home, home / ".ssh", home / ".ssh" / "authorized_keys"):
        private.chmod(0o700)
    users = rig.dir / "passwd"
    before = users.read_text()
    with users.open("a") as passwd:
        passwd.write(f"operator:x:0:0::{home}:/bin/sh\n")
    require_program("dropbearkey", "dropbear-bin")
    made = subprocess.run(
        ["dropbearkey", "-t", "ed25519", "-f", tmp_path / "host"], check=True, capture_output=True, text=True
    )
    kind, key = next(line for line in made.stdout.splitlines() if line.startswith("ssh-")).split()[:2]
    (tmp_path / "known").write_text(f"[{rig.addr('h1')}]:2222 {kind} {key}\n")
    (tmp_path / "ssh").write_text(
        f"#!/bin/sh\nexec ssh -F none -o UserKnownHostsFile={tmp_path / 'known'} -o StrictHostKeyChecking=yes "
        '-o BatchMode=yes -o ConnectTimeout=3 "$@"\n'
    )
    (tmp_path / "ssh").chmod(0o755)
    server = ["dropbear", "-F", "-E", "-s", "-p", f"{rig.addr('h1')}:2222", "-r", tmp_path / "host", "-P", ""]
    peer = Peer(["nsenter", "-t", rig.init_pid("h1"), "-m", "-n", *server], log=tmp_path / "dropbear.log")
    try:
        wait_until(lambda: "Not backgrounding" in peer.log.read_text(), 5.0, "the SSH server")
        yield tmp_path
    finally:
        peer.stop()
        with users.open("r+") as passwd:  # in place: it is bound into the hosts
            passwd.truncate(len(before.encode()))


def new_key(path: Path) -> None:
    program = require_program("ssh-keygen", "openssh-client")
    subprocess.run([program, "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)


def over_ssh(rig, folder: Path, key: str = "id") -> LibvirtConnector:
    uri = (
        f"qemu+ssh://operator@{rig.addr('h1')}:2222/system?command={folder / 'ssh'}&keyfile={folder / key}&proxy=native"
    )
    hosts = settings(rig).hosts | {"h1": LibvirtHost(uri=uri, migrate_uri=rig.uri("h1", "tcp"))}
    return LibvirtConnector("cloud", replace(settings(rig), hosts=hosts))


def test_a_host_is_read_and_a_guest_moved_over_ssh(rig, ssh: Path) -> None:
    connector = over_ssh(rig, ssh)
    assert connector.read(["vm/g1/host"])[0].value == "h1"
    connector.apply(to_host("h2"))
    assert rig.where("g1") == ["h2"]
    connector.apply(to_host("h1"))
    assert rig.where("g1") == ["h1"]


def test_an_ssh_host_with_another_key_is_not_believed(rig, ssh: Path) -> None:
    known = (ssh / "known").read_text().split()
    new_key(ssh / "other")
    (ssh / "known").write_text(f"{known[0]} {(ssh / 'other.pub').read_text()}")
    assert over_ssh(rig, ssh).read(["host/h1/state"])[0].value == "silent"


def test_an_ssh_key_that_the_host_does_not_know_is_not_let_in(rig, ssh: Path) -> None:
    new_key(ssh / "other")
    connector = over_ssh(rig, ssh, "other")
    shown = {reading.point: reading.value for reading in connector.read(["host/h1/state", "host/h2/state"])}
    assert shown == {"host/h1/state": "silent", "host/h2/state": "up"}


def test_keys_that_others_may_read_or_that_are_missing_are_named(tmp_path: Path) -> None:
    def wanted() -> LibvirtHost:
        return LibvirtHost(uri="qemu+tls://h1/system", pki_path=str(tmp_path))

    def build() -> None:
        from connectors.libvirt_hosts.settings import LibvirtSettings

        LibvirtSettings(hosts={"h1": wanted()})

    with pytest.raises(BadInputError, match=r"lacks cacert\.pem, clientcert\.pem, clientkey\.pem"):
        build()
    for file in ("cacert.pem", "clientcert.pem", "clientkey.pem"):
        (tmp_path / file).write_text("x")
        (tmp_path / file).chmod(0o644)
    with pytest.raises(BadInputError, match="mode 644; make it 600"):
        build()
