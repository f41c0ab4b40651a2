"""Sign-in through an identity provider: OpenID Connect, authorization code with PKCE, ID token checked in full.

Sources: OpenID Connect Core 1.0 (3.1, ID token validation 3.1.3.7, ``prompt``, ``max_age`` and ``auth_time`` 3.1.2.1),
RFC 7636 (PKCE), RFC 9207 (issuer in the answer).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.governance.intent import Intent
from connectors.governance.people import Role
from twin.errors import BadInputError, OutsideWorldError, RefusedError

ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "EdDSA"]
"""What an ID token may be signed with; never ``none`` and never a shared secret."""
PENDING = timedelta(minutes=10)
PENDING_AFRESH = timedelta(minutes=5)
"""So long a fresh sign-in may take; with the clocks' leeway also the greatest age of what it proves."""
MOST_PENDING = 1000
LEEWAY_S = 60
"""Difference of two machines' clocks that is forgiven. [s]"""
TIMEOUT_S = 10.0
NOT_BEGUN = "this sign-in was not begun here, was used already, or took too long; begin again"


class ProviderSettings(BaseModel):
    """``oidc.json`` of a workspace."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str
    client_id: Annotated[str, Field(min_length=1)]
    client_secret_file: str = ""
    """File with mode 0600 beside the settings; empty: a public client, which PKCE protects."""
    redirect_url: str
    """Address of this dashboard with the path ``/signin/sso/back``, as it is registered at the provider."""
    label: str = "Single sign-on"
    user_claim: str = "preferred_username"
    """Name of the account; also the person behind it, so that a local account of theirs counts as the same person."""
    role_claim: str = "groups"
    roles: dict[str, list[Role]] = Field(default={})
    """Value of the role claim → roles here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """Whom the provider vouches for."""

    subject: str
    """Issuer and subject: never given to another person, unlike a name."""
    name: str
    roles: frozenset[Role]
    token_digest: str
    """SHA-256 of the ID token, in hex."""
    auth_time: datetime | None
    """When the provider saw them sign in; None when it was not asked for a fresh sign-in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A sign-in under way: what its answer must fit."""

    nonce: str
    verifier: str
    next: str
    at: datetime
    until: datetime
    intent: Intent | None
    """What a fresh sign-in signs; None: it only signs in."""


def read_settings(path: Path) -> ProviderSettings | None:
    """The settings of a workspace; None when it has none.

    Raises:
        BadInputError: they are malformed, or an address is not https (but on this machine itself).
    """
    if not path.exists():
        return None
    try:
        settings = ProviderSettings.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, ValidationError) as error:
        message = f"{path}: {error}"
        raise BadInputError(message) from None
    for address in (settings.issuer, settings.redirect_url):
        _require_private(address)
    return settings


def _require_private(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost", "::1"}):
        message = f"{address}: an identity provider is reached by https only (http on this machine itself)"
        raise BadInputError(message)


def _fresh(claims: Mapping[str, Any], since: datetime, now: datetime) -> datetime:
    """When somebody signed in, which must lie between two moments (but for the clocks' leeway)."""
    said = claims.get("auth_time")
    if not isinstance(said, int | float) or isinstance(said, bool):
        raise RefusedError(
            "the ID token does not say when the person signed in (auth_time), so nothing shows it is fresh"
        )
    first, last = since.timestamp() - LEEWAY_S, now.timestamp() + LEEWAY_S
    if not first <= said <= last:
        message = (
            f"the sign-in is not fresh: auth_time {said:.0f} must lie between {first:.0f} and {last:.0f}, that is "
            f"since this was begun, {LEEWAY_S} s of clock difference forgiven"
        )
        raise RefusedError(message)
    return datetime.fromtimestamp(said, UTC)


class Provider:
    """One identity provider; sign-ins that were begun are kept in this process, each for one use."""

    def __init__(self, settings: ProviderSettings, folder: Path) -> None:
        self.settings = settings
        self._folder = folder
        self._begun: dict[str, Begun] = {}
        self._lock = Lock()
        self._facts: Mapping[str, Any] = {}

    def begin(self, after: str, now: datetime, intent: Intent | None = None) -> tuple[str, str]:
        """Where the browser goes to sign in, and the state that its cookie must bring back.

        Args:
            after: where the person wants to go then.
            now: the moment, by this machine's clock.
            intent: what the sign-in signs: the provider must then ask the person anew, whoever is signed in there.

        Raises:
            OutsideWorldError: the provider does not answer.
        """
        state = secrets.token_urlsafe(32)
        begun = Begun(
            nonce=intent.nonce if intent else secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            next=after,
            at=now,
            until=now + (PENDING_AFRESH if intent else PENDING),
            intent=intent,
        )
        with self._lock:
            self._begun = {key: one for key, one in self._begun.items() if one.until > now}
            if len(self._begun) >= MOST_PENDING:
                self._begun.pop(next(iter(self._begun)))
            self._begun[state] = begun
        challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": self.settings.redirect_url,
            "scope": "openid profile email",
            "state": state,
            "nonce": begun.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        } | ({"prompt": "login", "max_age": "0"} if intent else {})
        return f"{self._discovered()['authorization_endpoint']}?{urlencode(query)}", state

    def finish(self, answer: Mapping[str, str], cookie_state: str, now: datetime) -> tuple[Identified, str]:
        """Whom the provider sent back, and where they wanted to go.

        Raises:
            RefusedError: the answer belongs to no sign-in begun in this browser, or its token does not hold.
            OutsideWorldError: the provider does not answer.
        """
        begun = self.taken(answer.get("state", ""))
        return self.identified(begun, answer, cookie_state, now), begun.next

    def intent_of(self, state: str) -> Intent | None:
        """What the sign-in of a state is to sign; None when it signs nothing, or is not under way."""
        begun = self._begun.get(state)
        return None if begun is None else begun.intent

    def taken(self, state: str) -> Begun:
        """The sign-in of a state, which is used up by this, whatever comes of it.

        Raises:
            RefusedError: none is under way.
        """
        with self._lock:
            begun = self._begun.pop(state, None)
        if begun is None:
            raise RefusedError(NOT_BEGUN)
        return begun

    def identified(self, begun: Begun, answer: Mapping[str, str], cookie_state: str, now: datetime) -> Identified:
        """Whom the provider vouches for in the answer to a sign-in; a fresh one must have happened since it was begun.

        Raises:
            RefusedError: the answer came to another browser or too late, or its token does not hold.
            OutsideWorldError: the provider does not answer.
        """
        same_browser = secrets.compare_digest(answer.get("state", "").encode(), cookie_state.encode())
        if begun.until <= now or not same_browser:
            raise RefusedError(NOT_BEGUN)
        if "error" in answer or "code" not in answer:
            message = f"the identity provider refused: {answer.get('error', 'no code')[:80]}"
            raise RefusedError(message)
        if answer.get("iss", self.settings.issuer) != self.settings.issuer:
            raise RefusedError("the answer comes from another identity provider")
        token = self._token(answer["code"], begun.verifier)
        claims = self._claims(token, begun.nonce, now)
        auth_time = _fresh(claims, begun.at, now) if begun.intent else None
        return self._vouched(claims, hashlib.sha256(token.encode()).hexdigest(), auth_time)

    def _token(self, code: str, verifier: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.settings.redirect_url,
            "client_id": self.settings.client_id,
            "code_verifier": verifier,
        }
        if self.settings.client_secret_file:
            form["client_secret"] = self._secret()
        answer = self._asked("POST", self._discovered()["token_endpoint"], form)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise RefusedError("the identity provider gave no ID token for this code")
        return token

    def _secret(self) -> str:
        path = self._folder / self.settings.client_secret_file
        if not path.is_file() or path.stat().st_mode & 0o077:
            message = f"{path}: must be a file that only its owner can read (chmod 600)"
            raise BadInputError(message)
        return path.read_text(encoding="utf-8").strip()

    def _claims(self, token: str, nonce: str, now: datetime) -> Mapping[str, Any]:
        """Claims of an ID token whose signature, issuer, audience, times and nonce hold."""
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        registry = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self.settings.issuer},
            aud={"essential": True, "value": self.settings.client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            keys = KeySet.import_key_set(self._asked("GET", self._discovered()["jwks_uri"]))  # type: ignore[arg-type]
            claims = jwt.decode(token, keys, algorithms=ALGORITHMS).claims
            registry.validate(claims)
        except (JoseError, ValueError, KeyError) as error:
            message = f"the ID token does not hold: {type(error).__name__}: {error}"
            raise RefusedError(message) from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self.settings.client_id) != self.settings.client_id:
            raise RefusedError("the ID token does not hold: it was made for another party")
        return claims

    def _vouched(self, claims: Mapping[str, Any], token_digest: str, auth_time: datetime | None) -> Identified:
        name = claims.get(self.settings.user_claim)
        if not isinstance(name, str) or not name:
            message = f"the ID token has no claim {self.settings.user_claim!r}, which names the account"
            raise RefusedError(message)
        given = claims.get(self.settings.role_claim, ())
        values = {given} if isinstance(given, str) else {one for one in given if isinstance(one, str)}
        roles = frozenset(role for value in values for role in self.settings.roles.get(value, ()))
        return Identified(
            subject=f"{self.settings.issuer}#{claims['sub']}",
            name=name.lower(),
            roles=roles,
            token_digest=token_digest,
            auth_time=auth_time,
        )

    def _discovered(self) -> Mapping[str, Any]:
        if not self._facts:
            address = self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
            facts = self._asked("GET", address)
            if facts.get("issuer") != self.settings.issuer:
                message = f"{address} describes issuer {facts.get('issuer')!r}, not {self.settings.issuer!r}"
                raise RefusedError(message)
            for key in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                _require_private(str(facts.get(key, "")))
            self._facts = facts
        return self._facts

    @staticmethod
    def _asked(method: str, address: str, form: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        """A JSON object of the provider."""
        import httpx2

        try:
            answer = httpx2.request(method, address, data=dict(form) if form else None, timeout=TIMEOUT_S)
            document = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            message = f"{address}: the identity provider does not answer as it should: {type(error).__name__}"
            raise OutsideWorldError(message) from None
        if answer.status_code >= 500 or not isinstance(document, dict):
            message = f"{address}: the identity provider answered {answer.status_code}"
            raise OutsideWorldError(message)
        return document
