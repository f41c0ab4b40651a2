"""What a plan carries of its origin: digests, health of data and twin, what was weighed and not taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from twin.cli.workspace import Workspace

if TYPE_CHECKING:
    from twin.cli.proposals import Proposal
    from twin.health.finding import Finding
    from twin.model import Model
    from twin.plans.document import Alternative, Evidence


def evidence_of(
    here: Workspace,
    proposal: Proposal,
    model: Model,
    policy_digest: str,
    seed: int,
    age: timedelta,
    findings: Sequence[Finding] = (),
) -> Evidence:
    """All that a plan was derived from, by digest where there is one.

    Args:
        here: the workspace.
        proposal: what was found.
        model: the calibrated twin.
        policy_digest: of the rules in force.
        seed: of samples and search.
        age: of the newest telemetry when the plan is made.
        findings: what must be known of the days ahead as forecast, and of what calibration has seen.
    """
    from twin.building.points import changed_points
    from twin.plans.document import Evidence

    changed = changed_points(here.site, proposal.policy)
    from connectors.ingest import Telemetry
    from twin.health.finding import told_by_kind

    stale = (f"the telemetry ends {age.days} days before the plan was made: ingest newer",) if age.days > 0 else ()
    return Evidence(
        scenario=f"goal {proposal.goal.text()}",
        seed=seed,
        model_id=model.model_id,
        data_digest=model.data_digest,
        site_digest=here.site_file.digest,
        policy_digest=policy_digest,
        code_version=model.code_version,
        candidate_policy={point: f"{value:g}" for point, value in changed.items()},
        data_health=(
            *stale,
            *told_by_kind((*findings, *Telemetry(here.var("telemetry")).findings())),
            *model.findings,
        ),
        calibration=_errors_of(model.metrics),
        assumptions=(
            "people, lights, plugs and VM demand as forecast from the telemetry; weather as the forecast says",
            "the site runs as its file says under 'operation' where the plan changes nothing",
        ),
        ensemble_saving_pct=tuple(round(vote, 2) for vote in proposal.votes),
    )


def _errors_of(metrics: Mapping[str, float]) -> dict[str, float]:
    """Errors of the twin on weeks that it never saw: rooms together, each meter by itself."""
    import math

    return {
        name: value for name, value in metrics.items() if not name.startswith("zone_rmse_k/") and math.isfinite(value)
    }


def alternatives_of(proposal: Proposal, most: int = 4) -> tuple[Alternative, ...]:
    """The best candidates that were not taken, each with the reason."""
    from twin.plans.document import Alternative

    found = proposal.search
    others = [one for one in found.tried if one is not found.best and one.picked != found.best.picked][:most]
    return tuple(
        Alternative(
            name=", ".join(f"{name} {value}" for name, value in one.picked.items() if value) or "as is",
            reason="breaks " + ", ".join(one.breaches)
            if one.breaches
            else f"saves {found.saving_percent(one, proposal.goal):.1f} % in the search run, less than the plan",
        )
        for one in others
    )
