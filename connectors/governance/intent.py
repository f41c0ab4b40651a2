"""What somebody of an identity provider is about to sign, bound to a sign-in by the nonce that the ID token repeats.

The nonce is the digest of all that is signed and of the public half of a key made for this one signature. So the
provider's signature over the ID token covers the decision and the key, as OpenPubkey (Heilman et al., 2023) has it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.governance.people import User, public_half
from twin.plans.records import PlanView
from twin.text.canonical import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A decision that a signed-in person asks to sign."""

    plan_id: str
    decision: str
    """``approve`` or ``reject``."""
    reason: str
    user: str
    session: str
    """Digest of the session's token; the session must still stand when the provider answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A wish under way: used once, kept in this process alone."""

    wish: Wish
    subject: str
    """Issuer and subject of the account: nobody else may answer."""
    salt: str
    key: Ed25519PrivateKey = field(repr=False)
    nonce: str

    @classmethod
    def of(cls, wish: Wish, user: User, view: PlanView) -> Self:
        """The intent of a wish, with a new key and a nonce that nobody can guess."""
        salt, key = secrets.token_hex(32), Ed25519PrivateKey.generate()
        nonce = nonce_of(wish, user.external, salt, public_half(key), view)
        return cls(wish=wish, subject=user.external, salt=salt, key=key, nonce=nonce)

    @property
    def public_key(self) -> str:
        """Public half of the key, in hex."""
        return public_half(self.key)

    def fits(self, view: PlanView) -> bool:
        """Whether the plan is still the one for which the sign-in was begun."""
        again = nonce_of(self.wish, self.subject, self.salt, self.public_key, view)
        return secrets.compare_digest(again, self.nonce)


def nonce_of(wish: Wish, subject: str, salt: str, public_key: str, view: PlanView) -> str:
    """SHA-256 of what is signed, by whom, from which session, for which plan as it is stored now, in hex."""
    return digest(
        {
            "purpose": "Understudy: sign a decision on a plan",
            "wish": wish,
            "subject": subject,
            "salt": salt,
            "public_key": public_key,
            "plan": view.plan.id,
            "site": view.plan.site,
            "plan_nonce": view.record.nonce,
        }
    )
