"""What a change makes of a plan's and a step's record; pure, and refused where the table of states lacks the move."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from twin.errors import RefusedError
from twin.plan import require_transition
from twin.plans.records import Change, PlanRecord, StepRecord


class StaleVersionError(RefusedError):
    """Someone else changed the plan since it was read."""


class FencedError(RefusedError):
    """Another process has taken the site's lease over."""


def next_record(before: PlanRecord, change: Change, now: datetime) -> PlanRecord:
    """The plan's record after a change, by the table of states.

    Raises:
        RefusedError: the version moved on, the nonce does not fit, or the table lacks the move.
    """
    if change.version != before.version:
        message = f"plan {before.plan_id[:12]} is at version {before.version}, not {change.version}: someone changed it"
        raise StaleVersionError(message)
    after = replace(before, version=before.version + 1)
    if change.consume_nonce is not None:
        if before.consumed or change.consume_nonce != before.nonce:
            message = f"plan {before.plan_id[:12]} was started before ({before.consumed or 'another nonce'})"
            raise RefusedError(message)
        after = replace(after, consumed=f"{change.actor} at {now.isoformat()}")
    if change.attempts is not None:
        after = replace(after, attempts=change.attempts)
    if change.waves_passed is not None:
        after = replace(after, waves_passed=change.waves_passed)
    if change.state is not None and change.state is not before.state:
        require_transition(before.state, change.state)
        after = replace(after, state=change.state, since=now, reason=change.reason, deadline=change.deadline)
    return after


def next_step(before: StepRecord, change: StepRecord) -> StepRecord:
    """A step's record after a change; the prior value is written once."""
    if not before.prior_known:
        return change
    return replace(change, prior_known=True, prior=before.prior, prior_held_by=before.prior_held_by)
