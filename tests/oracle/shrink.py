"""Makes a failing document smaller: takes away one member after another while it still fails alike."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

TRIES = 2_000


def shrunk(document: dict[str, Any], fails: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    tries, smaller = TRIES, True
    while smaller:
        smaller = False
        for candidate in _without_one(document):
            tries -= 1
            if tries < 0:
                return document
            if fails(candidate):
                document, smaller = candidate, True
                break
    return document


def _without_one(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for place in _places(document["spec"], ()):
        candidate = copy.deepcopy(document)
        holder: Any = candidate["spec"]
        for step in place[:-1]:
            holder = holder[step]
        del holder[place[-1]]
        yield candidate


def _places(part: Any, place: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Big parts first, and the later members of a list before the earlier ones."""
    if isinstance(part, dict):
        steps: list[Any] = list(part)
    elif isinstance(part, list):
        steps = list(range(len(part)))[::-1]
    else:
        return
    for step in steps:
        yield (*place, step)
    for step in steps:
        yield from _places(part[step], (*place, step))
