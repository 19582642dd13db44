"""Instants as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from ..record import Instant

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAR = 1 << 52  # up to here a float of seconds tells microseconds apart


@lru_cache(maxsize=4096)  # the instants of one run's tasks are mostly the same few
def moment(instant: Instant) -> datetime:
    if 0 <= instant < _FAR:
        return datetime.fromtimestamp(instant / 1_000_000, UTC)  # half the time of a timedelta
    return _EPOCH + timedelta(microseconds=instant)


def clock(instant: Instant | None) -> str:
    return "?" if instant is None else moment(instant).strftime("%Y-%m-%d %H:%M:%SZ")
