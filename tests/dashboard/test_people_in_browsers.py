"""Several people at their browsers at once, with the rights that each has, and a session that ends by time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("playwright")

from browser import CHROMIUM, Watched, context_of, serving
from dashboard_example import PASSWORD, RUN, Example, callback_body
from playwright.sync_api import Browser

from dashboard.app import Dashboard
from dashboard.sessions import IDLE
from twin.plan import PlanState

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium (see .ci/packages.txt)"),
]
Opened = Callable[[str], Watched]


@pytest.fixture
def person(browser: Browser, made: Dashboard) -> Iterator[Opened]:
    """A signed-in browser of the person named."""
    contexts = []
    with serving(made.server) as base:

        def opened(user: str) -> Watched:
            contexts.append(context_of(browser, base, "light"))
            one = Watched(contexts[-1], base)
            one.sign_in(user, PASSWORD)
            return one

        yield opened
        for context in contexts:
            context.close()


def waiting(world: Example) -> str:
    return next(one.plan.id for one in world.plans.all() if one.record.state is PlanState.PROPOSED)


def test_of_two_who_approve_at_once_one_signs_and_the_other_is_told(person: Opened, world: Example) -> None:
    plan_id = waiting(world)
    both = [person("anna"), person("aron")]
    for one in both:
        one.see(f"/plans/{plan_id}")
        one.page.get_by_role("button", name="Approve").click()
        one.page.fill("#approve-reason", "looked at")
        one.page.fill("#approve-password", PASSWORD)
    for one in both:  # neither waits for the answer to the other
        one.page.locator("#approve-act").click()
    for one in both:
        one.page.get_by_text("approved").first.wait_for()
    told = [one.page.inner_text("body") for one in both]
    assert sum("The plan is approved." in text for text in told) == 1
    assert sum("the plan is already approved; nothing was signed" in text for text in told) == 1
    approved = world.plans.get(plan_id)
    assert (approved.record.state, len(approved.approvals)) == (PlanState.APPROVED, 1)


def test_who_may_only_look_finds_no_button_that_acts_and_cannot_press_one_by_hand(
    person: Opened, world: Example, made: Dashboard
) -> None:
    vera = person("vera")
    for path in ("/now", "/scenarios", f"/plans/{waiting(world)}", "/push", "/settings"):
        vera.see(path)
        for name in ("Release all", "Build a what-if", "Approve", "Reject", "Pause", "Stop and roll back", "Add"):
            assert vera.page.get_by_role("button", name=name, exact=True).count() == 0, (path, name)
    body = callback_body(made, "release-password.value", {"release-act.n_clicks": 1})
    status = vera.page.evaluate(
        """async ([target, body]) => (await fetch(target, {method: 'POST', body: JSON.stringify(body),
            headers: {'Content-Type': 'application/json'}})).status""",
        [RUN, body],
    )
    assert status == 403
    assert world.plans.calls == []


def test_a_session_that_ends_by_time_leads_to_the_sign_in_page_and_back(person: Opened, world: Example) -> None:
    anna = person("anna")
    plan_id = waiting(world)
    anna.see(f"/plans/{plan_id}")
    world.clock.moment += IDLE
    anna.page.wait_for_url(f"**/signin?next=%2Fplans%2F{plan_id}", timeout=15_000)
    anna.page.fill("#user", "anna")
    anna.page.fill("#password", PASSWORD)
    anna.page.click("button")
    anna.page.get_by_role("button", name="Approve").wait_for()
