"""Instants of rows as people and JSON have them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ..record import Instant

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def moment(instant: Instant | None) -> datetime | None:
    return None if instant is None else _EPOCH + timedelta(microseconds=instant)


def instant_of(at: datetime) -> Instant:
    """Times without a zone are UTC."""
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def span(began: Instant | None, ended: Instant | None) -> timedelta | None:
    return None if began is None or ended is None else timedelta(microseconds=ended - began)
