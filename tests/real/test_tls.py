"""TLS to real peers: a certificate of an unknown authority is refused, and taken once the authority is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import authority, issue
from peers import Peer, free_port, require_program, wait_for_port, wait_until

pytest.importorskip("httpx2")
pytest.importorskip("paho.mqtt.client")

from connectors.protocols.calendars import CalendarConnector, CalendarSettings
from connectors.protocols.home_assistant import HomeAssistantConnector, HomeAssistantSettings
from connectors.protocols.mqtt import MqttConnector, MqttPoint, MqttSettings
from connectors.protocols.prometheus import PrometheusConnector, PrometheusSeries, PrometheusSettings
from connectors.protocols.redfish import RedfishConnector, RedfishSettings
from connectors.protocols.web import WebSettings
from connectors.registry import TYPES
from twin.errors import BadInputError, OutsideWorldError

pytestmark = pytest.mark.real
BY_WEB: dict[str, Callable] = {
    "prometheus": lambda server: PrometheusConnector("it", PrometheusSettings(server=server, points={})),
    "home_assistant": lambda server: HomeAssistantConnector("it", HomeAssistantSettings(server=server, points={})),
    "calendars": lambda server: CalendarConnector("it", CalendarSettings(server=server, points={})),
    "redfish": lambda server: RedfishConnector("it", RedfishSettings(server=server, hosts={})),
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate for 127.0.0.1, and the authority's certificate ``cacert.pem``."""
    folder = tmp_path_factory.mktemp("keys")
    return issue(authority(folder / "ca"), folder / "server", "server", "127.0.0.1")


@pytest.fixture(scope="module")
def https(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Prometheus over TLS."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")
    (folder / "web.yml").write_text(
        f"tls_server_config: {{cert_file: {keys / 'servercert.pem'}, key_file: {keys / 'serverkey.pem'}}}\n"
    )
    flags = [f"--config.file={folder / 'prometheus.yml'}", f"--web.config.file={folder / 'web.yml'}"]
    flags += [f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"]
    peer = Peer([require_program("prometheus", "prometheus"), *flags], log=folder / "log")
    wait_until(lambda: "ready to receive" in peer.log.read_text(), 20.0, "Prometheus")
    yield f"https://127.0.0.1:{port}"
    peer.stop()


@pytest.fixture(scope="module")
def broker(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """mosquitto over TLS."""
    folder, port = tmp_path_factory.mktemp("broker"), free_port()
    (folder / "conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\ncafile {keys / 'cacert.pem'}\n"
        f"certfile {keys / 'servercert.pem'}\nkeyfile {keys / 'serverkey.pem'}\n"
    )
    peer = Peer([require_program("mosquitto", "mosquitto"), "-c", folder / "conf"], log=folder / "log")
    wait_for_port(port, peer)
    yield port
    peer.stop()


def test_every_connector_of_the_web_is_in_this_file() -> None:
    assert set(BY_WEB) == {name for name, kind in TYPES.items() if "httpx2" in kind.modules}


@pytest.mark.parametrize("kind", BY_WEB)
def test_a_web_service_is_trusted_only_with_its_authority(kind: str, https: str, keys: Path) -> None:
    stranger = BY_WEB[kind](WebSettings(url=https))
    with pytest.raises(OutsideWorldError, match=r"it: its certificate is not trusted .* 'ca_file: FILE'"):
        stranger.web.text("GET", "/-/ready")
    known = BY_WEB[kind](WebSettings(url=https, ca_file=keys / "cacert.pem"))
    assert "Ready" in known.web.text("GET", "/-/ready")
    known.close()


def test_a_service_under_another_name_than_its_certificate_is_refused(https: str, keys: Path) -> None:
    server = WebSettings(url=https.replace("127.0.0.1", "localhost"), ca_file=keys / "cacert.pem")
    with pytest.raises(OutsideWorldError, match=r"not trusted .*localhost"):
        BY_WEB["prometheus"](server).web.text("GET", "/-/ready")


def test_an_authority_that_is_no_certificate_is_bad_input(https: str, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for file, reason in ((tmp_path / "empty.pem", "no certificates"), (tmp_path / "none.pem", "No such file")):
        with pytest.raises(BadInputError, match=rf"it\.ca_file: .*{reason}.* PEM"):
            BY_WEB["prometheus"](WebSettings(url=https, ca_file=file)).web.text("GET", "/-/ready")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves the socket to be collected
def test_a_broker_is_trusted_only_with_its_authority(broker: int, keys: Path) -> None:
    def connector(ca_file: Path | None) -> MqttConnector:
        points = {"a": MqttPoint(state_topic="a")}
        file = str(ca_file) if ca_file else None
        return MqttConnector("it", MqttSettings(host="127.0.0.1", port=broker, ca_file=file, points=points))

    with pytest.raises(OutsideWorldError, match=r"its certificate is not trusted .* 'ca_file: FILE'"):
        connector(None).read(["a"])
    known = connector(keys / "cacert.pem")
    assert known.read(["a"])[0].value is None  # connected; nobody has published yet
    known.close()


def test_prometheus_is_read_over_tls(https: str, keys: Path) -> None:
    server = WebSettings(url=https, ca_file=keys / "cacert.pem")
    points = {"a": PrometheusSeries(query="vector(2)")}
    connector = PrometheusConnector("it", PrometheusSettings(server=server, points=points))
    assert connector.read(["a"])[0].value == 2.0
    connector.close()
