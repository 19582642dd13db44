"""How a durable call is made: spans as people write them, and retries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeAlias

import msgspec

from ..document import parse_micros
from ..errors import Problem, Refused
from ..record import ActivityOptions

Span: TypeAlias = str | float | timedelta
"""A stretch of time: `"1h30m"`, seconds as a number, or a timedelta."""

_MICROSECOND = timedelta(microseconds=1)


def micros(span: Span | None, what: str = "the span") -> int:
    """`span` in microseconds; 0 for None. Raises Refused `bad-span`."""
    if span is None:
        return 0
    if isinstance(span, timedelta):
        found: int | None = span // _MICROSECOND
    elif isinstance(span, str):
        found = parse_micros(span)
    else:
        found = round(span * 1_000_000)
    if found is None or found < 0:
        raise Refused(
            Problem(
                "bad-span",
                f"{what} is {span!r}, which is no span of time",
                fix='write "300ms", "90s", "1h30m" or "2d", a number of seconds, or a timedelta',
            )
        )
    return found


def labels_of(labels: Mapping[str, str] | None) -> dict[str, str]:
    """`labels` as a run keeps them. Raises Refused `bad-labels`."""
    found = dict(labels or {})
    for name, value in found.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise Refused(
                Problem(
                    "bad-labels",
                    f"the label {name!r} is {value!r}, and labels are texts",
                    fix='write labels={"team": "billing", "priority": "3"}',
                )
            )
    return found


def aware(at: datetime, what: str) -> datetime:
    """`at`, if it names its time zone. Raises Refused `naive-instant`."""
    if at.tzinfo is None:
        raise Refused(
            Problem(
                "naive-instant",
                f"{what} was given {at}, which names no time zone",
                fix="pass an aware datetime: datetime(…, tzinfo=UTC), or ctx.now() + timedelta(…)",
            )
        )
    return at


class Retry(msgspec.Struct, frozen=True):
    """Try again after a failure: `attempts` in all, waiting `initial`, then `factor` times as long each
    time, at most `max`; each wait varies by `jitter` (0 to 1). `non_retryable` names exception types,
    as classes or by name, that are given up at once."""

    attempts: int = 3
    initial: Span = 1.0
    factor: float = 2.0
    max: Span = 60.0
    jitter: float = 0.1
    non_retryable: tuple[str | type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        micros(self.initial, "Retry.initial")
        micros(self.max, "Retry.max")
        if self.attempts < 1 or self.factor < 1 or not 0 <= self.jitter <= 1:
            raise Refused(
                Problem(
                    "bad-retry",
                    f"{self!r} cannot be followed",
                    fix="give at least one attempt, a factor of at least 1 and a jitter from 0 to 1",
                )
            )

    def gives_up_on(self, error: BaseException) -> bool:
        """Whether the type of `error`, or one it derives from, is not to be tried again."""
        names = self.error_types
        return bool(names) and any(
            kind.__name__ in names or f"{kind.__module__}.{kind.__qualname__}" in names
            for kind in type(error).__mro__
        )

    @property
    def error_types(self) -> frozenset[str]:
        return frozenset(
            name if isinstance(name, str) else f"{name.__module__}.{name.__qualname__}"
            for name in self.non_retryable
        )

    def wait_before(self, attempt: int, chance: float) -> int:
        """Microseconds to wait before `attempt` (from 2 on); `chance` is from 0 to 1."""
        span = micros(self.initial) * self.factor ** min(attempt - 2, 1_000)
        longest = micros(self.max)
        if longest:
            span = min(span, longest)
        return round(span * (1 + self.jitter * (2 * chance - 1)))


NO_RETRY = Retry(attempts=1)


def activity_options(
    retry: Retry | None = None,
    *,
    timeout: Span | None = None,
    schedule_to_start: Span | None = None,
    heartbeat: Span | None = None,
    priority: int | None = None,
) -> ActivityOptions:
    """What an activity's task carries; what is not given takes the default of ActivityOptions."""
    default = ActivityOptions()
    retry = retry or Retry()
    names = {name.rpartition(".")[2] for name in retry.error_types} | retry.error_types
    return ActivityOptions(
        attempts=retry.attempts,
        initial=micros(retry.initial),
        factor=retry.factor,
        max=micros(retry.max),
        jitter=retry.jitter,
        non_retryable=tuple(sorted(names)),
        start_to_close=default.start_to_close if timeout is None else micros(timeout, "timeout"),
        schedule_to_start=micros(schedule_to_start, "schedule_to_start"),
        heartbeat=micros(heartbeat, "heartbeat"),
        priority=default.priority if priority is None else priority,
    )
