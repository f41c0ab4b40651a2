"""The Prometheus connector against Debian's Prometheus with its node exporter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from peers import Peer, free_port, require_program, wait_for_port, wait_until

pytest.importorskip("httpx2")

from connectors.conformance import CHECKS, Trial
from connectors.protocols.prometheus import PrometheusConnector, PrometheusSeries, PrometheusSettings, windows
from connectors.protocols.web import StatusError, WebSettings
from connectors.secret import SecretSource
from twin.errors import BadInputError
from twin.plan import Action, ActionKind
from twin.vocab import PointKind

pytestmark = pytest.mark.real
POINTS = {
    "up": PrometheusSeries(query='up{job="node"}'),
    "memory": PrometheusSeries(query="node_memory_MemTotal_bytes", kind=PointKind.HOST_MEMORY_USED),
    "cpu": PrometheusSeries(query='sum(rate(node_cpu_seconds_total{mode!="idle"}[10s]))'),
    "ghost": PrometheusSeries(query="no_such_metric"),
    "not a number": PrometheusSeries(query="0 / vector(0)"),
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    server, exporter = (
        require_program("prometheus", "prometheus"),
        require_program("prometheus-node-exporter", "prometheus-node-exporter"),
    )
    node, port = free_port(), free_port()
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\nscrape_configs:\n"
        f"  - {{job_name: node, static_configs: [{{targets: ['127.0.0.1:{node}']}}]}}\n"
    )
    flags = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    peers = [
        Peer([exporter, f"--web.listen-address=127.0.0.1:{node}"], log=folder / "node.log"),
        Peer([server, *flags], log=folder / "server.log"),
    ]
    wait_for_port(port, peers[1])
    yield f"http://127.0.0.1:{port}"
    for peer in peers:
        peer.stop()


@pytest.fixture
def connector(url: str) -> Iterator[PrometheusConnector]:
    made = PrometheusConnector("prom", PrometheusSettings(server=WebSettings(url=url), points=POINTS, step_s=1.0))
    wait_until(lambda: made.read(["cpu"])[0].value is not None, 30.0, "two scrapes")
    yield made
    made.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_prometheus_connector_keeps_the_contract(
    check, connector: PrometheusConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_TEST_PROM", "prom-token")
    server = WebSettings(
        url=f"http://127.0.0.1:{free_port()}", token=SecretSource(env="UNDERSTUDY_TEST_PROM"), timeout_s=2
    )
    write = Action(id="a", kind=ActionKind.SET_POINT, connector="prom", point="up", value=0.0, expected=None)
    nobody = PrometheusConnector("nobody", replace(connector.settings, server=server))
    check(
        Trial(
            connector=connector,
            readable=["up", "memory", "cpu"],
            unreadable="ghost",
            forbidden=[write],
            unreachable=nobody,
            timeout_s=5.0,
            secrets=["prom-token"],
        )
    )
    nobody.close()


def test_a_span_beyond_the_servers_limit_is_fetched_in_windows(connector: PrometheusConnector) -> None:
    until = datetime.now(UTC)
    since = until - timedelta(seconds=25_000)
    with pytest.raises(StatusError, match="exceeded maximum resolution"):
        connector.web.json(
            "GET",
            "/api/v1/query_range",
            params={"query": "up", "start": since.timestamp(), "end": until.timestamp(), "step": 1},
        )
    rows = connector.fetch(since, until)
    ups = rows[rows["point"] == "up"]
    assert set(ups["value"]) == {1.0}
    assert ups["timestamp"].is_unique
    assert str(rows["timestamp"].dt.tz) == "UTC"


def test_windows_cover_the_span_once_on_the_grid() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    spans = list(windows(start, start + timedelta(seconds=60 * 25_000), 60.0))
    assert [int((end - begin).total_seconds() // 60) + 1 for begin, end in spans] == [10_000, 10_000, 5_000]
    assert all((begin - start).total_seconds() % 60 == 0 for begin, _ in spans)
    assert all(later[0] - earlier[1] == timedelta(seconds=60) for earlier, later in pairwise(spans))


def test_not_a_number_is_no_value(connector: PrometheusConnector) -> None:
    assert connector.read(["not a number"])[0].value is None


def test_a_query_that_gives_several_series_is_a_mistake_to_mend(connector: PrometheusConnector) -> None:
    many = {"cpu": PrometheusSeries(query="node_cpu_seconds_total")}
    other = PrometheusConnector("prom", replace(connector.settings, points=many))
    with pytest.raises(BadInputError, match=r"series .* name labels or aggregate"):
        other.read(["cpu"])
    other.close()


def test_what_the_server_holds_is_proposed_with_queries_that_give_one_value(url: str) -> None:
    prom = PrometheusConnector("prom", PrometheusSettings(server=WebSettings(url=url), points={}))
    found = prom.discover().points
    cpu = next(one for one in found if one.kind is PointKind.HOST_CPU_UTILIZATION)
    series = PrometheusSeries(query=str(cpu.place["query"]), kind=cpu.kind)
    asked = PrometheusConnector("prom", PrometheusSettings(server=WebSettings(url=url), points={"cpu": series}))
    value = wait_until(lambda: asked.read(["cpu"])[0].value, 20.0, "a rate")
    for connector in (prom, asked):
        connector.close()
    assert 0.0 < value <= 1.0
