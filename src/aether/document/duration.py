"""Duration text: `300ms`, `1h30m`, `1.5h`, `2d`."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {
    "ns": 1e-3,
    "us": 1,
    "µs": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
}
_TERM = re.compile(r"(\d{1,18}(?:\.\d{0,9})?|\.\d{1,9})(ns|us|µs|ms|s|m|h)")
_DAYS = re.compile(r"(\d{1,6})d")
_LONGEST_TEXT = 64
_LONGEST = 100 * 366 * 24 * 3_600_000_000  # a century, in microseconds


def parse_micros(text: str) -> int | None:
    """The microseconds `text` stands for; 0 for empty text, None if it is no duration."""
    if not text or text == "0":
        return 0
    if len(text) > _LONGEST_TEXT:
        return None
    if days := _DAYS.fullmatch(text):
        return _bounded(int(days[1]) * 24 * 3_600_000_000)
    total, end = 0.0, 0
    for term in _TERM.finditer(text):
        if term.start() != end:
            return None
        total += float(term[1]) * _UNITS[term[2]]
        end = term.end()
    return _bounded(round(total)) if end == len(text) else None


def parse_rate(text: str) -> tuple[int, int] | None:
    """`10/1m` or `5/s` as (10, microseconds of a minute); None if it is no rate."""
    count, slash, span = text.partition("/")
    if not slash or not count.isascii() or not count.isdigit() or len(count) > 9:
        return None
    micros = parse_micros(span if span[:1].isdigit() else f"1{span}")
    return (int(count), micros) if int(count) and micros else None


def parse_duration(text: str) -> timedelta | None:
    """`text` as a timedelta; None if it is no duration."""
    micros = parse_micros(text)
    return None if micros is None else timedelta(microseconds=micros)


def _bounded(micros: int) -> int | None:
    return micros if micros <= _LONGEST else None
