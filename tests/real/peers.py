"""Real peers: each is started for the tests that need it, on loopback, and dies with the test process."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def missing(what: str) -> None:
    """Skips for want of a peer; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"peer missing in CI: {what}")
    pytest.skip(what)


def require_program(name: str, package: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if found is None:
        found = str(Path(sys.executable).with_name(name)) if Path(sys.executable).with_name(name).exists() else None
    if found is None:
        missing(f"{name} is not installed (package {package})")
    return str(found)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Wire:
    """A network of its own behind one cable to this machine, on which packets can be lost; needs root."""

    def __init__(self, name: str, subnet: str) -> None:
        """Lays the cable.

        Args:
            name: of the namespace and of the cable's end here, at most 15 letters.
            subnet: first three numbers of its addresses; 1 is here, 2 is there.
        """
        for program in ("ip", "iptables"):
            require_program(program, "iproute2 iptables")
        if os.geteuid():
            missing("a network of its own needs root")
        self.name, self.here, self.there = name, f"{subnet}.1", f"{subnet}.2"
        self.enter = ["ip", "netns", "exec", name]
        self.close()
        _run("ip", "netns", "add", name)
        _run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        _run("ip", "address", "add", f"{self.here}/24", "dev", name)
        _run("ip", "-n", name, "address", "add", f"{self.there}/24", "dev", "eth0")
        for place in (("ip", "link", "set", name), ("ip", "-n", name, "link", "set", "lo")):
            _run(*place, "up")
        _run("ip", "-n", name, "link", "set", "eth0", "up")

    def lose(self, share: float) -> None:
        """Drops this share of the packets, each way by chance; 1 cuts the cable."""
        for chain in ("INPUT", "OUTPUT"):
            _run(*self.enter, "iptables", "-F", chain)
            if share > 0.0:
                chance = ("-m", "statistic", "--mode", "random", "--probability", str(share)) if share < 1.0 else ()
                _run(*self.enter, "iptables", "-A", chain, *chance, "-j", "DROP")

    def lost(self) -> int:
        """Packets dropped since the share was last set."""
        told = subprocess.run(
            [*self.enter, "iptables", "-nvxL"], capture_output=True, text=True, check=True, timeout=20
        ).stdout
        return sum(int(line.split()[0]) for line in told.splitlines() if " DROP " in line)

    def close(self) -> None:
        """Takes the network away; harmless when it is not there."""
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True, timeout=20)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=20)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr}")


class Peer:
    """A process of the outside world that the kernel kills when the tests die."""

    def __init__(self, argv: Sequence[str], *, log: Path, talk: bool = False, inside: Wire | None = None) -> None:
        self.argv = [*(inside.enter if inside else ()), "setpriv", "--pdeathsig", "KILL", *map(str, argv)]
        self.log = log
        self.talk = talk
        self.process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.PIPE if self.talk else subprocess.DEVNULL,
                stdout=subprocess.PIPE if self.talk else log,
                stderr=log,
                text=True,
                cwd=ROOT,
            )
        if self.talk and self._line() != "ready":
            raise RuntimeError(self.log.read_text())

    def _line(self) -> str:
        assert self.process
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def tell(self, **command: object) -> dict:
        assert self.process
        assert self.process.stdin
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self._line())

    def signal(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()
            self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()


def wait_for_port(port: int, peer: Peer, timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > end or (peer.process and peer.process.poll() is not None):
            raise RuntimeError(f"{peer.argv}: {peer.log.read_text()[-2000:]}")
        time.sleep(0.05)


def wait_until(test, timeout_s: float = 10.0, what: str = "condition"):
    end = time.monotonic() + timeout_s
    while not (result := test()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.05)
    return result


class BacnetPeer(Peer):
    def __init__(
        self, log: Path, *options: str, instance: int = 1001, points: int = 5, inside: Wire | None = None
    ) -> None:
        self.port = free_port(socket.SOCK_DGRAM)
        host = inside.there if inside else "127.0.0.1"
        self.address = f"{host}:{self.port}"
        self.instance = instance
        super().__init__(
            [
                sys.executable, HERE / "bacnet_device.py", "--bind", f"{host}/{24 if inside else 8}:{self.port}",
                "--instance", instance, "--points", points, *options,
            ],
            log=log,
            talk=True,
            inside=inside,
        )  # fmt: skip

    def slots(self, number: int, kind: str = "analog-value") -> dict[str, float]:
        return self.tell(do="look", type=kind, number=number)["slots"]

    def ramp(self, numbers: Sequence[int], every_s: float) -> None:
        """Lets inputs change for ever; a restart ends it."""
        self.tell(do="ramp", type="analog-input", number=numbers[0], numbers=list(numbers), every_s=every_s)

    def operator(self, number: int, value: float | None, priority: int = 8) -> None:
        self.tell(do="write", type="analog-value", number=number, value=value, priority=priority)


@contextmanager
def sushy(folder: Path, systems: Mapping[str, str], **settings: str) -> Iterator[str]:
    """The address of sushy's emulator with these names → UUIDs, all on; switching them touches nothing else."""
    program = require_program("sushy-emulator", "sushy-tools from PyPI")
    lines = {
        "FAKE_DRIVER": True,
        "FAKE_SYSTEMS": [
            {"uuid": uuid, "name": name, "power_state": "On", "external_notifier": False, "nics": []}
            for name, uuid in systems.items()
        ],
        "STATE_DIR": str(folder),
        **settings,
    }
    (folder / "conf.py").write_text("".join(f"SUSHY_EMULATOR_{key} = {value!r}\n" for key, value in lines.items()))
    port = free_port()
    argv = [program, "--config", folder / "conf.py", "--port", port, "--interface", "127.0.0.1"]
    peer = Peer(argv, log=folder / "sushy.log")
    try:
        wait_for_port(port, peer)
        yield f"http://127.0.0.1:{port}"
    finally:
        peer.stop()


def taken(lock: Path) -> TextIO:
    """The lock file, held until it is closed or the process dies."""
    held = lock.open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
    except BaseException:
        held.close()
        raise
    return held


def rig_folder() -> Path:
    """Where the rig's code is; everything that it runs with is there too."""
    shared = Path(os.environ.get("UNDERSTUDY_SHARED", ROOT.parent / "shared"))
    folder = shared / "rigs" / "libvirt_cluster"
    if not (folder / "rig.py").exists():
        missing(f"no libvirt rig at {folder}")
    for program in ("libvirtd", "qemu-system-x86_64", "virsh", "iptables", "nsenter"):
        require_program(program, "libvirt-daemon libvirt-clients qemu-system-x86 iproute2 iptables")
    if os.geteuid():
        missing("the libvirt rig needs root")
    return folder


def require_linux_guest() -> None:
    """Skips, also in CI, where Debian's archive does not give the kernel of the rig's Linux guests (once, 14 MB)."""
    folder = rig_folder()
    require_program("busybox", "busybox-static")
    fetch = [sys.executable, "-c", "import rig; rig.linux_guest()"]
    done = subprocess.run(fetch, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        pytest.skip(f"no kernel for a Linux guest: {done.stderr.strip().splitlines()[-1]}")


def rig_cluster():
    """Real libvirt hosts in namespaces of this machine, under a name of our own."""
    folder = rig_folder()
    sys.path.insert(0, str(folder))
    try:
        from rig import Cluster
    finally:
        sys.path.remove(str(folder))

    class Rig(Cluster):
        """Starts hosts through the rig's command line, so that no child of ours is left behind."""

        def by_command(self, *argv: object) -> None:
            environment = {**os.environ, "RIG_NAME": self.name, "RIG_SUBNET": self.subnet}
            command = [sys.executable, folder / "rig.py", *argv]
            done = subprocess.run(
                [str(part) for part in command],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            if done.returncode:
                raise RuntimeError(done.stderr)

        def up(self, hosts: int, guests: int, mem: int, linux: int = 0) -> Rig:
            """Starts the hosts once nobody else uses them: workers of one run have the same, and would reset them."""
            self.mine = taken(self.lock_file())
            try:
                self.by_command("up", "-n", hosts, "-m", guests, "--mem", mem, "--linux", linux)
            except BaseException:
                self.mine.close()
                raise
            return self

        def lock_file(self) -> Path:
            return Path(tempfile.gettempdir()) / f"{self.name}.lock"

        def down(self) -> None:
            super().down()
            self.mine.close()

        def reset(self) -> None:
            self.by_command("reset")

        def power_on(self, host: str) -> None:
            self.by_command("power-on", host)

    place = zlib.crc32(str(ROOT).encode()) % 100  # two checkouts at once have a rig each
    return Rig(name=f"undt{place}", subnet=f"10.213.{100 + place}")
