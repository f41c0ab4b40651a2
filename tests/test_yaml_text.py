"""YAML text to plain trees with places."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.errors import BadInputError
from twin.text.tree import Fault
from twin.text.yaml import MAX_BYTES, read_yaml

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_scalars_follow_yaml_1_2() -> None:
    text = (
        "a: on\nb: 22:30\nc: 1e3\nd: 012\ne: 2023-07-04\nf: ~\ng: true\nh: 'true'\ni: .5\nj: no\nk: -3\n"
        "l: [1, two]\nm: .nan\nn:\n"
    )
    root = read_yaml(text, "site.yaml").root
    assert isinstance(root, dict)
    assert math.isnan(root.pop("m"))
    assert root == {
        "a": "on",
        "b": "22:30",
        "c": 1000.0,
        "d": 12,
        "e": "2023-07-04",
        "f": None,
        "g": True,
        "h": "true",
        "i": 0.5,
        "j": "no",
        "k": -3,
        "l": [1, "two"],
        "n": None,
    }


def test_every_node_knows_its_line_and_column() -> None:
    tree = read_yaml("zones:\n  - id: a\n    walls:\n      - {facing: N, area_m2: x}\n", "site.yaml")
    fault = Fault(path=("zones", 0, "walls", 0, "area_m2"), message="'x' is not a number")
    assert tree.sentence(fault) == "site.yaml:4:30: zones[0].walls[0].area_m2: 'x' is not a number"


def test_a_fault_of_a_missing_node_points_at_the_node_above() -> None:
    tree = read_yaml("zones:\n  - id: a\n", "site.yaml")
    assert tree.where(Fault(path=("zones", 0, "volume_m3"), message="missing")) == (2, 5)


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        ("a: &x 1\nb: 2\n", "s.yaml:1:4", "anchor"),
        (BOMB, "s.yaml:1:4", "anchor"),
        ("a: 1\nb: *x\n", "s.yaml:2:4", "alias"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "s.yaml:4:3", "stands twice"),
        ("a: !!python/object:os.system x\n", "s.yaml:1:4", "tag"),
        ("a: [1, 2\nb: 3\n", "s.yaml:2:", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "s.yaml:2:1", "second document"),
        ("a: 1\n\tb: 2\n", "s.yaml:2:", "not valid YAML"),
        ("a: 1\n\x00", "s.yaml:2:1", "NUL"),
        ("? [a, b]\n: 1\n", "s.yaml:1:3", "key must be a word"),
        ("[" * 100_000, "s.yaml:1:25", "nested deeper"),
        ("x" * (MAX_BYTES + 1), "s.yaml:", "above the limit"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_its_place(text: str, place: str, part: str) -> None:
    with pytest.raises(BadInputError) as caught:
        read_yaml(text, "s.yaml")
    assert str(caught.value).startswith(place)
    assert part in str(caught.value)


def test_bytes_that_are_not_utf8_are_refused_with_their_line() -> None:
    with pytest.raises(BadInputError, match=r"s.yaml:2:1: byte 0xe9 is not UTF-8"):
        read_yaml(b"a: 1\nb: caf\xe9\n", "s.yaml")


def test_a_byte_order_mark_is_skipped() -> None:
    assert read_yaml(b"\xef\xbb\xbfa: 1\n", "s.yaml").root == {"a": 1}


def test_an_integer_of_5000_digits_stays_text_and_costs_nothing() -> None:
    assert read_yaml("a: " + "9" * 5000, "s.yaml").root == {"a": "9" * 5000}


def test_an_alias_bomb_is_refused_at_once() -> None:
    begin = time.perf_counter()
    with pytest.raises(BadInputError):
        read_yaml(BOMB, "s.yaml")
    assert time.perf_counter() - begin < 2.0


def _refusal(data: bytes | str) -> str:
    """The message of the refusal, or the name of the file where the tree was read."""
    try:
        return read_yaml(data, "s.yaml").name
    except BadInputError as error:
        return str(error)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_tree_or_a_bad_input_error(data: bytes) -> None:
    assert _refusal(data).startswith("s.yaml")


@settings(deadline=None)
@given(st.text(alphabet="ab:-[]{},&*!|>'\"#% \n\t?01.", max_size=60))
def test_any_text_gives_a_tree_or_a_bad_input_error(text: str) -> None:
    assert _refusal(text).startswith("s.yaml")
