"""A small OpenID Connect provider on the loopback device, for tests: discovery, keys, codes with PKCE, ID tokens."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from connectors.settings.template import TEMPLATE

Claims = dict[str, Any]
CLIENT, SECRET = "understudy", "provider-secret"


@cache
def signing_key() -> RSAKey:
    """The key of every provider of a test run; making one takes longer than most tests."""
    return RSAKey.generate_key(2048, {"kid": "k1", "use": "sig", "alg": "RS256"})


class IdentityProvider:
    """Signs anybody in as one person; a test may bend the ID token before it is signed, or the key."""

    def __init__(self, redirect_url: str) -> None:
        self.redirect_url = redirect_url
        self.key = signing_key()
        self.signing_key = self.key
        self.bend: Callable[[Claims], Claims] = lambda claims: claims
        self.asked: list[dict[str, str]] = []
        """Queries with which browsers came."""
        self.issued: list[str] = []
        """ID tokens, as they were given out."""
        self.person: Claims = {"sub": "4711", "preferred_username": "paula", "groups": ["energy-team"]}
        self._codes: dict[str, dict[str, str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def discovery(self) -> Claims:
        ends = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/jwks"}
        return {"issuer": self.issuer, **{name: self.issuer + path for name, path in ends.items()}}

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser is sent back to."""
        assert (query["client_id"], query["redirect_uri"]) == (CLIENT, self.redirect_url)
        assert query["code_challenge_method"] == "S256"
        self.asked.append(query)
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        answer = {"code": code, "state": query["state"], "iss": self.issuer}
        return f"{self.redirect_url}?{urlencode(answer)}"

    def token(self, form: dict[str, str]) -> tuple[int, Claims]:
        begun = self._codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if begun is None or begun["code_challenge"] != challenge or form["client_secret"] != SECRET:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": begun["nonce"],
            **({"auth_time": now} if "max_age" in begun else {}),
            **self.person,
        }
        token = jwt.encode({"alg": "RS256", "kid": "k1"}, self.bend(claims), self.signing_key)
        self.issued.append(token)
        return 200, {"id_token": token}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path == "/authorize":
                    query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                    self.send_response(302)
                    self.send_header("Location", provider.authorize(query))
                    self.end_headers()
                    return
                keys = KeySet([provider.key]).as_dict(private=False)
                self._say(200, provider.discovery() if parts.path.startswith("/.well-known/") else keys)

            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._say(*provider.token({key: values[0] for key, values in parse_qs(text).items()}))

            def _say(self, status: int, document: object) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def configured(folder: Path, provider: IdentityProvider) -> None:
    """Makes a folder the workspace of a site whose people sign in through the provider."""
    (folder / "site.yaml").write_text(TEMPLATE, encoding="utf-8")
    secret = folder / "oidc.secret"
    secret.write_text(SECRET, encoding="utf-8")
    secret.chmod(0o600)
    settings = {
        "issuer": provider.issuer,
        "client_id": CLIENT,
        "client_secret_file": secret.name,
        "redirect_url": provider.redirect_url,
        "label": "Sign in with the house account",
        "roles": {"energy-team": ["viewer", "proposer"], "control-room": ["operator"], "deciders": ["approver"]},
    }
    (folder / "oidc.json").write_text(json.dumps(settings), encoding="utf-8")


def path_back(address: str) -> str:
    """The path to which the provider sends a browser that comes to this address of it."""
    answer = httpx2.get(address)
    assert answer.status_code == 302
    parts = urlsplit(answer.headers["Location"])
    return f"{parts.path}?{parts.query}"
