"""Whether one policy text allows what another forbade: both decide the same grid of requests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product

from connectors.governance.policy import Fact, PolicyBundle
from twin.plan import ActionKind

_MOST_EXAMPLES = 5
_NUMBERS: Mapping[str, tuple[int, ...]] = {
    "value_milli": (0, 11_999, 12_000, 17_999, 18_000, 22_000, 27_000, 27_001, 32_000, 32_001, 45_000),
    "rooms_in_wave_permille": (0, 200, 201, 1000),
    "rooms_in_plan_permille": (0, 1000),
    "people": (0, 1000),
}
_FLAGS: Mapping[str, bool] = {
    "is_room_setpoint": True,
    "is_occupied_setpoint": True,
    "is_one_unit": False,
    "production": False,
    "business_hours": True,
    "inside_calibrated_range": True,
    "breaks_redundant_pair": False,
}
"""Facts that are true or false, with the value that a plain request has."""
_PLAIN: Mapping[str, Fact] = {**_FLAGS, **dict.fromkeys(_NUMBERS, 0), "value_milli": 22_000}
_INTEGER = re.compile(r"(?<![\w.])\d{1,9}(?![\w.])")
_NAMED = re.compile(r'(User|Plan)::"((?:[^"\\]|\\.)*)"')

_COMMENT = re.compile(r"//[^\n]*|@\w+\(\"[^\"]*\"\)")
_OF_SETPOINTS = frozenset({"value_milli", "is_room_setpoint", "is_occupied_setpoint"})

Request = Mapping[str, object]


def grid(texts: Sequence[str]) -> Iterator[Request]:
    """The requests that both texts are asked: every kind, number of approvals and risk class, any two facts varied.

    Numbers that a text names are tried too, with their neighbours, and so are the people and plans that it names; so a
    moved limit is seen wherever it moved to.
    """
    texts = [_COMMENT.sub("", text) for text in texts]
    named = {int(number) + near for text in texts for number in _INTEGER.findall(text) for near in (-1, 0, 1)}
    choices: dict[str, list[Fact]] = {
        name: sorted(set(given) | _fitting(name, named)) for name, given in _NUMBERS.items()
    }
    choices |= {name: [True, False] for name in _FLAGS}
    for kind, approvals, risk in product(ActionKind, (0, 1, 2), (0, 1, 2, 3)):
        for facts in _pairs(choices, with_value=kind is ActionKind.SET_POINT):
            yield _request(kind, {**facts, "approvals": approvals, "risk_class": risk})
    entities = {match for text in texts for match in _NAMED.findall(text)}
    single = [(name, value) for name, values in choices.items() for value in values]
    for (sort, entity), kind, (name, value) in product(sorted(entities), ActionKind, single):
        role = "principal" if sort == "User" else "resource"
        plain = _request(kind, {**_PLAIN, name: value, "approvals": 2, "risk_class": 1})
        yield {**plain, role: f"{sort}::{json.dumps(entity)}"}


def _fitting(name: str, named: Iterable[int]) -> set[int]:
    """Numbers of the texts that can be meant for a fact: thousandths of a setpoint are large, the others are not."""
    return {number for number in named if (number > 3_000) is (name == "value_milli") and number >= 0}


def _pairs(choices: Mapping[str, Sequence[Fact]], *, with_value: bool) -> Iterator[Mapping[str, Fact]]:
    """Any two facts varied together; two numbers at their extremes only. Machines have no setpoint to speak of."""
    names = [name for name in choices if with_value or name not in _OF_SETPOINTS]
    seen = set()
    for a, b in combinations(names, 2):
        ends = a in _NUMBERS and b in _NUMBERS
        of_a, of_b = (_ends(choices[name]) if ends else choices[name] for name in (a, b))
        for x, y in product(of_a, of_b):
            facts = {**_PLAIN, a: x, b: y}
            key = tuple(facts.values())
            if key not in seen:
                seen.add(key)
                yield facts


def _ends(values: Sequence[Fact]) -> Sequence[Fact]:
    return (values[0], values[-1])


def _request(kind: ActionKind, facts: Mapping[str, Fact]) -> Request:
    return {
        "principal": 'User::"somebody"',
        "action": f"Action::{json.dumps(kind.value)}",
        "resource": 'Plan::"some plan"',
        "context": dict(facts),
    }


def loosened(before: PolicyBundle, after: PolicyBundle) -> tuple[str, ...]:
    """Requests that the later text allows and the earlier refused, as sentences, a few at most; empty when none."""
    asked = list(grid((before.text, after.text)))
    allowed = [request for request, said in zip(asked, after.decide(asked), strict=True) if said]
    newly = [request for request, said in zip(allowed, before.decide(allowed), strict=True) if not said]
    return tuple(_sentence(request) for request in newly[:: max(1, len(newly) // _MOST_EXAMPLES)][:_MOST_EXAMPLES])


def _sentence(request: Request) -> str:
    context = request["context"]
    facts = dict(context) if isinstance(context, Mapping) else {}
    odd = [
        f"{name} {str(value).lower()}"
        for name, value in facts.items()
        if name in {"approvals", "risk_class"} or value != _PLAIN.get(name)
    ]
    who = "" if request["principal"] == 'User::"somebody"' else f" by {request['principal']}"
    return f"{str(request['action']).partition('::')[2]}{who} with {', '.join(odd)}"
