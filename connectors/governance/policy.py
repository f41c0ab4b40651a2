"""The customer's rules as Cedar text, behind a wrapper that refuses on any error.

Cedar alone would allow a request whose kind is misspelt or whose attribute is missing when a broad permit matches; the
schema, the closed list of kinds and finite typed facts close that gap. Any error, of the text or of a fact, refuses.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twin.errors import RefusedError
from twin.plan import ActionKind
from twin.plans.document import Plan, Step, TargetKind, Wave
from twin.plans.guardrails import redundancy_faults

Fact = bool | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a rule may ask about beside the plan."""

    actor: str
    approvals: int
    business_hours: bool
    rooms_in_plan_permille: int = 0
    breaks_redundant_pair: bool = False

    @classmethod
    def of(cls, plan: Plan, actor: str, approvals: int, *, business_hours: bool) -> Circumstances:
        """What holds for every step of a plan alike."""
        reached = {room for step in plan.steps() for room in step.target.rooms}
        return cls(
            actor=actor,
            approvals=approvals,
            business_hours=business_hours,
            rooms_in_plan_permille=round(1000 * len(reached) / max(1, plan.rooms_in_site)),
            breaks_redundant_pair=bool(redundancy_faults(plan)),
        )


def facts_of(plan: Plan, wave: Wave, step: Step, around: Circumstances) -> Mapping[str, Fact]:
    """Typed, finite facts of one step: numbers as thousandths, since Cedar knows whole numbers only.

    Raises:
        RefusedError: a number is not finite.
    """
    number = 0.0 if isinstance(step.action.value, str) else float(step.action.value)
    if not math.isfinite(number) or abs(number) > 1e12:
        message = f"{step.action.point}: {number} is no finite number of ordinary size"
        raise RefusedError(message)
    point = step.action.point
    rooms = max(1, plan.rooms_in_site)
    return {
        "value_milli": round(number * 1000),
        "is_room_setpoint": "setpoint" in point and "supply" not in point,
        "is_occupied_setpoint": "setpoint" in point and "supply" not in point and "unoccupied" not in point,
        "rooms_in_wave_permille": round(1000 * len(wave.rooms) / rooms),
        "rooms_in_plan_permille": around.rooms_in_plan_permille,
        "is_one_unit": step.target.kind in {TargetKind.UNIT, TargetKind.SITE} or len(wave.rooms) <= 1,
        "people": math.ceil(step.target.people),
        "production": step.target.production,
        "business_hours": around.business_hours,
        "approvals": around.approvals,
        "risk_class": plan.risk_class,
        "inside_calibrated_range": step.inside_calibrated_range,
        "breaks_redundant_pair": around.breaks_redundant_pair,
    }


class PolicyBundle:
    """Rules with the product's schema, validated; the digest of their text is part of every plan."""

    def __init__(self, text: str, digest: str) -> None:
        import cedarpy

        self.text = text
        self.digest = digest
        self._schema = (Path(__file__).parent / "policies" / "understudy.cedarschema").read_text(encoding="utf-8")
        result = cedarpy.validate_policies(text, self._schema)
        if not result.validation_passed:
            faults = "; ".join(str(error.error) for error in result.errors)
            message = f"the policy text is not valid: {faults}. Nothing is pushed until it is mended"
            raise RefusedError(message)

    def decide(self, requests: Sequence[Mapping[str, object]]) -> list[bool]:
        """Whether each request is allowed; one that cannot be evaluated is not."""
        import cedarpy

        answers = cedarpy.is_authorized_batch([dict(one) for one in requests], self.text, [], self._schema)
        return [bool(answer.allowed) and not answer.diagnostics.errors for answer in answers]

    def refusal(self, plan: Plan, wave: Wave, step: Step, around: Circumstances) -> str:
        """Why the rules forbid a step; empty when they allow it."""
        import cedarpy

        kind = step.action.kind
        if not isinstance(kind, ActionKind):
            return f"{step.action.point}: kind {kind!r} is not in the closed list"
        try:
            facts = facts_of(plan, wave, step, around)
            request = {
                "principal": f"User::{json.dumps(around.actor)}",
                "action": f"Action::{json.dumps(kind.value)}",
                "resource": f"Plan::{json.dumps(plan.title)}",
                "context": dict(facts),
            }
            answer = cedarpy.is_authorized(request, self.text, [], self._schema)
            allowed = bool(answer.allowed)
            errors, reasons = list(answer.diagnostics.errors), list(answer.diagnostics.reasons)
        except Exception as error:
            return f"{step.action.point}: the policy engine failed: {error}"
        if errors:
            return f"{step.action.point}: the policy could not be evaluated: {'; '.join(map(str, errors))}"
        if allowed:
            return ""
        return (
            f"{step.action.point}: policy forbids it ({', '.join(map(self._named, reasons)) or 'no rule permits it'})"
        )

    def _named(self, policy_id: str) -> str:
        return self._names().get(policy_id, policy_id)

    def _names(self) -> Mapping[str, str]:
        ids = re.findall(r'@id\("([^"]+)"\)', self.text)
        return {f"policy{i}": name for i, name in enumerate(ids)}


class PolicyFolder:
    """The rules as they stand in a folder now; read at each question, parsed when the text changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bundle: PolicyBundle | None = None

    def bundle(self) -> PolicyBundle:
        """The bundle of the folder.

        Raises:
            RefusedError: no file, an unreadable one, or text that the schema does not accept.
        """
        files = sorted(self._folder.glob("*.cedar"))
        if not files:
            message = f"{self._folder} holds no *.cedar file; nothing is pushed without rules"
            raise RefusedError(message)
        try:
            texts = [path.read_text(encoding="utf-8") for path in files]
        except (OSError, UnicodeError) as error:
            message = f"{self._folder}: a policy file cannot be read: {error}"
            raise RefusedError(message) from error
        named = "\x00".join(f"{path.name}\x00{text}" for path, text in zip(files, texts, strict=True))
        digest = hashlib.sha256(named.encode()).hexdigest()
        if self._bundle is None or self._bundle.digest != digest:
            self._bundle = PolicyBundle("\n".join(texts), digest)
        return self._bundle


def write_defaults(folder: Path) -> list[Path]:
    """Writes the commented default rules into a workspace; files that exist stay as they are."""
    source = Path(__file__).parent / "policies"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path in sorted(source.iterdir()):
        target = folder / path.name
        if path.suffix in {".cedar", ".cedarschema"} and not target.exists():
            target.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
            written.append(target)
    return written
