"""The Redfish connector against sushy's emulator (power state) and its static server (power and temperature)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from peers import Peer, free_port, require_program, sushy, wait_for_port

pytest.importorskip("httpx2")

import bcrypt

from connectors.conformance import CHECKS, Trial
from connectors.protocols.redfish import RedfishConnector, RedfishHost, RedfishSettings
from connectors.protocols.web import WebSettings
from connectors.secret import SecretSource
from twin.errors import OutsideWorldError, RefusedError
from twin.plan import Action, ActionKind

pytestmark = pytest.mark.real
IDS = {"h1": "11111111-1111-1111-1111-111111111111", "h2": "22222222-2222-2222-2222-222222222222"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("redfish")
    hashed = bcrypt.hashpw(b"redfish-pw", bcrypt.gensalt(4)).decode()
    (folder / "htpasswd").write_text(f"admin:{hashed}\n")
    with sushy(folder, IDS, AUTH_FILE=str(folder / "htpasswd")) as address:
        yield address


@pytest.fixture
def connector(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedfishConnector]:
    monkeypatch.setenv("UNDERSTUDY_TEST_REDFISH", "redfish-pw")
    server = WebSettings(url=url, username="admin", password=SecretSource(env="UNDERSTUDY_TEST_REDFISH"))
    hosts = {name: RedfishHost(system=f"/redfish/v1/Systems/{uuid}", power=name == "h1") for name, uuid in IDS.items()}
    hosts["ghost"] = RedfishHost(system="/redfish/v1/Systems/no-such-system")
    made = RedfishConnector("bmc", RedfishSettings(server=server, hosts=hosts, wait_s=40.0), guests_on=lambda _: 0)
    yield made
    made.close()


def power_off(host: str = "h1") -> Action:
    return Action(
        id="off", kind=ActionKind.POWER_OFF_HOST, connector="bmc", point=f"host/{host}/power", value="off",
        expected="on",
    )  # fmt: skip


SLOW = {"the_read_back_shows_value_and_holder", "receipts_survive_json", "the_receipt_names_the_prior_state"}


@pytest.mark.parametrize(
    "check", [check for check in CHECKS if check.__name__ not in SLOW], ids=lambda check: check.__name__
)
def test_the_redfish_connector_keeps_the_contract(check, connector: RedfishConnector) -> None:
    """Each switch takes seconds here, so the checks that another one contains are run there: see the next test."""
    server = replace(connector.settings.server, url=f"http://127.0.0.1:{free_port()}", timeout_s=2.0)
    nobody = RedfishConnector("nobody", replace(connector.settings, server=server))
    acts = check.__name__ in {"a_release_gives_the_point_back", "applying_twice_is_the_same_as_once"}
    check(
        Trial(
            connector=connector,
            readable=["host/h1/power", "host/h2/power"],
            unreadable="host/ghost/power",
            action=power_off() if acts else None,
            forbidden=[power_off("h2"), replace(power_off(), value="on")],
            unreachable=nobody,
            timeout_s=5.0,
            secrets=["redfish-pw"],
        )
    )
    nobody.close()


@pytest.mark.slow
@pytest.mark.parametrize("check", [check for check in CHECKS if check.__name__ in SLOW], ids=lambda c: c.__name__)
def test_the_redfish_connector_keeps_the_rest_of_the_contract(check, connector: RedfishConnector) -> None:
    check(
        Trial(
            connector=connector,
            readable=["host/h1/power", "host/h2/power"],
            unreadable="host/ghost/power",
            action=power_off(),
        )
    )


def test_a_host_with_guests_is_not_switched_off(connector: RedfishConnector) -> None:
    busy = RedfishConnector("bmc", connector.settings, guests_on=lambda _: 2)
    with pytest.raises(RefusedError, match="2 guests run on it"):
        busy.apply(power_off())
    unknown = RedfishConnector("bmc", connector.settings)
    with pytest.raises(RefusedError, match="nobody can say"):
        unknown.apply(power_off())
    busy.close()
    unknown.close()


def test_a_wrong_password_says_renew_and_does_not_show_it(
    connector: RedfishConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_TEST_REDFISH", "guessed-pw")
    other = RedfishConnector("bmc", connector.settings)
    with pytest.raises(OutsideWorldError, match="login is not accepted") as caught:
        other.read(["host/h1/power"])
    assert "guessed-pw" not in f"{caught.value!r}"
    other.close()


@pytest.fixture
def static(tmp_path: Path) -> Iterator[str]:
    program = require_program("sushy-static", "sushy-tools from PyPI")
    tree = {
        "": {"Chassis": {"@odata.id": "/redfish/v1/Chassis"}},
        "Chassis/new": {"EnvironmentMetrics": {"@odata.id": "/redfish/v1/Chassis/new/EnvironmentMetrics"}},
        "Chassis/new/EnvironmentMetrics": {"PowerWatts": {"Reading": 210.5}},
        "Chassis/old": {
            "Power": {"@odata.id": "/redfish/v1/Chassis/old/Power"},
            "Thermal": {"@odata.id": "/redfish/v1/Chassis/old/Thermal"},
        },
        "Chassis/old/Power": {"PowerControl": [{"PowerConsumedWatts": 100}, {"PowerConsumedWatts": 50.5}]},
        "Chassis/old/Thermal": {"Temperatures": [{"Name": "Inlet Temp", "ReadingCelsius": 22}]},
        "Chassis/null": {"Power": {"@odata.id": "/redfish/v1/Chassis/null/Power"}},
        "Chassis/null/Power": {"PowerControl": [{"PowerConsumedWatts": None}]},
    }
    for path, resource in tree.items():
        folder = tmp_path / "mockup" / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "index.json").write_text(json.dumps(resource))
    port = free_port()
    argv = [program, "-m", tmp_path / "mockup", "--port", port, "--interface", "127.0.0.1"]
    peer = Peer(argv, log=tmp_path / "log")
    wait_for_port(port, peer)
    yield f"http://127.0.0.1:{port}"
    peer.stop()


def test_power_is_read_from_new_and_old_resources_and_added_over_chassis(static: str) -> None:
    chassis = {"new": ["new"], "old": ["old"], "both": ["new", "old"], "null": ["null"], "part": ["new", "null"]}
    hosts = {name: RedfishHost(chassis=[f"/redfish/v1/Chassis/{c}" for c in of]) for name, of in chassis.items()}
    connector = RedfishConnector("bmc", RedfishSettings(server=WebSettings(url=static), hosts=hosts))
    watts = [reading.value for reading in connector.read([f"host/{name}/host_power" for name in chassis])]
    assert watts == [210.5, 150.5, 361.0, None, None]
    assert connector.read(["host/old/host_inlet_temperature"])[0].value == 22.0
    connector.close()
