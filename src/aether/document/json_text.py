"""JSON text to a tree, strictly, and the places of its members on demand."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from ..errors import InvalidDocument, Problem, Where
from .json_places import JsonPlaces
from .limits import (
    DEPTH,
    FINDINGS,
    JSON_BYTES,
    VALUES,
    too_deep,
    too_large,
    too_many_values,
)
from .source import Path, Source, bad_character, duplicate_key, number_out_of_range

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_HALF = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


_UNSURE = object()
_TWICE = object()  # read, and not too deep, but keys may occur twice


class _BadNumber(Exception):
    pass


def read_json(text: str, file: str) -> Source:
    if len(text) > JSON_BYTES:
        raise too_large(
            f"the document is larger than {JSON_BYTES // 1024 // 1024} MiB",
            "pass large data by reference, for example through an artifact or itemsFrom",
            Where(file),
        )
    if text.count(",") + text.count("{") + text.count("[") >= VALUES:
        bare = _STRING.sub("", text)
        if bare.count(",") + bare.count("{") + bare.count("[") >= VALUES:
            raise too_many_values(VALUES, Where(file))
    twice: list[dict[str, Any]] = []
    data = _decode_fast(text)
    if data is _UNSURE or data is _TWICE:
        is_shallow = data is _TWICE
        data = _decode(text, file, twice)
        if not is_shallow:
            _count_keys(data, file)
    if "\\u" in text and _HALF.search(text):
        _check_characters(data, text, file)
    places = JsonPlaces(text)
    source = Source(data, file, places.locate)
    if twice:
        raise InvalidDocument(_duplicates(source, places, twice))
    return source


def _decode_fast(text: str) -> Any:
    """The tree, or what stands in its way. msgspec is fast, but does not see duplicate keys: when no blank stands
    before a colon, there are at least as many `":` as keys, so equal numbers mean no duplicates."""
    if any(blank in text for blank in (" :", "\n:", "\t:", "\r:")):
        return _UNSURE
    try:
        data = msgspec.json.decode(text)
        keys = _count_keys(data, "")
    except (msgspec.MsgspecError, InvalidDocument, RecursionError, UnicodeEncodeError):
        return _UNSURE  # the slow way says exactly what is wrong
    return data if text.count('":') == keys else _TWICE


def _decode(text: str, file: str, twice: list[dict[str, Any]]) -> Any:
    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        mapping = dict(members)
        if len(mapping) != len(members) and len(twice) < FINDINGS:
            twice.append(mapping)
        return mapping

    decoder = json.JSONDecoder(
        object_pairs_hook=pairs, parse_constant=_no_constant, parse_float=_finite
    )
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as exc:
        what = f"this is not JSON: {exc.msg[:1].lower()}{exc.msg[1:]}"
        place = Where(file, exc.lineno, exc.colno)
        raise InvalidDocument(
            Problem("syntax", what, place, "correct the text at this place")
        ) from exc
    except RecursionError as exc:
        raise too_deep(Where(file)) from exc
    except _BadNumber as exc:
        raise InvalidDocument(_number_problem(str(exc), text, file)) from exc
    except ValueError as exc:  # an integer with more digits than Python agrees to read
        digits = re.search(r"\d{4301,}", text)
        place = _where(text, digits.start() if digits else 0, file)
        raise InvalidDocument(
            number_out_of_range("a number has thousands of digits", place)
        ) from exc


def _no_constant(name: str) -> Any:
    raise _BadNumber(name)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _BadNumber(text)
    return value


def _number_problem(token: str, text: str, file: str) -> Problem:
    shown = token if len(token) <= 40 else token[:37] + "..."
    bare = _STRING.sub(lambda found: " " * len(found[0]), text)
    return number_out_of_range(
        f"{shown} is no number that a document can hold",
        _where(text, max(bare.find(token), 0), file),
    )


def _count_keys(data: Any, file: str) -> int:
    """How many members all objects have together. Refuses what is nested too deeply."""
    level = [data] if type(data) is dict or type(data) is list else []
    keys = 0
    for _ in range(DEPTH):
        inside: list[Any] = []
        for outer in level:
            values: Any = outer
            if type(outer) is dict:
                keys += len(outer)
                values = outer.values()
            inside += [inner for inner in values if type(inner) is dict or type(inner) is list]
        if not inside:
            return keys
        level = inside
    raise too_deep(Where(file))


def _check_characters(data: Any, text: str, file: str) -> None:
    try:
        msgspec.json.encode(data)
    except UnicodeEncodeError as exc:
        half = _HALF.search(text)
        place = _where(text, half.start() if half else 0, file)
        raise InvalidDocument(bad_character("half a character", place)) from exc


def _duplicates(source: Source, places: JsonPlaces, twice: list[dict[str, Any]]) -> list[Problem]:
    wanted = {id(mapping) for mapping in twice}
    problems: list[Problem] = []
    for path in _paths_of(source.data, wanted):
        for key, offset in places.repeated_keys(path):
            line, column = places.line_column(offset)
            place = Where(source.file, line, column, source.readable((*path, key)))
            problems.append(duplicate_key(key, place))
        if len(problems) >= FINDINGS:
            break
    problems.sort(key=lambda problem: (problem.where.line, problem.where.column))
    return problems[:FINDINGS]


def _paths_of(data: Any, wanted: set[int]) -> list[Path]:
    found: list[Path] = []
    waiting: list[tuple[Iterator[tuple[Any, Any]], Path]] = [(iter([("", data)]), ())]
    while waiting and len(found) < len(wanted):
        members, path = waiting[-1]
        for key, inner in members:
            if type(inner) is dict or type(inner) is list:
                here = (*path, key) if len(waiting) > 1 else ()
                if id(inner) in wanted:
                    found.append(here)
                waiting.append(
                    (iter(inner.items() if type(inner) is dict else enumerate(inner)), here)
                )
                break
        else:
            waiting.pop()
    return found


def _where(text: str, offset: int, file: str) -> Where:
    line = text.count("\n", 0, offset) + 1
    return Where(file, line, offset - text.rfind("\n", 0, offset))
