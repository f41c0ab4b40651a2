"""A journal of another version with a plan in flight: read, finished or undone, or refused by name."""

from __future__ import annotations

import json
import sqlite3

import pytest
from change_world import World, make_plan, rooms
from test_watchdog import kill_in_the_middle

from connectors.audit.schema import MIGRATIONS, SCHEMA_VERSION
from twin.errors import RefusedError
from twin.plan import PlanState


def make_older(world: World) -> None:
    """The journal as version 1 left it: without what later versions added."""
    world.store.ledger.close()
    with sqlite3.connect(world.store_folder.database, isolation_level=None) as raw:
        raw.execute("DROP INDEX audit_of_event")
        raw.execute("PRAGMA user_version = 1")


@pytest.fixture
def in_flight(world: World) -> str:
    plan_id = world.approved(make_plan(rooms(4)))
    kill_in_the_middle(world, plan_id)
    make_older(world)
    world.store = world.open_store()
    return plan_id


def test_every_older_version_has_a_way_to_the_present_one() -> None:
    assert sorted(MIGRATIONS) == list(range(1, SCHEMA_VERSION))


def test_an_upgrade_names_the_plan_in_flight_in_the_log_and_keeps_the_proof(world: World, in_flight: str) -> None:
    row = next(row for row in world.store.audit() if row.event == "journal migrated")
    assert json.loads(row.payload)["open_plans"] == [f"{in_flight[:12]} is pushing"]
    assert world.store_folder.verify(world.store) == []
    assert world.store.ledger.row("PRAGMA user_version") == (SCHEMA_VERSION,)


def test_an_upgrade_between_two_waves_finishes_the_plan(world: World, in_flight: str) -> None:
    world.new_control("p2").recover()
    assert world.store.record(in_flight).state is PlanState.PUSHED
    assert len(world.own()) == 4


def test_an_upgrade_between_two_waves_can_undo_the_plan(world: World, in_flight: str) -> None:
    assert world.new_control("p2").rollback(in_flight, "olga").state is PlanState.ROLLED_BACK
    assert world.own() == {}


def test_opening_twice_migrates_once(world: World, in_flight: str) -> None:
    assert in_flight
    world.open_store()
    assert world.store.ledger.count("journal migrated") == 1


def test_a_downgrade_is_refused_and_says_which_plan_is_open(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(2)))
    world.push(plan_id)
    world.store.ledger.close()
    with sqlite3.connect(world.store_folder.database, isolation_level=None) as raw:
        raw.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(RefusedError, match=rf"is newer than.*open plans: {plan_id[:12]} is pushed"):
        world.open_store()


def test_a_plan_whose_document_is_of_a_newer_version_can_still_be_undone(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(2)))
    world.push(plan_id)
    body = json.loads(world.store.ledger.text("document", plan_id) or "")
    newer = json.dumps({**body, "schema_version": 99, "what_is_this": 1})
    world.store.ledger._db.execute("UPDATE record SET body = ? WHERE kind = 'document'", (newer,))
    assert world.new_control("p2").rollback(plan_id, "olga").state is PlanState.ROLLED_BACK
    assert world.own() == {}
