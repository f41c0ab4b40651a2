"""The Home Assistant connector against the real core in an environment of its own (.ci/home_assistant.sh)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from peers import Peer, free_port, wait_for_port, wait_until

pytest.importorskip("httpx2")

import httpx2

from connectors.conformance import CHECKS, Trial
from connectors.protocols.home_assistant import (
    HomeAssistantConnector,
    HomeAssistantPoint,
    HomeAssistantSettings,
)
from connectors.protocols.web import WebSettings
from connectors.secret import SecretSource
from connectors.set_point import Allowance
from twin.plan import Action, ActionKind, CheckVerdict
from twin.vocab import PointKind

pytestmark = [pytest.mark.real, pytest.mark.slow]
CONFIG = """
homeassistant: {{name: t, latitude: 52.0, longitude: 13.0, elevation: 10, unit_system: metric, time_zone: UTC}}
http: {{server_host: 127.0.0.1, server_port: {port}}}
api:
history:
recorder: {{commit_interval: 1}}
input_boolean: {{heater: {{name: heater}}}}
input_number: {{room: {{name: room, min: -20, max: 60, initial: 20}}}}
template:
  - sensor:
      - name: room_temperature
        unit_of_measurement: "°C"
        device_class: temperature
        state: "{{{{ states('input_number.room') }}}}"
climate:
  - {{platform: generic_thermostat, name: room, heater: input_boolean.heater, min_temp: 15, max_temp: 28,
     target_sensor: sensor.room_temperature, target_temp: 21, away_temp: 16, initial_hvac_mode: heat}}
"""
POINTS = {
    "setpoint": HomeAssistantPoint(
        entity="climate.room", attribute="temperature", kind=PointKind.ZONE_HEATING_SETPOINT, unit="degC",
        write=Allowance(min=10, max=40),
    ),
    "preset": HomeAssistantPoint(entity="climate.room", attribute="preset_mode", presets=["away", "none"]),
    "temperature": HomeAssistantPoint(entity="sensor.room_temperature", kind=PointKind.ZONE_AIR_TEMPERATURE),
    "heater": HomeAssistantPoint(entity="input_boolean.heater"),
    "ghost": HomeAssistantPoint(entity="climate.nobody", attribute="temperature", write=Allowance(min=10, max=40)),
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    program = os.environ.get("UNDERSTUDY_HOME_ASSISTANT") or shutil.which("hass")
    if not program or not Path(program).exists():
        pytest.skip(
            "Home Assistant is not installed: run .ci/home_assistant.sh DIR, set UNDERSTUDY_HOME_ASSISTANT=DIR/bin/hass"
        )
    folder, port = tmp_path_factory.mktemp("home-assistant"), free_port()
    (folder / "configuration.yaml").write_text(CONFIG.format(port=port))
    subprocess.run(
        [program, "--script", "auth", "-c", folder, "add", "twin", "ha-password"], check=True, capture_output=True
    )
    peer = Peer([program, "-c", folder, "--skip-pip"], log=folder / "log")
    wait_for_port(port, peer, 120.0)
    url = f"http://127.0.0.1:{port}"
    yield url, _login(url)
    peer.stop()


def _login(url: str) -> str:
    who = {"client_id": f"{url}/"}
    with httpx2.Client(base_url=url, trust_env=False, timeout=30) as client:
        flow = {**who, "handler": ["homeassistant", None], "redirect_uri": f"{url}/"}
        begun = wait_until(
            lambda: (a := client.post("/auth/login_flow", json=flow)).status_code == 200 and a.json(),
            60.0,
            "login flow",
        )
        done = client.post(
            f"/auth/login_flow/{begun['flow_id']}", json={**who, "username": "twin", "password": "ha-password"}
        )
        code = {**who, "grant_type": "authorization_code", "code": done.json()["result"]}
        token = client.post("/auth/token", data=code).json()["access_token"]
        ready = {"Authorization": f"Bearer {token}"}
        wait_until(lambda: client.get("/api/states/climate.room", headers=ready).status_code == 200, 60.0, "climate")
    return str(token)


@pytest.fixture
def connector(server: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[HomeAssistantConnector]:
    monkeypatch.setenv("UNDERSTUDY_TEST_HA", server[1])
    web = WebSettings(url=server[0], token=SecretSource(env="UNDERSTUDY_TEST_HA"))
    made = HomeAssistantConnector("ha", HomeAssistantSettings(server=web, points=POINTS))
    yield made
    made.close()


def set_to(value: float | str, point: str = "setpoint") -> Action:
    return Action(id="a", kind=ActionKind.SET_POINT, connector="ha", point=point, value=value, expected=None)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_home_assistant_connector_keeps_the_contract(check, connector, server: tuple[str, str]) -> None:
    from dataclasses import replace

    def somebody() -> float:
        connector.write(set_to(25.0))
        return 25.0

    nobody = replace(connector.settings.server, url=f"http://127.0.0.1:{free_port()}")
    unreachable = HomeAssistantConnector("nobody", replace(connector.settings, server=nobody))
    check(
        Trial(
            connector=connector,
            readable=["setpoint", "temperature", "heater"],
            unreadable="ghost",
            action=set_to(23.5),
            forbidden=[set_to(35.0), set_to(99.0), set_to(20.0, "temperature"), set_to(20.0, "ghost")],
            unreachable=unreachable,
            timeout_s=5.0,
            overwrite=somebody,
            secrets=[server[1]],
        )
    )
    connector.write(set_to(21.0))
    unreachable.close()


def test_a_preset_is_a_timed_setback_that_gives_the_setpoint_back(connector) -> None:
    before = connector.read(["setpoint"])[0].value
    receipt = connector.apply(set_to("away", "preset"))
    wait_until(lambda: connector.read(["setpoint"])[0].value == 16.0, what="away temperature")
    connector.release(receipt)
    wait_until(lambda: connector.read(["setpoint"])[0].value == before, what="old setpoint")


def test_a_preset_that_is_not_listed_is_refused(connector) -> None:
    assert connector.check(set_to("boost", "preset")).verdict is CheckVerdict.REFUSED


def test_history_is_fetched_as_rows(connector) -> None:
    begin = datetime.now(UTC) - timedelta(hours=1)
    wait_until(lambda: "temperature" in set(connector.fetch(begin, None)["point"]), 15.0, "history")
    rows = connector.fetch(begin, None)
    assert set(rows[rows["point"] == "temperature"]["value"]) == {20.0}
