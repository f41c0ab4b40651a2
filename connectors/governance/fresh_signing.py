"""Signing by a fresh sign-in: how an account without a password gives its word on a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from connectors.governance.identity import Identity
from connectors.governance.intent import Intent, Wish
from connectors.governance.oidc import Begun, Identified, Provider
from connectors.governance.people import FreshSignIn, Principal
from connectors.plan_store import PlanStore
from twin.errors import RefusedError


class FreshSigning:
    """Sends a person to the identity provider for one decision, and takes what comes back once."""

    def __init__(self, provider: Provider, store: PlanStore, identity: Identity) -> None:
        self._provider = provider
        self._store = store
        self._identity = identity

    def begin(self, wish: Wish, now: datetime) -> tuple[str, str]:
        """Where the browser goes, and the state that its cookie must bring back.

        Raises:
            RefusedError: the account is closed, or has a password, with which it signs.
            OutsideWorldError: the provider does not answer.
        """
        user = self._identity.user(wish.user)
        if user is None or user.disabled or not user.external:
            message = f"{wish.user} does not sign in through the identity provider: sign with the password"
            raise RefusedError(message)
        intent = Intent.of(wish, user, self._store.view(wish.plan_id))
        return self._provider.begin(f"/plans/{wish.plan_id}", now, intent)

    def finish(
        self, answer: Mapping[str, str], cookie_state: str, now: datetime, stands: Callable[[Wish], bool]
    ) -> tuple[Wish, Principal]:
        """What the person wished, and the person, who may sign it and nothing else; the log has the proof.

        Args:
            answer: query of the address to which the provider sent the browser.
            cookie_state: the state that the browser's cookie brought.
            now: the moment, by this machine's clock.
            stands: whether the session of a wish is still open, for an account whose roles are as they were.

        Raises:
            RefusedError: used already, too late, another browser, session, person or plan, or the ID token does not
                hold or shows no fresh sign-in.
            OutsideWorldError: the provider does not answer.
        """
        begun = self._provider.taken(answer.get("state", ""))
        intent = begun.intent
        if intent is None:
            raise RefusedError("this sign-in was begun to get in, not to sign")
        if not stands(intent.wish):
            raise RefusedError("the session in which this was begun has ended, or the roles have changed since")
        who = self._identified(begun, intent, answer, cookie_state, now)
        if not intent.fits(self._store.view(intent.wish.plan_id)):
            raise RefusedError("the plan is not the one for which this was begun; look at it and begin again")
        return intent.wish, self._proved(intent, who)

    def _identified(
        self, begun: Begun, intent: Intent, answer: Mapping[str, str], cookie_state: str, now: datetime
    ) -> Identified:
        who = self._provider.identified(begun, answer, cookie_state, now)
        if who.subject != intent.subject:
            message = f"another person signed in at the identity provider: {who.name}, not {intent.wish.user}"
            raise RefusedError(message)
        return who

    def _proved(self, intent: Intent, who: Identified) -> Principal:
        """The person, with the roles that the provider gives them as of now."""
        if who.auth_time is None:
            raise RefusedError("the identity provider showed no fresh sign-in")
        account = self._identity.vouched_for(who.subject, who.name, sorted(who.roles))
        proof = FreshSignIn(
            public_key=intent.public_key,
            user=account.name,
            subject=who.subject,
            plan_id=intent.wish.plan_id,
            decision=intent.wish.decision,
            nonce=intent.nonce,
            token_digest=who.token_digest,
            auth_time=who.auth_time,
        )
        return self._identity.signed_in_afresh(proof, intent.key)
