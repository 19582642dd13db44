"""Schedules in their zones: against a second, slow way of saying the same, and point by point."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aether.adapters.schedules import next_fire
from aether.errors import Refused

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

# A moment near each kind of clock change: by an hour, half an hour, two hours, at midnight, a day left out.
CHANGES = [
    ("America/New_York", "2026-03-08T07:00"),
    ("America/New_York", "2026-11-01T06:00"),
    ("Europe/Berlin", "2026-03-29T01:00"),
    ("Europe/Berlin", "2026-10-25T01:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30"),
    ("Australia/Lord_Howe", "2026-04-04T15:00"),
    ("Antarctica/Troll", "2026-03-29T01:00"),
    ("Antarctica/Troll", "2026-10-25T01:00"),
    ("Asia/Beirut", "2026-03-28T22:00"),
    ("Asia/Beirut", "2026-10-24T21:00"),
    ("America/Santiago", "2026-09-06T04:00"),
    ("America/Santiago", "2026-04-05T03:00"),
    ("Africa/Casablanca", "2026-02-15T02:00"),
    ("Africa/Casablanca", "2026-03-22T02:00"),
    ("Pacific/Apia", "2011-12-30T10:00"),
    ("Europe/Berlin", "2100-03-28T01:00"),
    ("Asia/Kathmandu", "2026-03-29T01:00"),
    ("UTC", "2026-03-29T01:00"),
]


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def instant(moment):
    return (moment - EPOCH) // timedelta(microseconds=1)


def fires(schedule, zone, after, count):
    """The next fires, as local time with offset."""
    found, when = [], instant(at(after))
    for _ in range(count):
        when = next_fire(schedule, zone, when)
        local = (EPOCH + timedelta(microseconds=when)).astimezone(ZoneInfo(zone))
        found.append(local.strftime("%m-%d %H:%M%z"))
    return found


def slow_next(minutes, hours, spaced, zone, after, days):
    """Looks at every minute: no arithmetic that could be wrong in the same way."""
    zone = ZoneInfo(zone)
    moment = after.replace(second=0, microsecond=0)
    for _ in range(days * 24 * 60):
        moment += MINUTE
        local, earlier = moment.astimezone(zone), (moment - MINUTE).astimezone(zone)
        if local.minute in minutes and local.hour in hours and (spaced or local.fold == 0):
            return moment
        skipped = earlier.replace(tzinfo=None) + MINUTE
        while not spaced and skipped < local.replace(tzinfo=None):
            if skipped.minute in minutes and skipped.hour in hours:
                return moment
            skipped += MINUTE
    return None


@st.composite
def fields(draw):
    """(minute text, hour text, minutes, hours, whether real spacing is kept)"""
    kind = draw(st.sampled_from(["star", "step", "list"]))
    if kind == "star":
        minute, minutes = "*", set(range(60))
    elif kind == "step":
        step = draw(st.sampled_from([5, 7, 15, 20, 30, 45, 60]))
        minute, minutes = f"*/{step}", set(range(0, 60, step))
    else:
        minutes = draw(st.sets(st.integers(0, 59), min_size=1, max_size=4))
        minute = ",".join(map(str, sorted(minutes)))
    hour_kind = draw(st.sampled_from(["star", "step", "list"]))
    if hour_kind == "star":
        hour, hours = "*", set(range(24))
    elif hour_kind == "step":
        step = draw(st.sampled_from([1, 2, 3, 5, 12]))
        hour, hours = f"*/{step}", set(range(0, 24, step))
    else:
        hours = draw(st.sets(st.integers(0, 23), min_size=1, max_size=5))
        hour = ",".join(map(str, sorted(hours)))
    spaced = (minute[0] == "*" and len(minutes) > 1) or len(hours) == 24
    return minute, hour, minutes, hours, spaced


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(CHANGES), fields(), st.integers(-2 * 86400, 2 * 86400))
@example(("Australia/Lord_Howe", "2026-04-04T15:00"), ("*/15", "5", {0, 15, 30, 45}, {5}, True), 0)
@example(("Pacific/Apia", "2011-12-30T10:00"), ("0", "9", {0}, {9}, False), -3600)
def test_next_fire_agrees_with_looking_at_every_minute(change, schedule, shift):
    zone, around = change
    minute, hour, minutes, hours, spaced = schedule
    after = at(around) + timedelta(seconds=shift)
    expected = slow_next(minutes, hours, spaced, zone, after, days=3)
    assert next_fire(f"{minute} {hour} * * *", zone, instant(after)) == instant(expected)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CHANGES), fields(), st.integers(-86400, 86400), st.integers(0, 10**6))
def test_asking_from_any_instant_before_a_fire_gives_that_fire(change, schedule, shift, fraction):
    zone, around = change
    text = f"{schedule[0]} {schedule[1]} * * *"
    after = instant(at(around) + timedelta(seconds=shift)) + fraction
    following = next_fire(text, zone, after)
    assert following > after
    assert next_fire(text, zone, min((after + following) // 2, following - 1)) == following
    assert next_fire(text, zone, following - 1) == following


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("0123456789*/,-#LWHMONSUFEBJAN @?٣ "), max_size=24))
@example("0 0 * * 5L/2")
@example("* * * * MON#1/2")
@example("0 0 L/2 * *")
@example("0 0 ,, * *")
@example("٣ 0 * * *")
@example("1/1/1 * * * *")
def test_any_text_is_a_schedule_or_refused(text):
    try:
        found = next_fire(text, "Europe/Berlin", 0)
    except Refused as exc:
        assert exc.code == "bad-schedule"  # noqa: PT017  both ends are fine, nothing else is
    else:
        assert found is None or found > 0


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_a_zone_or_refused(text):
    try:
        next_fire("@daily", text, 0)
    except Refused as exc:
        assert exc.code == "unknown-timezone"  # noqa: PT017  both ends are fine, nothing else is


@pytest.mark.parametrize("name", ["right/UTC", "posix/UTC", "localtime", "posixrules", "Local"])
def test_names_that_are_no_zones_are_refused(name):
    with pytest.raises(Refused) as caught:
        next_fire("@daily", name, 0)
    assert caught.value.code == "unknown-timezone"


def test_no_zone_means_utc():
    assert next_fire("@daily", "", 0) == next_fire("@daily", "UTC", 0) == 86_400_000_000


@pytest.mark.parametrize(
    "schedule",
    ["0 0 30 2 *", "0 0 31 2,4,6 *", "0 0 31 9 */2", "0 0 0 * *", "0 24 * * *", "0 0 1 13 *",
     "0 0 * * 8", "60 * * * *", "-1 * * * *", "5-1 * * * *", "* * * * * 2026", "9" * 300],
)  # fmt: skip
def test_impossible_dates_and_fields_are_refused_with_a_way_out(schedule):
    with pytest.raises(Refused) as caught:
        next_fire(schedule, "UTC", 0)
    problem = caught.value.problems[0]
    assert problem.code == "bad-schedule"
    assert "write five fields" in problem.fix


def test_day_of_month_or_day_of_week_counts_unless_one_is_a_star():
    assert fires("0 0 13 * FRI", "UTC", "2026-05-01T00:00", 3) == [
        "05-08 00:00+0000", "05-13 00:00+0000", "05-15 00:00+0000"]  # fmt: skip
    assert fires("0 0 */2 * FRI", "UTC", "2026-05-01T00:00", 1) == ["05-15 00:00+0000"]


def test_leap_days_come_every_four_years_but_not_in_2100():
    when, years = instant(at("2090-01-01T00:00")), []
    for _ in range(3):
        when = next_fire("30 1 29 2 *", "Europe/Berlin", when)
        years.append((EPOCH + timedelta(microseconds=when)).year)
    assert years == [2092, 2096, 2104]


def test_last_day_and_nth_weekday_are_understood():
    assert fires("0 0 L 2 *", "UTC", "2027-12-01T00:00", 2) == [
        "02-29 00:00+0000",
        "02-28 00:00+0000",
    ]
    assert fires("0 0 * * MON#5", "UTC", "2026-05-01T00:00", 1) == ["06-29 00:00+0000"]
    assert fires("0 0 * * 5L", "UTC", "2026-05-01T00:00", 1) == ["05-29 00:00+0000"]


def test_two_times_within_one_gap_fire_once():
    assert fires("0,30 2 * * *", "America/New_York", "2026-03-08T00:00", 3) == [
        "03-08 03:00-0400", "03-09 02:00-0400", "03-09 02:30-0400"]  # fmt: skip


def test_whole_day_left_out_fires_when_the_next_begins():
    assert fires("0 9 * * *", "Pacific/Apia", "2011-12-30T00:00", 3) == [
        "12-31 00:00+1400", "12-31 09:00+1400", "01-01 09:00+1400"]  # fmt: skip


def test_every_second_hour_is_a_list_of_times_and_not_a_spacing():
    assert fires("0 */2 * * *", "Europe/Berlin", "2026-10-24T21:00", 4) == [
        "10-25 00:00+0200", "10-25 02:00+0200", "10-25 04:00+0100", "10-25 06:00+0100"]  # fmt: skip


def test_star_that_leaves_one_minute_is_a_fixed_time():
    assert fires("*/60 2 * * *", "Europe/Berlin", "2026-03-28T12:00", 1) == ["03-29 03:00+0200"]
    assert fires("*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", 1) == ["03-30 02:00+0200"]


def test_far_minute_wise_schedule_is_found_without_walking_there():
    assert fires("*/30 * 29 2 *", "Europe/Berlin", "2097-01-01T00:00", 2) == [
        "02-29 00:00+0100", "02-29 00:30+0100"]  # fmt: skip


def test_calendar_has_an_end():
    assert next_fire("@yearly", "Asia/Tokyo", instant(at("9999-06-01T00:00"))) is None
    assert next_fire("@hourly", "UTC", instant(at("9999-12-31T23:30"))) is None
