"""What is right for a cron, as functions of rows and instants."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aether.adapters.schedules import next_fire
from aether.document import CronSpec, WorkflowSpec
from aether.engine import cron_rules as rules
from aether.record import CronRow, Phase, RunRow
from unit.engine.cron_world import at, moment

HOUR = 3_600_000_000
DAY = 24 * HOUR


def policy(schedule="0 * * * *", **spec):
    return rules.policy_of(CronSpec(schedule=schedule, **spec))


def hourly(after):
    return next_fire("0 * * * *", "UTC", after)


def minutely(after):
    return next_fire("* * * * *", "UTC", after)


def shown(fires):
    return [moment(fire) for fire in fires]


# The document, read


def test_absent_limits_are_three_and_one_and_zero_means_none():
    assert (policy().successful_limit, policy().failed_limit) == (3, 1)
    none = policy(successful_jobs_history_limit=0, failed_jobs_history_limit=0)
    assert (none.successful_limit, none.failed_limit) == (0, 0)


def test_catch_up_looks_back_a_day_unless_told():
    assert policy().catch_up_window == DAY
    assert policy(catch_up_window="90m").catch_up_window == 90 * 60_000_000


def test_instants_are_read_in_any_offset():
    assert rules.parse_instant("2026-05-04T13:00:00+02:00") == at("2026-05-04T11:00")
    assert rules.parse_instant("2026-05-04T11:00:00.5Z") == at("2026-05-04T11:00") + 500_000
    assert rules.parse_instant("") is None


# Which fires


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["* * * * *", "*/7 * * * *", "0 * * * *", "* 2 * * *", "0 3 * * MON"]),
    st.integers(0, 3 * 24 * 60),
    st.integers(1, 30),
)
def test_newest_fires_are_the_tail_of_all_fires(schedule, minutes, limit):
    def following(after):
        return next_fire(schedule, "Europe/Berlin", after)

    until = at("2026-10-26T00:00")
    after = until - minutes * 60_000_000
    every, more = rules.fires_between(following, after + 1, until, 10_000)
    assert not more
    assert rules.newest_fires(following, after, until, limit) == every[-limit:]


def test_newest_fires_of_every_minute_cost_no_more_after_a_year():
    asked = []

    def following(after):
        asked.append(after)
        return minutely(after)

    found = rules.newest_fires(following, 0, at("2026-05-04T11:00"), 100)
    assert len(found) == 100
    assert len(asked) < 500


def test_fires_between_says_that_there_are_more():
    first, last = at("2026-05-04T01:00"), at("2026-05-04T03:00")
    found, more = rules.fires_between(hourly, first, last, 3)
    assert (shown(found), more) == ([f"2026-05-04T0{hour}:00" for hour in (1, 2, 3)], False)
    assert rules.fires_between(hourly, first, last, 2) == (found[:2], True)


def test_missed_fires_follow_catch_up():
    after, now = at("2026-05-04T08:30"), at("2026-05-04T11:30")
    assert rules.missed_fires(policy(), hourly, after, now) == []
    last = rules.missed_fires(policy(catch_up="last"), hourly, after, now)
    assert shown(last) == ["2026-05-04T11:00"]
    every = rules.missed_fires(policy(catch_up="all"), hourly, after, now)
    assert shown(every) == ["2026-05-04T09:00", "2026-05-04T10:00", "2026-05-04T11:00"]


def test_missed_fires_stay_within_the_window_and_the_limit():
    now = at("2026-05-04T11:30")
    short = policy(catch_up="all", catch_up_window="90m")
    assert shown(rules.missed_fires(short, hourly, 0, now)) == [
        "2026-05-04T10:00", "2026-05-04T11:00"]  # fmt: skip
    many = rules.missed_fires(policy("* * * * *", catch_up="all"), minutely, 0, now)
    assert len(many) == 100
    assert shown(many)[-1] == "2026-05-04T11:30"
    bounded = policy(catch_up="all", start_at="2026-05-04T09:00:00Z", end_at="2026-05-04T10:00:00Z")
    assert shown(rules.missed_fires(bounded, hourly, 0, now)) == [
        "2026-05-04T09:00", "2026-05-04T10:00"]  # fmt: skip


def test_clock_behind_the_last_fire_misses_nothing():
    now = at("2026-05-04T11:30")
    assert rules.missed_fires(policy(catch_up="all"), hourly, now + DAY, now) == []


def test_call_on_time_means_its_own_fire():
    fire = at("2026-05-04T11:00")
    assert rules.due_fires(policy(), hourly, fire, fire - HOUR, fire + 5) == [fire]


def test_call_for_what_has_fired_means_nothing():
    fire = at("2026-05-04T11:00")
    assert rules.due_fires(policy(), hourly, fire, fire, fire + 5) == []


def test_late_call_means_what_catch_up_says():
    fire, now = at("2026-05-04T08:00"), at("2026-05-04T11:30")

    def due(catch_up, after=fire - HOUR):
        return shown(rules.due_fires(policy(catch_up=catch_up), hourly, fire, after, now))

    assert due("none") == ["2026-05-04T08:00"]
    assert due("last") == ["2026-05-04T11:00"]
    assert due("all") == [f"2026-05-04T{hour}:00" for hour in ("08", "09", "10", "11")]
    assert due("none", after=fire) == []
    assert due("all", after=fire + 2 * HOUR) == ["2026-05-04T11:00"]


def test_late_call_behind_the_catch_up_window_still_means_its_fire():
    fire, now = at("2026-05-04T08:00"), at("2026-05-04T08:50")
    short = policy(catch_up="all", catch_up_window="10m")
    assert rules.due_fires(short, hourly, fire, fire - HOUR, now) == [fire]


def test_call_for_an_instant_outside_the_schedule_means_that_instant():
    fire = at("2026-05-04T11:17")
    assert rules.due_fires(policy(), hourly, fire, fire - HOUR, fire) == [fire]


def test_fire_of_a_clock_that_was_years_ahead_does_not_stall_the_cron():
    now = at("2026-05-04T11:00")
    row = CronRow(cron_id="c", name="n", document=b"", created_at=0, last_fire_at=now + 400 * DAY)
    assert rules.last_fire(row, now) is None
    row.last_fire_at = now + HOUR
    assert rules.last_fire(row, now) == now + HOUR


def test_what_passed_before_an_update_is_not_owed():
    row = CronRow(cron_id="c", name="n", document=b"", created_at=10, last_fire_at=20)
    assert rules.considered_until(row, 100) == 20
    row.updated_at = 30
    assert rules.considered_until(row, 100) == 30


def test_next_wanted_fire_lies_within_the_window():
    bounded = policy(start_at="2026-05-04T09:00:00Z", end_at="2026-05-04T10:00:00Z")
    found = rules.next_wanted(bounded, hourly, 0)
    assert moment(found) == "2026-05-04T09:00"
    assert moment(rules.next_wanted(bounded, hourly, found)) == "2026-05-04T10:00"
    assert rules.next_wanted(bounded, hourly, at("2026-05-04T10:00")) is None


# Jitter


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=20), st.integers(0, 10**16), st.integers(1, 10**11), st.integers(1, 10**11))
def test_jitter_is_bounded_by_itself_and_by_the_following_fire(cron_id, fire, gap, jitter):
    delay = rules.jitter_delay(cron_id, fire, fire + gap, jitter)
    assert 0 <= delay < min(jitter, gap)
    assert delay == rules.jitter_delay(cron_id, fire, fire + gap, jitter)


def test_jitter_spreads_crons_and_fires():
    delays = {rules.jitter_delay(f"c{n}", 0, HOUR, HOUR) // (HOUR // 10) for n in range(200)}
    assert delays == set(range(10))
    assert len({rules.jitter_delay("c", n * HOUR, None, HOUR) for n in range(50)}) == 50


def test_no_jitter_is_no_delay():
    assert rules.jitter_delay("c", HOUR, 2 * HOUR, 0) == 0


# Whether it goes ahead


def test_window_takes_both_its_ends_in():
    bounded = policy(start_at="2026-05-04T09:00:00Z", end_at="2026-05-04T10:00:00Z")
    assert rules.outside_window(bounded, at("2026-05-04T09:00")) == ""
    assert rules.outside_window(bounded, at("2026-05-04T10:00")) == ""
    assert "before startAt" in rules.outside_window(bounded, at("2026-05-04T09:00") - 1)
    assert "after endAt" in rules.outside_window(bounded, at("2026-05-04T10:00") + 1)


def test_lateness_is_judged_against_the_deadline():
    strict = policy(starting_deadline_seconds=60)
    assert rules.too_late(strict, 0, 60_000_000) == ""
    assert "61 s late" in rules.too_late(strict, 0, 61_000_000)
    assert rules.too_late(policy(), 0, DAY) == ""


@pytest.mark.parametrize(
    ("concurrency", "active", "verdict"),
    [
        ("Allow", ["a"], (True, ())),
        ("Forbid", [], (True, ())),
        ("Forbid", ["a"], (False, ())),
        ("Replace", [], (True, ())),
        ("Replace", ["a", "b"], (True, ("a", "b"))),
    ],
)
def test_concurrency_policy(concurrency, active, verdict):
    found = rules.judge(policy(concurrency_policy=concurrency), active)
    assert (found.go, found.cancel) == verdict
    assert bool(found.reason) is not found.go


# Ids


def test_run_id_follows_from_cron_and_fire():
    assert rules.fire_run_id("c1", 1_777_888_800_000_000) == "c1-1777888800"
    assert rules.fire_run_id("c1", 1_777_888_800_000_001) == "c1-1777888800000001us"


def test_run_id_of_a_long_cron_id_stays_short_and_different():
    first, second = (rules.fire_run_id("x" * 127 + end, 1_777_888_800_000_000) for end in "ab")
    assert len(first) == len(second) == 128
    assert first != second
    assert first.endswith("-1777888800")


# History


def runs(*phases):
    return [
        RunRow(run_id=f"r{n}", name="n", document=b"", created_at=n, phase=phase)
        for n, phase in enumerate(phases)
    ]


def test_runs_beyond_the_limits_are_deleted_newest_first_kept():
    found = runs(*[Phase.SUCCEEDED] * 5, Phase.FAILED, Phase.ERROR, Phase.TIMEOUT)
    assert rules.runs_to_delete(policy(), found) == ["r3", "r4", "r6", "r7"]


def test_cancelled_runs_count_with_the_failed_ones():
    assert rules.runs_to_delete(policy(), runs(*[Phase.CANCELLED] * 3)) == ["r1", "r2"]


def test_limit_zero_keeps_none():
    none = policy(successful_jobs_history_limit=0, failed_jobs_history_limit=0)
    assert rules.runs_to_delete(none, runs(Phase.SUCCEEDED, Phase.FAILED)) == ["r0", "r1"]


def test_run_of_a_claim_that_is_not_struck_out_is_spared():
    none = policy(successful_jobs_history_limit=0)
    assert rules.runs_to_delete(none, runs(Phase.SUCCEEDED, Phase.SUCCEEDED), ["r0"]) == ["r1"]


def test_canonical_form_does_not_see_the_order_of_members():
    one, two = ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1})
    from aether.document import Parameter, Values

    def spec(value):
        return WorkflowSpec(arguments=Values(parameters=(Parameter(name="p", value=value),)))

    assert rules.canonical(spec(one)) == rules.canonical(spec(two))
    assert rules.canonical(spec(one)) != rules.canonical(spec({"a": 2}))
