"""Requests to web services: certificates checked, redirects not followed, answers bounded, no secret in a message."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import httpx2

from connectors.protocols.trust import distrusted, trust
from connectors.secret import Secret, SecretSource, basic_login, scrub
from twin.errors import BadInputError, OutsideWorldError

MOST_BYTES = 50_000_000
_LOGIN = frozenset({401, 403})


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Where a service is and how to log in: a token, or user and password, or neither."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # read by pydantic from the class, never changed

    url: str
    username: str | None = None
    password: SecretSource | None = None
    token: SecretSource | None = None
    ca_file: Path | None = None
    """Certificates to trust instead of the system's."""
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if not self.url.startswith(("https://", "http://")) or "@" in self.url.partition("://")[2].partition("/")[0]:
            message = "url: write https://HOST[:PORT][/PATH] without user or password; those have settings of their own"
            raise BadInputError(message)


class StatusError(OutsideWorldError):
    """The service answered with an error."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Web:
    """One service; the connection is opened at the first request and kept."""

    def __init__(self, name: str, settings: WebSettings) -> None:
        self._name = name
        self._settings = settings
        self._secrets: list[Secret] = []
        self.date_header: str | None = None
        """When the server said that it last answered."""
        self._client: httpx2.Client | None = None

    def _opened(self) -> httpx2.Client:
        if self._client is None:
            wanted = self._settings
            headers: dict[str, str] = {}
            auth: tuple[str, str] | None = None
            if wanted.token is not None:
                self._secrets.append(wanted.token.load(f"{self._name}.token"))
                headers["Authorization"] = f"Bearer {self._secrets[-1].reveal()}"
            elif wanted.password is not None:
                password = wanted.password.load(f"{self._name}.password")
                auth = (wanted.username or "", password.reveal())
                self._secrets += [password, basic_login(wanted.username or "", password)]
            self._client = httpx2.Client(
                base_url=wanted.url,
                headers=headers,
                auth=auth,
                verify=trust(wanted.ca_file, f"{self._name}.ca_file"),
                timeout=wanted.timeout_s,
                follow_redirects=False,
                trust_env=False,
            )
        return self._client

    def text(self, method: str, path: str, **options: Any) -> str:  # as the client takes them
        """The body of a successful answer.

        Raises:
            StatusError: the service answered with an error.
            OutsideWorldError: no answer, or more than ``MOST_BYTES``.
        """
        try:
            with self._opened().stream(method, path, **options) as answer:
                self.date_header = answer.headers.get("Date")
                body = bytearray()
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > MOST_BYTES:
                        message = f"{self._name}: the answer is longer than {MOST_BYTES} bytes"
                        raise OutsideWorldError(message)
                encoding = answer.encoding or "utf-8"
        except httpx2.HTTPError as error:
            self._fail(distrusted(error, "ca_file") or f"no answer ({type(error).__name__}: {error})")
        except OSError as error:
            self._fail(f"no answer ({error})")
        text = body.decode(encoding, errors="replace")
        if answer.status_code >= 300:
            self._refuse(answer.status_code, path, text)
        return text

    def json(self, method: str, path: str, **options: Any) -> Any:
        """The body as strict JSON: no NaN, no Infinity.

        Raises:
            OutsideWorldError: no answer, an error, or no JSON.
        """
        text = self.text(method, path, **options)
        try:
            return json.loads(text, parse_constant=_no_constant) if text else None
        except (ValueError, RecursionError):
            self._fail(f"{path} does not answer in JSON")

    def _refuse(self, status: int, path: str, text: str) -> NoReturn:
        hint = "; the login is not accepted, renew it" if status in _LOGIN else f": {text[:300]}"
        raise StatusError(scrub(f"{self._name}: {path} answered {status}{hint}", self._secrets), status)

    def _fail(self, what: str) -> NoReturn:
        raise OutsideWorldError(scrub(f"{self._name}: {what}", self._secrets)) from None

    def close(self) -> None:
        """Closes the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
