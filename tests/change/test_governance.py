"""Who may say yes, what the rules forbid, and that every doubt refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from change_world import PASSWORD, START, GovernedWorld, migrate, room_step, rooms, setpoint

from connectors.governance import Role, StandingApproval, propose
from connectors.governance.approvals import counted
from connectors.governance.policy import Circumstances, facts_of
from connectors.simulated import Fault
from twin.errors import BadInputError, RefusedError
from twin.plan import Action, ActionKind, PlanState, StepState
from twin.plans.document import Plan, Target, TargetKind


@pytest.fixture
def office(tmp_path) -> GovernedWorld:  # type: ignore[no-untyped-def]
    return GovernedWorld(tmp_path)


def proposed(office: GovernedWorld, n: int = 2, **changes: object) -> Plan:
    plan = office.plan(rooms(n), **changes)
    propose(office.store, plan, office.login("paula"))
    return plan


def test_a_plan_of_class_one_needs_one_approver_and_then_is_pushed(office: GovernedWorld) -> None:
    plan = proposed(office)
    office.approvals.approve(plan.id, office.login("anna"), "looks right")
    assert office.push(plan.id).state is PlanState.PUSHED


def test_the_proposer_never_approves(office: GovernedWorld) -> None:
    plan = proposed(office)
    with pytest.raises(RefusedError, match="paula proposed it"):
        office.approvals.approve(plan.id, office.login("paula"), "trust me")
    assert office.store.record(plan.id).state is PlanState.PROPOSED


def test_a_second_account_of_the_proposer_never_approves(office: GovernedWorld) -> None:
    office.identity.add("paula2", PASSWORD, [Role.APPROVER], person="paula", by=office.login("root"))
    office.clock.wait(25 * 3600.0)
    plan = office.plan(rooms(1), created_at=office.clock.now(), expires_at=office.clock.now() + timedelta(hours=2))
    propose(office.store, plan, office.login("paula"))
    with pytest.raises(RefusedError, match="proposed it"):
        office.approvals.approve(plan.id, office.login("paula2"), "me again")


def test_two_people_are_needed_when_many_rooms_are_reached(office: GovernedWorld) -> None:
    plan = proposed(office, 6)
    assert plan.risk_class == 2
    assert office.approvals.approve(plan.id, office.login("anna"), "ok").state is PlanState.PROPOSED
    with pytest.raises(RefusedError, match="has approved it already"):
        office.approvals.approve(plan.id, office.login("anna"), "ok, ok")
    assert office.approvals.approve(plan.id, office.login("ben"), "ok").state is PlanState.APPROVED
    assert office.push(plan.id).state is PlanState.PUSHED


def test_a_token_never_approves(office: GovernedWorld) -> None:
    plan = proposed(office)
    token = office.identity.issue_token(office.login("anna"), ["approve"], timedelta(hours=1))
    with pytest.raises(RefusedError, match="a token never approves"):
        office.approvals.approve(plan.id, office.identity.authenticate_token(token), "by script")


def test_a_service_account_never_approves(office: GovernedWorld) -> None:
    plan = proposed(office)
    with pytest.raises(RefusedError, match="service account"):
        office.approvals.approve(plan.id, office.login("robot"), "beep")


def test_a_token_dies_with_its_account_and_stays_in_its_scope(office: GovernedWorld) -> None:
    token = office.identity.issue_token(office.login("olga"), ["push"], timedelta(hours=1))
    principal = office.identity.authenticate_token(token)
    with pytest.raises(RefusedError, match="does not cover 'close'"):
        principal.require(Role.OPERATOR, scope="close")
    office.identity.disable("olga", office.login("root"))
    with pytest.raises(RefusedError, match="no longer valid"):
        office.identity.authenticate_token(token)


def test_a_role_revoked_after_the_approval_stops_the_push(office: GovernedWorld) -> None:
    plan = proposed(office)
    office.approvals.approve(plan.id, office.login("anna"), "ok")
    office.identity.set_roles("anna", [Role.VIEWER], office.login("root"))
    with pytest.raises(RefusedError, match="anna: has no approver role now"):
        office.push(plan.id)
    assert office.writes() == []


def test_a_role_revoked_during_the_push_pauses_it_before_the_next_write(office: GovernedWorld) -> None:
    plan = proposed(office, 2)
    office.approvals.approve(plan.id, office.login("anna"), "ok")
    office.on_call("apply", setpoint("room-0"), lambda: office.identity.disable("anna", office.login("root")))
    assert office.push(plan.id).state is PlanState.PAUSED
    assert [point for operation, point in office.writes()] == [setpoint("room-0")]


def test_an_approval_that_expires_lets_the_wave_finish_and_then_pauses(office: GovernedWorld) -> None:
    plan = proposed(office, 6)
    soon = START + timedelta(seconds=300)
    office.approvals.approve(plan.id, office.login("anna"), "ok", expires_at=soon)
    office.approvals.approve(plan.id, office.login("ben"), "ok")
    record = office.push(plan.id)
    assert record.state is PlanState.PAUSED
    assert "expired" in record.reason
    assert record.waves_passed == 1


def test_an_approval_copied_to_another_plan_does_not_count(office: GovernedWorld) -> None:
    first, second = proposed(office, 1), office.plan([room_step("room-5")])
    propose(office.store, second, office.login("paula"))
    office.approvals.approve(first.id, office.login("anna"), "ok")
    copied = replace(office.store.approvals(first.id)[0], plan_id=second.id)
    office.store.add_approval(copied, office.store.record(second.id).version, PlanState.APPROVED, "forged")
    with pytest.raises(RefusedError, match=r"another nonce|signature"):
        office.push(second.id)
    assert office.writes() == []


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ({"site": "another office"}, "signed for site another office"),
        ({"nonce": "yesterday"}, "signed with another nonce"),
        ({"decision": "reject"}, "no approval"),
        ({"expires_at": START + timedelta(days=9)}, "the signature is wrong"),
        ({"reason": "something else"}, "the signature is wrong"),
        ({"approver": "ben"}, "no such person"),
        ({"approver": "ben", "person": "ben"}, "the signature is wrong"),
    ],
)
def test_an_approval_with_any_word_changed_does_not_count(
    office: GovernedWorld, edit: dict[str, object], reason: str
) -> None:
    plan = proposed(office)
    office.approvals.approve(plan.id, office.login("anna"), "ok")
    view = office.store.view(plan.id)
    changed = replace(view, approvals=(replace(view.approvals[0], **edit),))  # type: ignore[arg-type]
    people, reasons = counted(changed, "office", office.identity, START)
    assert people == []
    assert reason in reasons[0]


def test_a_clock_set_back_does_not_revive_an_expired_approval_for_another_plan(office: GovernedWorld) -> None:
    """The nonce, not the time, ties an approval to its plan: yesterday's word is no word on today's plan."""
    first = proposed(office, 1)
    office.approvals.approve(first.id, office.login("anna"), "ok", expires_at=START + timedelta(minutes=1))
    old = office.store.approvals(first.id)[0]
    second = office.plan([room_step("room-5")])
    propose(office.store, second, office.login("paula"))
    view = office.store.view(second.id)
    people, reasons = counted(replace(view, approvals=(old,)), "office", office.identity, START - timedelta(days=1))
    assert (people, reasons) == ([], ["anna: signed for another plan"])


@pytest.mark.parametrize("back_s", [-7200.0, -86_400.0])
def test_a_clock_set_back_before_the_push_does_not_revive_an_expired_approval(
    office: GovernedWorld, back_s: float
) -> None:
    """The log has seen a time after the expiry, so the approval stays dead whatever the clock shows."""
    plan = proposed(office, 1)
    office.approvals.approve(plan.id, office.login("anna"), "ok", expires_at=START + timedelta(hours=1))
    office.clock.wait(3700.0)
    with pytest.raises(RefusedError, match="anna: expired at 2026-03-02T09:00:00"):
        office.push(plan.id)
    office.clock.jump(back_s)
    with pytest.raises(RefusedError, match="anna: expired at 2026-03-02T09:00:00"):
        office.push(plan.id)
    assert office.own() == {}


def test_a_clock_set_back_before_the_push_does_not_revive_an_expired_plan(office: GovernedWorld) -> None:
    plan = proposed(office, 1)
    office.approvals.approve(plan.id, office.login("anna"), "ok")
    office.clock.wait(13 * 3600.0)
    office.store.note("clerk", "looked", "office", {})
    office.clock.jump(-12 * 3600.0)
    with pytest.raises(RefusedError, match="it expired at 2026-03-02T20:00:00"):
        office.push(plan.id)
    assert office.store.record(plan.id).state is PlanState.SUPERSEDED


def test_a_clock_that_was_ahead_for_a_while_spoils_no_later_plan(office: GovernedWorld) -> None:
    office.clock.jump(86_400.0)
    office.store.note("clerk", "looked", "office", {})
    office.clock.jump(-86_400.0)
    plan = proposed(office, 1)
    office.approvals.approve(plan.id, office.login("anna"), "ok", expires_at=START + timedelta(hours=1))
    assert office.push(plan.id).state is PlanState.PUSHED


def test_roles_granted_after_the_first_plan_count_after_a_day(office: GovernedWorld) -> None:
    plan = proposed(office)
    office.identity.add("carl", PASSWORD, [Role.APPROVER], by=office.login("root"))
    with pytest.raises(RefusedError, match="needs the role approver"):
        office.approvals.approve(plan.id, office.login("carl"), "new here")


def test_new_roles_take_a_second_admin_and_a_day(office: GovernedWorld) -> None:
    office.identity.add("rita", PASSWORD, [Role.ADMIN], by=office.login("root"))
    plan = proposed(office)
    office.identity.set_roles("olga", [Role.OPERATOR, Role.APPROVER], office.login("root"))
    assert set(office.identity.user("olga").roles) == {"operator"}  # type: ignore[union-attr]
    with pytest.raises(RefusedError, match="root asked for them; another admin must"):
        office.identity.confirm_roles("olga", office.login("root"))
    with pytest.raises(RefusedError, match="needs the role admin"):
        office.identity.confirm_roles("olga", office.login("anna"))
    office.identity.confirm_roles("olga", office.login("rita"))
    with pytest.raises(RefusedError, match="needs the role approver"):
        office.approvals.approve(plan.id, office.login("olga"), "already?")
    office.clock.wait(24 * 3600.0)
    assert Role.APPROVER in office.login("olga").roles
    rows = [(row.actor, row.event) for row in office.store.audit() if row.subject == "user olga"]
    assert rows == [("root", "user added"), ("root", "roles asked for"), ("rita", "roles confirmed")]


def test_an_account_that_one_admin_makes_has_no_roles_until_a_second_confirms(office: GovernedWorld) -> None:
    proposed(office)
    office.identity.add("puppet", PASSWORD, [Role.APPROVER], by=office.login("root"))
    office.clock.wait(48 * 3600.0)
    assert office.login("puppet").roles == frozenset()
    with pytest.raises(RefusedError, match="another admin must"):
        office.identity.confirm_roles("puppet", office.login("root"))


def test_a_sole_admin_may_make_only_a_second_one(office: GovernedWorld) -> None:
    proposed(office)
    office.identity.add("rita", PASSWORD, [Role.ADMIN], by=office.login("root"))
    assert office.login("rita").roles == frozenset()
    office.clock.wait(24 * 3600.0)
    assert office.login("rita").roles == {Role.ADMIN}


def test_roles_are_taken_away_at_once_by_one_admin(office: GovernedWorld) -> None:
    proposed(office)
    office.identity.set_roles("anna", [Role.VIEWER], office.login("root"))
    assert Role.APPROVER not in office.login("anna").roles


def test_nobody_changes_their_own_roles(office: GovernedWorld) -> None:
    with pytest.raises(RefusedError, match="nobody changes their own"):
        office.identity.set_roles("root", [Role.ADMIN, Role.APPROVER], office.login("root"))


def test_five_wrong_passwords_lock_the_account_for_a_while(office: GovernedWorld) -> None:
    for _ in range(5):
        with pytest.raises(RefusedError, match="do not fit"):
            office.identity.authenticate("anna", "wrong password")
    with pytest.raises(RefusedError, match="locked until"):
        office.login("anna")
    office.clock.wait(901.0)
    assert office.login("anna").name == "anna"


def test_a_password_is_nowhere_in_the_store(office: GovernedWorld) -> None:
    assert PASSWORD.encode() not in b"".join(p.read_bytes() for p in office.store_folder.folder.glob("plans.sqlite*"))


def test_short_passwords_and_odd_names_are_bad_input(office: GovernedWorld) -> None:
    with pytest.raises(BadInputError, match="at least 8"):
        office.identity.add("dora", "short", [Role.VIEWER], by=office.login("root"))
    with pytest.raises(BadInputError, match="a name has"):
        office.identity.add("<img src=x>", PASSWORD, [Role.VIEWER], by=office.login("root"))


def test_a_changed_policy_text_makes_the_plan_stale(office: GovernedWorld) -> None:
    plan = proposed(office)
    office.approvals.approve(plan.id, office.login("anna"), "ok")
    text, before = office.policy_file.read_text(encoding="utf-8"), office.bundle().digest[:12]
    office.policy_file.write_text(text.replace("18000", "10000"), encoding="utf-8")
    after = office.bundle().digest[:12]
    with pytest.raises(RefusedError, match=rf"policy text changed.*then {before}, now {after}.*--again {plan.id[:12]}"):
        office.push(plan.id)
    assert office.store.record(plan.id).state is PlanState.SUPERSEDED
    assert office.own() == {}


@pytest.mark.parametrize(
    "text",
    ["permit (principal, action, resource", "permit (principal, action, resource) when { context.no_such_fact };", ""],
)
def test_a_broken_policy_text_refuses(office: GovernedWorld, text: str) -> None:
    plan = proposed(office)
    office.approvals.approve(plan.id, office.login("anna"), "ok")
    office.policy_file.write_text(text, encoding="utf-8")
    with pytest.raises(RefusedError):
        office.push(plan.id)
    assert office.writes() == []


@pytest.mark.parametrize(("value", "allowed"), [(17.9, False), (18.0, True), (27.0, True), (27.1, False)])
def test_occupied_setpoints_keep_to_18_to_27(office: GovernedWorld, value: float, allowed: bool) -> None:
    plan = office.plan([room_step("room-0", value)])
    around = Circumstances(actor="paula", approvals=1, business_hours=True)
    said = office.bundle().refusal(plan, plan.waves[0], plan.waves[0].steps[0], around)
    assert (said == "") is allowed
    assert allowed or "occupied setpoints" in said


def test_a_production_vm_in_business_hours_needs_two_people(office: GovernedWorld) -> None:
    step = migrate("v0", "h0", "h1")
    step = replace(step, target=Target(kind=TargetKind.VM, id="v0", production=True))
    plan = office.plan([step])
    for approvals, allowed in ((1, False), (2, True)):
        around = Circumstances(actor="paula", approvals=approvals, business_hours=True)
        assert (office.bundle().refusal(plan, plan.waves[0], step, around) == "") is allowed


def test_a_kind_outside_the_closed_list_is_refused(office: GovernedWorld) -> None:
    plan = office.plan(rooms(1))
    step = plan.waves[0].steps[0]
    action = Action(id="x", kind="set_pint", connector="building", point="a", value=1.0, expected=0.0)  # type: ignore[arg-type]
    around = Circumstances(actor="paula", approvals=9, business_hours=False)
    assert "closed list" in office.bundle().refusal(plan, plan.waves[0], replace(step, action=action), around)


def test_a_number_that_is_not_finite_never_reaches_the_rules(office: GovernedWorld) -> None:
    plan = office.plan(rooms(1))
    step = plan.waves[0].steps[0]
    wild = replace(step, action=replace(step.action, value=float("nan")))
    with pytest.raises(RefusedError, match="finite"):
        facts_of(plan, plan.waves[0], wild, Circumstances(actor="p", approvals=1, business_hours=False))


def test_the_default_rules_are_valid_and_name_every_kind(office: GovernedWorld) -> None:
    bundle = office.bundle()
    schema = (office.policy_file.parent / "understudy.cedarschema").read_text(encoding="utf-8")
    assert len(bundle.digest) == 64
    assert all(f'"{kind.value}"' in schema for kind in ActionKind)


def test_a_standing_approval_covers_its_envelope_only(office: GovernedWorld) -> None:
    envelope = StandingApproval(
        site="office",
        points={"room-*/cooling_setpoint_occupied_c": (23.0, 26.0)},
        from_hour_utc=6.0,
        to_hour_utc=20.0,
        expires_at=START + timedelta(days=30),
        approver="",
        person="",
        reason="small moves in summer",
    )
    office.standing.grant(envelope, office.login("anna"))
    inside, outside = office.plan([room_step("room-0", 25.5)]), office.plan([room_step("room-1", 26.5)])
    assert inside.risk_class == 0
    assert office.standing.covers(inside, START)
    assert not office.standing.covers(outside, START)
    assert not office.standing.covers(inside, START + timedelta(hours=13))
    assert not office.standing.covers(inside, START + timedelta(days=31))


def test_a_target_is_left_alone_for_its_dwell_time(office: GovernedWorld) -> None:
    plan = proposed(office, 1)
    office.approvals.approve(plan.id, office.login("anna"), "ok")
    office.push(plan.id)
    office.control.rollback(plan.id, "olga")
    back = office.plan([room_step("room-0", 25.5)])
    propose(office.store, back, office.login("paula"))
    office.approvals.approve(back.id, office.login("anna"), "ok")
    with pytest.raises(RefusedError, match="left alone"):
        office.push(back.id)
    office.clock.wait(1800.0)
    assert office.push(back.id).state is PlanState.PUSHED
    assert office.states(back.id)["set-room-0"] is StepState.VERIFIED


def test_a_stop_while_a_write_has_no_reply_yet_waits_until_that_write_must_have_landed(office: GovernedWorld) -> None:
    plan = proposed(office, 1)
    office.approvals.approve(plan.id, office.login("anna"), "fine")
    point = setpoint("room-0")
    office.fail("apply", point, Fault.LATE)
    office.on_call("apply", point, lambda: office.store.request_stop(plan.id, "gina", "smells odd", hold=False))
    began_s = office.clock.monotonic()
    assert office.push(plan.id).state is PlanState.ROLLED_BACK
    assert office.store.steps(plan.id)[0].unanswered == 1
    assert office.clock.monotonic() - began_s >= office.settings.write_timeout_s
    assert office.own() == {}
