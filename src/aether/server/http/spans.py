"""Lengths of time in requests."""

from __future__ import annotations

from datetime import timedelta

from ...document import parse_duration
from .messages import bad_request

_MICROSECOND = timedelta(microseconds=1)


def seconds(text: str, name: str, most: float) -> float:
    """`30s`, `500ms`, or a bare number of seconds; at most `most`. "" is none."""
    span = parse_duration(text + "s" if text.replace(".", "", 1).isdigit() else text)
    if span is None:
        raise bad_request(f"`{name}={text}` is no duration", f"write {name}=30s")
    return min(span.total_seconds(), most)


def micros(text: str, name: str) -> int:
    span = parse_duration(text)
    if span is None:
        raise bad_request(f"`{name}`: '{text}' is no duration", f"write {name}: 30s, 5m or 1h30m")
    return span // _MICROSECOND
