"""Which policy text is in force: a looser one only after two people, one who puts it forward and one who accepts it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from connectors.governance.identity import Identity
from connectors.governance.loosening import loosened
from connectors.governance.people import Principal, Role
from connectors.governance.policy import PolicyBundle
from connectors.plan_store import PlanStore
from twin.errors import RefusedError
from twin.ports import Clock
from twin.text.canonical import canonical, plain, thing_from

_IN_FORCE = "in-force"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """A policy text with what became of it."""

    site: str
    digest: str
    text: str
    loosened: tuple[str, ...] = ()
    """Requests that it allows and the text before it refused."""
    replaces: str = ""
    proposed_by: str = ""
    proposer: str = ""
    """The person behind the account."""
    accepted_by: str = ""
    person: str = ""
    reason: str = ""
    at: datetime | None = None
    signature: str = ""
    """Of the person who accepted it, over all other fields."""

    def message(self) -> bytes:
        """What was signed."""
        body: dict[str, object] = plain(self)
        return canonical({key: value for key, value in body.items() if key != "signature"})


class Rulebook:
    """The policy texts of a site in the plan store, so that each change has its audit row."""

    def __init__(self, store: PlanStore, identity: Identity, clock: Clock) -> None:
        self._store = store
        self._identity = identity
        self._clock = clock

    def in_force(self) -> Rules | None:
        """The text in force; None before the first was looked at."""
        return self._get(_IN_FORCE)

    def look(self, bundle: PolicyBundle) -> Rules:
        """What is known of a text; one that is not looser than the text in force takes its place.

        The first text of a workspace is in force as it is.
        """
        present = self.in_force()
        if present is not None and present.digest == bundle.digest:
            return present
        if (known := self._get(bundle.digest)) is not None and present is not None and known.replaces == present.digest:
            return known
        rules = Rules(site=self._store.site, digest=bundle.digest, text=bundle.text)
        if present is None:
            return self._enforce(rules, "console", "policy in force")
        examples = loosened(PolicyBundle(present.text, present.digest), bundle)
        rules = replace(rules, loosened=examples, replaces=present.digest)
        if not examples:
            return self._enforce(rules, "console", "policy tightened")
        with self._store.ledger.transaction(
            "console", "policy loosened", self._subject(rules), self._facts(rules)
        ) as t:
            t.put("policy", rules.digest, rules)
        return rules

    def refusal(self, bundle: PolicyBundle) -> str:
        """Why nothing may be pushed under a text; empty when it is in force."""
        rules = self.look(bundle)
        if not rules.loosened or (rules.signature and self._is_signed(rules)):
            return ""
        return (
            f"the policy text {rules.digest[:12]} is looser than {rules.replaces[:12]}, which is in force: it would "
            f"allow {rules.loosened[0]}. 'understudy policy propose' and, by another person, 'understudy policy accept'"
        )

    def propose(self, bundle: PolicyBundle, who: Principal) -> Rules:
        """Puts a looser text forward in one's own name.

        Raises:
            RefusedError: no right to, or the text is in force already.
        """
        who.require(Role.PROPOSER, Role.ADMIN, scope="propose policy")
        rules = self._require_waiting(bundle)
        put = replace(rules, proposed_by=who.name, proposer=who.person)
        with self._store.ledger.transaction(who.name, "policy proposed", self._subject(put), self._facts(put)) as t:
            t.put("policy", put.digest, put)
        return put

    def accept(self, bundle: PolicyBundle, who: Principal, reason: str) -> Rules:
        """Signs a looser text, which is in force from then on; open plans must be proposed anew.

        Raises:
            RefusedError: nobody proposed it, the same person did, no approver, or no password was given.
        """
        who.require(Role.APPROVER, scope="accept policy")
        rules = self._require_waiting(bundle)
        if not rules.proposed_by:
            message = f"policy {rules.digest[:12]}: nobody put it forward; 'understudy policy propose' first"
            raise RefusedError(message)
        if who.person == rules.proposer:
            message = f"policy {rules.digest[:12]}: {who.name} put it forward; another person must accept it"
            raise RefusedError(message)
        if who.key is None or who.service:
            message = f"{who.name} gave no password; a signature needs it, and a token or service never accepts rules"
            raise RefusedError(message)
        named = replace(
            rules, accepted_by=who.name, person=who.person, reason=reason, at=self._clock.now(), signature=""
        )
        signed = replace(named, signature=who.key.sign(named.message()).hex())
        return self._enforce(signed, who.name, "policy accepted")

    def _require_waiting(self, bundle: PolicyBundle) -> Rules:
        rules = self.look(bundle)
        if not rules.loosened or rules.signature:
            message = f"policy {rules.digest[:12]} is in force already; nothing is to be accepted"
            raise RefusedError(message)
        return rules

    def _enforce(self, rules: Rules, actor: str, event: str) -> Rules:
        with self._store.ledger.transaction(actor, event, self._subject(rules), self._facts(rules)) as t:
            t.put("policy", rules.digest, rules)
            t.put("policy", _IN_FORCE, rules)
        return rules

    def _is_signed(self, rules: Rules) -> bool:
        user = self._identity.user(rules.accepted_by)
        if user is None or user.person == rules.proposer or rules.site != self._store.site:
            return False
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(user.public_key))
            key.verify(bytes.fromhex(rules.signature), rules.message())
        except (InvalidSignature, ValueError):
            return False
        return True

    def _get(self, key: str) -> Rules | None:
        body = self._store.ledger.get("policy", key)
        return None if body is None else thing_from(Rules, body)

    @staticmethod
    def _subject(rules: Rules) -> str:
        return f"policy {rules.digest[:16]}"

    @staticmethod
    def _facts(rules: Rules) -> dict[str, object]:
        return {"digest": rules.digest, "replaces": rules.replaces, "loosened": rules.loosened, "reason": rules.reason}
