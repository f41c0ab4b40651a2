"""What the proof of the log finds: an edit, a cut tail, a full rewrite, and a record changed behind its back."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from change_world import World, make_plan, rooms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.audit.ledger import GENESIS, row_digest
from twin.plans.records import Finding


@pytest.fixture
def pushed(world: World) -> World:
    world.push(world.approved(make_plan(rooms(2))))
    return world


def edit(world: World, statement: str) -> list[Finding]:
    with sqlite3.connect(world.store_folder.database) as other:
        other.execute(statement)
    other.close()
    return world.store_folder.verify(world.store)


def test_an_untouched_log_holds(pushed: World) -> None:
    assert pushed.store_folder.verify(pushed.store) == []


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("UPDATE audit SET payload = replace(payload, 'fine', 'Fine') WHERE seq = 2", "audit row 2"),
        ("UPDATE audit SET at = '2020-01-01T00:00:00Z' WHERE seq = 3", "audit row 3"),
        ("UPDATE audit SET previous = 'x' || substr(previous, 2) WHERE seq = 4", "audit row 4"),
        ("UPDATE audit SET digest = 'x' || substr(digest, 2) WHERE seq = 5", "audit row 5"),
        ("UPDATE audit SET actor = x'00ff' WHERE seq = 4", "audit row 4"),
        ("DELETE FROM audit WHERE seq = 3", "audit row 4"),
        ("UPDATE record SET body = replace(body, 'pushed', 'PUSHED') WHERE kind = 'plan'", "record plan/"),
        ("DELETE FROM record WHERE kind = 'approval'", "record approval/"),
        ("INSERT INTO record VALUES('user', 'mallory', '{}')", "record user/mallory"),
    ],
)
def test_an_edit_is_found_with_its_row(pushed: World, statement: str, row: str) -> None:
    assert edit(pushed, statement)[0].row.startswith(row)


def test_a_cut_tail_is_found_by_the_checkpoints(pushed: World) -> None:
    last = pushed.store.ledger.head()[0]
    found = edit(pushed, f"DELETE FROM audit WHERE seq > {last - 2}")
    assert any(f.row == f"audit row {last - 1}" and "rows are gone" in f.sentence for f in found)


def test_a_full_rewrite_with_fresh_digests_is_found_by_the_checkpoints(pushed: World) -> None:
    rows, previous = pushed.store.audit(), GENESIS
    with sqlite3.connect(pushed.store_folder.database) as other:
        for row in rows:
            actor = "mallory" if row.actor == "olga" else row.actor
            fresh = row_digest(row.seq, row.at, actor, row.event, row.subject, row.payload, previous)
            statement = "UPDATE audit SET actor = ?, previous = ?, digest = ? WHERE seq = ?"
            other.execute(statement, (actor, previous, fresh, row.seq))
            previous = fresh
    other.close()
    assert pushed.store.verify() == []
    assert any("written anew" in f.sentence for f in pushed.store_folder.verify(pushed.store))


def test_a_forged_checkpoint_is_found(pushed: World) -> None:
    path = pushed.store_folder.checkpoint_file
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:-1], lines[-1].replace('"seq":', '"seq":1')]) + "\n", encoding="utf-8")
    assert any("signature" in f.sentence for f in pushed.store_folder.verify(pushed.store))


def test_a_checkpoint_torn_by_a_crash_is_no_finding(pushed: World) -> None:
    with pushed.store_folder.checkpoint_file.open("ab") as file:
        file.write(b'{"seq":')
    assert pushed.store_folder.verify(pushed.store) == []


def test_the_next_checkpoint_after_a_torn_one_still_counts(pushed: World) -> None:
    with pushed.store_folder.checkpoint_file.open("ab") as file:
        file.write(b'{"seq":')
    pushed.store.checkpoint()
    assert pushed.store_folder.verify(pushed.store) == []


def test_the_signing_key_is_readable_by_its_owner_alone(pushed: World) -> None:
    assert pushed.store_folder.key_file.stat().st_mode & 0o777 == 0o600


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_changed_character_of_any_column_is_found(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    world = _shared(tmp_path_factory)
    rows = world.store.audit()
    row = data.draw(st.sampled_from(rows))
    column = data.draw(st.sampled_from(["at", "actor", "event", "subject", "payload", "previous", "digest"]))
    text = getattr(row, column)
    at = data.draw(st.integers(0, len(text) - 1))
    other = chr(ord(text[at]) ^ 1)
    db = sqlite3.connect(world.store_folder.database)
    try:
        db.execute(f"UPDATE audit SET {column} = ? WHERE seq = ?", (text[:at] + other + text[at + 1 :], row.seq))
        db.commit()
        assert f"audit row {row.seq}" in {finding.row for finding in world.store.verify()}
    finally:
        db.execute(f"UPDATE audit SET {column} = ? WHERE seq = ?", (text, row.seq))
        db.commit()
        db.close()


_KEPT: dict[str, World] = {}


def _shared(factory: pytest.TempPathFactory) -> World:
    if "world" not in _KEPT:
        world = World(Path(factory.mktemp("audit")))
        world.push(world.approved(make_plan(rooms(1))))
        _KEPT["world"] = world
    return _KEPT["world"]


def test_every_audit_row_of_a_push_links_its_evidence(pushed: World) -> None:
    start = next(row for row in pushed.store.audit() if row.event == "push started")
    evidence = json.loads(start.payload)["evidence"]["evidence"]
    assert {"model_id", "data_digest", "site_digest", "policy_digest", "code_version", "seed"} <= set(evidence)
