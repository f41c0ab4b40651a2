"""What travels compressed, and that it is the same when unpacked."""

from __future__ import annotations

import gzip
import re

import pytest
from dashboard_example import Client
from flask.testing import FlaskClient

GZIP = {"Accept-Encoding": "gzip, br"}


@pytest.fixture
def otto(client: Client) -> FlaskClient:
    return client("otto")


def script(otto: FlaskClient) -> str:
    page = otto.get("/now").get_data(as_text=True)
    found = re.search(r'src="(/_dash-component-suites/dash/deps/react-dom[^"]+)"', page)
    assert found is not None
    return found.group(1)


def test_a_script_is_sent_compressed_to_those_who_accept_it(otto: FlaskClient) -> None:
    address = script(otto)
    plain, packed = otto.get(address), otto.get(address, headers=GZIP)
    assert plain.headers.get("Content-Encoding") is None
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert int(packed.headers["Content-Length"]) < 0.4 * int(plain.headers["Content-Length"])
    assert gzip.decompress(packed.data) == plain.data
    assert otto.get(address, headers=GZIP).data == packed.data
    assert "max-age=31536000" in packed.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/assets/tiles.js", "/_dash-dependencies"])
def test_assets_and_data_too(otto: FlaskClient, path: str) -> None:
    with otto.get(path, headers=GZIP) as packed, otto.get(path) as plain:
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.data) == plain.data
        assert packed.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/now", "/api/v1/live", "/assets/later.js"])
def test_pages_the_interface_and_what_is_small_stay_as_they_are(otto: FlaskClient, path: str) -> None:
    with otto.get(path, headers=GZIP) as answer:
        assert answer.headers.get("Content-Encoding") is None
