"""First page, callbacks and memory of the dashboard on a large site: 500 rooms, 200 hosts, 2,000 VMs.

The server is a process of its own on stored Parquet files; Chromium loads the first page; twenty users then ask for
callbacks at once. ``--quick`` stores two weeks instead of a year.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import frame
import numpy as np

from twin.site import Host, HostType, Location, Point, Site, Vm, Zone
from twin.streams import stream
from twin.vocab import PointKind

ROOMS, HOSTS, VMS, FLOORS = 500, 200, 2000, 10
USERS, ROUNDS = 20, 12
PASSWORD = "benchmark password"
START = datetime(2023, 1, 1, tzinfo=UTC)
ZONE_KINDS = (PointKind.ZONE_AIR_TEMPERATURE, PointKind.ZONE_OCCUPANCY, PointKind.ZONE_CO2, PointKind.ZONE_PLUG_POWER)


def large_site() -> Site:
    """A site of the size to be served."""
    zones = tuple(
        Zone(
            id=f"room-{i:03d}",
            floor=i * FLOORS // ROOMS,
            floor_area_m2=25.0 + i % 7,
            volume_m3=75.0,
            air_handler=None,
            design_people=4.0,
        )
        for i in range(ROOMS)
    )
    points = [Point(id=f"{kind.value}/{zone.id}", kind=kind, of=zone.id) for kind in ZONE_KINDS for zone in zones]
    hosts = tuple(Host(id=f"h{i:03d}", type="plain", rack=f"r{i // 20 + 1:02d}") for i in range(HOSTS))
    for kind in (PointKind.HOST_CPU_UTILIZATION, PointKind.HOST_POWER):
        points += [Point(id=f"{kind.value}/{host.id}", kind=kind, of=host.id) for host in hosts]
    vms = tuple(Vm(id=f"vm-{i:04d}", vcpus=2, mips=5000.0, ram_mb=4096.0, host=f"h{i % HOSTS:03d}") for i in range(VMS))
    kind = PointKind.VM_CPU_UTILIZATION
    points += [Point(id=f"{kind.value}/{vm.id}", kind=kind, of=vm.id) for vm in vms]
    curve = tuple(float(w) for w in range(100, 210, 10))
    return Site(
        name="large",
        time_zone=ZoneInfo("Europe/Berlin"),
        location=Location(latitude_deg=52.0, longitude_deg=13.0),
        zones=zones,
        points=tuple(points),
        host_types=(HostType(name="plain", cores=32, core_mips=2500.0, ram_mb=262_144.0, power_w=curve),),
        hosts=hosts,
        vms=vms,
    )


def store_year(site: Site, folder: Path, days: int, seed: int) -> int:
    """Writes the telemetry month by month as the store keeps it; the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from connectors.telemetry_store import SCHEMA

    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(point.id for point in site.points)
    base = {"zone_air": 22.0, "zone_occ": 2.0, "zone_co2": 600.0, "zone_plu": 120.0, "host_pow": 150.0}
    end, month, rows = START + timedelta(days=days), START, 0
    while month < end:
        after = min(month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1), end)
        steps = int((after - month).total_seconds() // 900)
        times = pa.array(int(month.timestamp() * 1e6) + np.arange(steps) * 900_000_000).cast(SCHEMA.field(0).type)
        noise = stream(seed, "bench", f"{month:%Y-%m}").random(steps)
        with pq.ParquetWriter(folder / f"{month:%Y-%m}.parquet", SCHEMA, compression="zstd") as writer:
            for first in range(0, len(names), 84):
                part = names[first : first + 84]
                values = np.concatenate(
                    [base.get(name[:8], 0.3) * (0.9 + 0.2 * np.roll(noise, i)) for i, name in enumerate(part)]
                )
                ids = pa.array(np.repeat(np.array(part, dtype=object), steps), type=pa.string())
                stamps = pa.concat_arrays([times] * len(part))
                writer.write_table(pa.table([stamps, ids, pa.array(values)], schema=SCHEMA))
                rows += steps * len(part)
        month = after
    return rows


def serve(folder: Path, port: int) -> None:
    """The server process: stored telemetry, everything else empty, twenty people."""
    from waitress import serve as waitress_serve

    from connectors.change_control import SystemClock
    from connectors.ingest import Telemetry
    from dashboard.app import create_dashboard
    from dashboard.memory import (
        EPOCH,
        FixedClock,
        MemoryAudit,
        MemoryIdentity,
        MemoryJobs,
        MemoryModels,
        MemoryPlans,
        MemoryResults,
        MemorySettings,
    )
    from dashboard.services import Services
    from dashboard.views import Person, Role
    from twin.cli.dashboard.telemetry import StoredTelemetry

    site, clock = large_site(), SystemClock()
    people = {
        Person(user=f"user-{i}", name=f"User {i}", roles=frozenset({Role.VIEWER})): PASSWORD for i in range(USERS)
    }
    identity, standing = MemoryIdentity(people), FixedClock(EPOCH)
    telemetry = StoredTelemetry(site, Telemetry(folder / "telemetry"), clock)
    services = Services(
        site=site,
        clock=clock,
        telemetry=telemetry,
        models=MemoryModels(),
        results=MemoryResults(),
        plans=MemoryPlans([], identity, standing),
        jobs=MemoryJobs(standing),
        audit=MemoryAudit(),
        identity=identity,
        settings=MemorySettings(),
    )
    telemetry.health()
    waitress_serve(create_dashboard(services).server, host="127.0.0.1", port=port, threads=8)


@contextmanager
def running(folder: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """The server as a process, ready; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, __file__, "--serve", str(folder), str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                try:
                    http.client.HTTPConnection("127.0.0.1", port, timeout=5).request("GET", "/signin")
                    break
                except OSError:
                    time.sleep(0.2)
            yield port, process
        finally:
            process.terminate()


class User:
    """One browser's worth of requests."""

    def __init__(self, port: int, name: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.own = {"Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}
        self.connection.request(
            "POST",
            "/signin",
            f"user={name}&password={PASSWORD.replace(' ', '+')}",
            self.own | {"Content-Type": "application/x-www-form-urlencoded"},
        )
        answer = self.connection.getresponse()
        answer.read()
        self.own["Cookie"] = str(answer.headers["Set-Cookie"]).split(";")[0]

    def get(self, path: str) -> str:
        """The text of a page."""
        self.connection.request("GET", path, headers=self.own)
        return self.connection.getresponse().read().decode()

    def call(self, body: dict[str, object]) -> tuple[float, int]:
        """Server time of a callback as the server says it [ms], and the status."""
        self.connection.request(
            "POST", "/_dash-update-component", json.dumps(body), self.own | {"Content-Type": "application/json"}
        )
        answer = self.connection.getresponse()
        answer.read()
        said = re.search(r"app;dur=([\d.]+)", answer.headers.get("Server-Timing", ""))
        return float(said.group(1)) if said else float("nan"), answer.status


def bodies(user: User, days: int) -> list[dict[str, object]]:
    """Callbacks that people make: the floor by measure and moment, a room, the racks, each screen."""
    known = {one["output"]: one for one in json.loads(user.get("/_dash-dependencies"))}
    screens = ("/now", "/health", "/scenarios", "/plans", "/audit")
    made = [_body(known, "page.children", {"url.pathname": screen}) for screen in screens]
    for i, measure in enumerate(("temperature", "people", "co2", "power")):
        day = (START + timedelta(days=days - 1 - i)).date().isoformat()
        view = {"measure": measure, "floor": str(i), "room": f"room-{37 * i:03d}", "clock": "pick", "day": day}
        values = {f'{{"view":"{key}"}}.value': value for key, value in view.items()} | {
            '{"view":"minute"}.value': 60 * (8 + i),
            '{"view":"host"}.value': "cpu",
        }
        made += [_body(known, name, values) for name in ("floor.drawing", "racks.drawing", "room-card.children")]
    return made


def _body(known: dict[str, dict[str, object]], name: str, values: dict[str, object]) -> dict[str, object]:
    key = next(output for output in known if name in output and "@" not in output)
    spec = known[key]

    def filled(part: dict[str, str]) -> dict[str, object]:
        given = values.get(f"{part['id']}.{part['property']}")
        place = json.loads(part["id"]) if part["id"].startswith("{") else part["id"]
        return {"id": place, "property": part["property"], "value": given}

    outputs = [
        {
            "id": json.loads(one.rsplit(".", 1)[0]) if one.startswith("{") else one.rsplit(".", 1)[0],
            "property": one.rsplit(".", 1)[1],
        }
        for one in key.strip(".").split("...")
    ]
    inputs = [filled(part) for part in spec["inputs"]]  # type: ignore[attr-defined]
    return {
        "output": key,
        "outputs": outputs if key.startswith("..") else outputs[0],
        "inputs": inputs,
        "changedPropIds": [],
        "state": [filled(part) for part in spec["state"]],  # type: ignore[attr-defined]
    }


def first_page_s(port: int) -> tuple[float, float]:
    """Median of three loads of Now in Chromium with an empty cache. [s]

    Until the floor plan shows its numbers; and until a room that is clicked at once shows its card.
    """
    from playwright.sync_api import sync_playwright

    taken, picked = [], []
    with sync_playwright() as playwright:
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        for i in range(4):
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.goto(f"http://127.0.0.1:{port}/signin")
            page.fill("#user", f"user-{i}")
            page.fill("#password", PASSWORD)
            started = time.perf_counter()
            page.click("button")
            page.locator("#floor .tile-number").first.wait_for(timeout=60_000)
            taken.append(time.perf_counter() - started)
            page.locator("#floor .tile").nth(i).click()
            page.locator("#room-card h2").wait_for(timeout=60_000)
            picked.append(time.perf_counter() - started)
            page.context.close()
        browser.close()
    return statistics.median(taken[1:]), statistics.median(picked[1:])


def callbacks(port: int, days: int) -> tuple[list[float], int]:
    """Server times of callbacks with twenty users at once, after one user has warmed each. [ms]"""
    users = [User(port, f"user-{i}") for i in range(USERS)]
    wanted = bodies(users[0], days)
    errors = sum(users[0].call(body)[1] != 200 for body in wanted)
    times: list[float] = []
    statuses: list[int] = []

    def work(user: User, shift: int) -> None:
        for i in range(ROUNDS):
            spent, status = user.call(wanted[(i * 7 + shift) % len(wanted)])
            times.append(spent)
            statuses.append(status)
            if status != 200:
                frame.note(f"{status} for {wanted[(i * 7 + shift) % len(wanted)]['output']}")
            time.sleep(0.5)  # people look before they click again

    threads = [threading.Thread(target=work, args=(user, i)) for i, user in enumerate(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, errors + sum(status != 200 for status in statuses)


def peak_mb(process: subprocess.Popen[bytes]) -> float:
    """Most memory that the server ever had. [MB]"""
    text = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found.group(1)) / 1024 if found else float("nan")


def measured(chosen: argparse.Namespace) -> dict[str, object]:
    """All measures."""
    days = 14 if chosen.quick else 365
    with tempfile.TemporaryDirectory() as folder:
        rows = store_year(large_site(), Path(folder) / "telemetry", days, chosen.seed)
        frame.note(f"{rows} rows stored")
        with running(Path(folder)) as (port, process):
            page, picked = first_page_s(port)
            times, errors = callbacks(port, days)
            memory = peak_mb(process)
    return {
        "first_page_s": page,
        "room_picked_s": picked,
        "callback_p95_ms": float(np.nanpercentile(times, 95)),
        "callback_p50_ms": float(np.nanpercentile(times, 50)),
        "callbacks": len(times),
        "rss_mb": memory,
        "users": USERS,
        "errors": errors,
        "rows": rows,
        "days": days,
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        frame.run(__doc__, measured)
