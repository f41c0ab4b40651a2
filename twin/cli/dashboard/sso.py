"""People of an identity provider as accounts of the workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from twin.cli.dashboard.plans import StoredIdentity, StoredPlans, spoken
from twin.errors import RefusedError, UnderstudyError
from twin.plans.records import PlanView

if TYPE_CHECKING:
    from connectors.governance.fresh_signing import FreshSigning
    from connectors.governance.oidc import Provider
    from dashboard.views import Person
    from twin.cli.dashboard.rooms import Rooms


class StoredSignOn:
    """Signs people in whom the provider vouches for, and lets them sign; their account follows what it says of them."""

    def __init__(self, rooms: Rooms, identity: StoredIdentity, plans: StoredPlans, provider: Provider) -> None:
        self._rooms = rooms
        self._identity = identity
        self._plans = plans
        self._provider = provider
        self.label = provider.settings.label

    def begin(self, after: str, now: datetime) -> tuple[str, str]:
        """Where the browser goes, and the state that must come back with it."""
        return self._provider.begin(after, now)

    def finish(self, answer: Mapping[str, str], state: str, now: datetime) -> tuple[Person, str]:
        """Who came back, and where they wanted to go."""
        room = self._rooms.room()
        try:
            who, after = self._provider.finish(answer, state, now)
            account = room.identity.vouched_for(who.subject, who.name, sorted(who.roles))
        except RefusedError as refusal:
            room.store.note("sign-in", "single sign-on refused", "sign-in", {"why": str(refusal)})
            raise
        person = self._identity.person(account.name)
        if person is None:
            message = f"the account {account.name} is closed"
            raise RefusedError(message)
        return person, after

    def begin_signing(
        self, decision: str, plan_id: str, reason: str, user: str, session: str, now: datetime
    ) -> tuple[str, str]:
        """Where the browser goes so that a person signs a decision by a fresh sign-in, and the state."""
        from connectors.governance.intent import Wish

        wish = Wish(plan_id=plan_id, decision=decision, reason=spoken(reason), user=user, session=session)
        return self._signing().begin(wish, now)

    def signed_by(self, state: str) -> str:
        """Id of the plan that the sign-in of this state is to sign for; empty when it only gets somebody in."""
        intent = self._provider.intent_of(state)
        return intent.wish.plan_id if intent else ""

    def finish_signing(
        self, answer: Mapping[str, str], state: str, now: datetime, stands: Callable[[str, str], bool]
    ) -> PlanView:
        """The plan with the word of who came back, given as local accounts give it; a refusal is in the log."""
        intent = self._provider.intent_of(answer.get("state", ""))
        try:
            wish, who = self._signing().finish(answer, state, now, lambda one: stands(one.session, one.user))
            return self._plans.signed(wish.decision, wish.plan_id, who, wish.reason)
        except UnderstudyError as refusal:
            user, subject = (intent.wish.user, intent.wish.plan_id) if intent else ("sign-in", "sign-in")
            self._rooms.room().store.note(user, "fresh sign-in refused", subject, {"why": str(refusal)})
            raise

    def _signing(self) -> FreshSigning:
        from connectors.governance.fresh_signing import FreshSigning

        room = self._rooms.room()
        return FreshSigning(self._provider, room.store, room.identity)
