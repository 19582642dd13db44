"""What is right for a cron, as plain functions of rows and instants: nothing here waits or looks up.

Which fires are due, which were missed, whether one may go ahead, which runs are to be deleted.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from ..document import CronSpec, parse_micros
from ..record import CronRow, Instant, Phase, RunRow

NextFire = Callable[[Instant], "Instant | None"]

CATCH_UP_LIMIT = 100
BACKFILL_LIMIT = 100
_DAY = 24 * 3_600_000_000
_DEFAULT_SUCCESSFUL = 3
_DEFAULT_FAILED = 1
_SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_ID = 128


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A CronSpec with its defaults filled and its texts read."""

    schedule: str
    timezone: str
    start_at: Instant | None
    end_at: Instant | None
    concurrency: str
    starting_deadline: int | None  # microseconds
    successful_limit: int
    failed_limit: int
    catch_up: str
    catch_up_window: int
    jitter: int


class Verdict(msgspec.Struct, frozen=True):
    """Whether a fire goes ahead, which runs are cancelled for it, and the reason if it does not."""

    go: bool
    cancel: tuple[str, ...] = ()
    reason: str = ""


def policy_of(spec: CronSpec) -> Policy:
    deadline = spec.starting_deadline_seconds
    window = parse_micros(spec.catch_up_window)
    return Policy(
        schedule=spec.schedule,
        timezone=spec.timezone or "UTC",
        start_at=parse_instant(spec.start_at),
        end_at=parse_instant(spec.end_at),
        concurrency=spec.concurrency_policy or "Allow",
        starting_deadline=None if deadline is None else deadline * _SECOND,
        successful_limit=_limit(spec.successful_jobs_history_limit, _DEFAULT_SUCCESSFUL),
        failed_limit=_limit(spec.failed_jobs_history_limit, _DEFAULT_FAILED),
        catch_up=spec.catch_up or "none",
        catch_up_window=window or _DAY,
        jitter=parse_micros(spec.jitter) or 0,
    )


def _limit(given: int | None, default: int) -> int:
    return default if given is None else max(0, given)


def parse_instant(text: str) -> Instant | None:
    """RFC 3339 text as an instant; None for empty text. Validation has seen to everything else."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def show_instant(at: Instant) -> datetime:
    return _EPOCH + timedelta(microseconds=at)


def newest_fires(
    next_fire: NextFire, after: Instant, until: Instant, limit: int = CATCH_UP_LIMIT
) -> list[Instant]:
    """The newest `limit` fires in (`after`, `until`], oldest first.

    Looks back from `until` in spans that double until one holds enough, so that a cron of every minute
    costs no more after a year than after an hour.
    """
    span = 60 * _SECOND
    while True:
        start = max(after, until - span)
        newest: deque[Instant] = deque(maxlen=limit)
        at = next_fire(start)
        while at is not None and at <= until:
            newest.append(at)
            at = next_fire(at)
        if start == after or len(newest) == limit:
            return list(newest)
        span *= 2


def fires_between(
    next_fire: NextFire, first: Instant, last: Instant, limit: int
) -> tuple[list[Instant], bool]:
    """The oldest `limit` fires in [`first`, `last`], and whether there are more."""
    found: list[Instant] = []
    at = next_fire(first - 1)
    while at is not None and at <= last:
        if len(found) == limit:
            return found, True
        found.append(at)
        at = next_fire(at)
    return found, False


def next_wanted(policy: Policy, next_fire: NextFire, after: Instant) -> Instant | None:
    """The first fire after `after` that lies within the cron's window."""
    if policy.start_at is not None:
        after = max(after, policy.start_at - 1)
    at = next_fire(after)
    return None if at is None or (policy.end_at is not None and at > policy.end_at) else at


def last_fire(row: CronRow, now: Instant) -> Instant | None:
    """The newest fire that was claimed. One that lies days ahead was claimed by a clock that was wrong:
    it must not keep the cron still until then."""
    last = row.last_fire_at
    return None if last is None or last > now + _DAY else last


def considered_until(row: CronRow, now: Instant) -> Instant:
    """Fires up to this instant are no longer owed: they fired, or the cron was not that cron yet."""
    marks = (last_fire(row, now), row.updated_at, row.created_at)
    return max(mark for mark in marks if mark is not None)


def missed_fires(
    policy: Policy, next_fire: NextFire, after: Instant, now: Instant
) -> list[Instant]:
    """The fires in (`after`, `now`] that an engine that comes back owes: what `catchUp` says."""
    limit = {"last": 1, "all": CATCH_UP_LIMIT}.get(policy.catch_up, 0)
    after = max(after, now - policy.catch_up_window - 1)
    if policy.start_at is not None:
        after = max(after, policy.start_at - 1)
    until = now if policy.end_at is None else min(now, policy.end_at)
    return newest_fires(next_fire, after, until, limit) if limit and after < until else []


def due_fires(
    policy: Policy, next_fire: NextFire, fire_at: Instant, after: Instant, now: Instant
) -> list[Instant]:
    """The fires that a call for `fire_at` means when it comes at `now`, `after` being dealt with.

    Usually the one. When the call comes so late that others have passed too, `catchUp: none` still
    means the one, `last` the newest instead, `all` each of them.
    """
    after = max(after, fire_at - 1)
    newest = [fire_at] if fire_at > after else []
    if policy.catch_up == "none" or after >= now:
        return newest
    # A tick by hand may stand for an instant that the schedule does not have.
    return missed_fires(policy, next_fire, after, now) or newest


def jitter_delay(cron_id: str, fire_at: Instant, following: Instant | None, jitter: int) -> int:
    """How long this fire is put off: the same on every engine, and never up to the following fire."""
    span = jitter if following is None else min(jitter, following - fire_at)
    if span <= 0:
        return 0
    seed = hashlib.blake2b(f"{cron_id}\n{fire_at}".encode(), digest_size=8).digest()
    return span * int.from_bytes(seed, "big") >> 64


def outside_window(policy: Policy, fire_at: Instant) -> str:
    """Why a fire at that instant is outside the cron's window; "" if it is inside."""
    if policy.start_at is not None and fire_at < policy.start_at:
        return f"it lies before startAt ({show_instant(policy.start_at).isoformat()})"
    if policy.end_at is not None and fire_at > policy.end_at:
        return f"it lies after endAt ({show_instant(policy.end_at).isoformat()})"
    return ""


def too_late(policy: Policy, due_at: Instant, now: Instant) -> str:
    """Why a fire that was due at `due_at` comes too late; "" if it does not."""
    if policy.starting_deadline is None or now - due_at <= policy.starting_deadline:
        return ""
    late, allowed = (now - due_at) / _SECOND, policy.starting_deadline // _SECOND
    return f"it is {late:.0f} s late and startingDeadlineSeconds is {allowed}"


def judge(policy: Policy, active: Sequence[str]) -> Verdict:
    """What the concurrency policy says while the runs `active` are not over."""
    if not active or policy.concurrency == "Allow":
        return Verdict(True)
    if policy.concurrency == "Replace":
        return Verdict(True, tuple(active))
    more = f" and {len(active) - 1} more" if len(active) > 1 else ""
    return Verdict(False, (), f"run {active[0]}{more} is not over and the policy is Forbid")


def fire_run_id(cron_id: str, fire_at: Instant) -> str:
    """The id of the run of a fire: one run for one instant, whichever engine submits it."""
    seconds, rest = divmod(fire_at, _SECOND)
    tail = f"-{seconds}" if not rest else f"-{fire_at}us"
    if len(cron_id) + len(tail) <= _LONGEST_ID:
        return cron_id + tail
    digest = hashlib.blake2b(cron_id.encode(), digest_size=8).hexdigest()
    return f"{cron_id[: _LONGEST_ID - len(tail) - len(digest) - 1]}-{digest}{tail}"


def runs_to_delete(policy: Policy, runs: Iterable[RunRow], spare: Iterable[str] = ()) -> list[str]:
    """Of terminal runs, newest first: those beyond the history limits, oldest last.

    Everything that did not succeed counts against the failed limit, Cancelled too: else the runs that
    Replace cancels would pile up for ever.
    """
    spared, deleted = set(spare), []
    left = {True: policy.successful_limit, False: policy.failed_limit}
    for run in runs:
        kind = run.phase is Phase.SUCCEEDED
        left[kind] -= 1
        if left[kind] < 0 and run.run_id not in spared:
            deleted.append(run.run_id)
    return deleted


def canonical(part: msgspec.Struct) -> bytes:
    """What was written, whatever the order and spacing in which it was written."""
    return msgspec.json.encode(part, order="deterministic")
