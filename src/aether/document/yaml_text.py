"""YAML text to a tree by the rules of YAML 1.2: only true and false are booleans, nothing is a date.

Anchors and aliases are allowed as long as what they stand for stays small; tags are not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import InvalidDocument, Problem, Where
from .limits import (
    DEPTH,
    FINDINGS,
    YAML_BYTES,
    YAML_VALUES,
    too_deep,
    too_large,
    too_many_values,
)
from .source import (
    Path,
    Source,
    Spot,
    bad_character,
    duplicate_key,
    key_not_text,
    number_out_of_range,
)

_WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_TEXT_TAGS = frozenset({None, "!", "tag:yaml.org,2002:str"})
_MISSING = object()


def read_yaml(text: str, file: str) -> list[Source]:
    """One Source for each document in `text`."""
    if len(text) > YAML_BYTES:
        raise too_large(
            f"the YAML text is larger than {YAML_BYTES // 1024} KiB",
            "write large documents as JSON, or split the file",
            Where(file),
        )
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        line = text.count("\n", 0, exc.start) + 1
        column = exc.start - text.rfind("\n", 0, exc.start)
        place = Where(file, line, column)
        raise InvalidDocument(bad_character("half a character", place)) from exc
    builder = _Builder(text, file)
    documents = builder.build()
    if builder.problems:
        raise InvalidDocument(builder.problems)
    return [
        Source(data, file, _YamlPlaces(text, number).locate)
        for number, data in enumerate(documents)
    ]


def _events(text: str, file: str) -> Iterator[Any]:
    import yaml  # PyYAML is slow to import, and most documents are JSON

    try:
        yield from yaml.parse(text, Loader=getattr(yaml, "CLoader", yaml.Loader))
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        reason = getattr(exc, "problem", None) or getattr(exc, "reason", None) or "bad character"
        if not mark and isinstance(position := getattr(exc, "position", None), int):
            line = text.count("\n", 0, position) + 1
            column = position - text.rfind("\n", 0, position)
        what = f"this is not YAML: {reason}"
        place = Where(file, line, column)
        fix = "correct the text at this place; mind the indentation, and quote unusual text"
        raise InvalidDocument(Problem("syntax", what, place, fix)) from exc


class _Builder:
    """Events to trees. `problems` collects what is wrong without making the text unreadable."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._values = 0
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._open: list[list[Any]] = []  # container, key waiting for its value, anchor, count
        self._root: Any = None
        self.problems: list[Problem] = []

    def build(self) -> list[Any]:
        documents: list[Any] = []
        for event in _events(self._text, self._file):
            kind = type(event).__name__
            if kind == "ScalarEvent":
                before = self._values
                value = self._scalar(event)
                self._keep(event.anchor, value, before)
                self._place(value, event)
            elif kind == "MappingStartEvent":
                self._begin({}, event)
            elif kind == "SequenceStartEvent":
                self._begin([], event)
            elif kind == "MappingEndEvent" or kind == "SequenceEndEvent":
                self._finish(event)
            elif kind == "AliasEvent":
                self._alias(event)
            elif kind == "DocumentEndEvent":
                documents.append(self._root)
                self._root = None
                self._anchors = {}
        return documents

    def _begin(self, container: Any, event: Any) -> None:
        if len(self._open) >= DEPTH:
            raise too_deep(self._at(event))
        if event.tag not in (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            self._tag(event)
        self._count(1, event)
        self._open.append([container, _MISSING, event.anchor, self._values])

    def _finish(self, event: Any) -> None:
        container, _, anchor, before = self._open.pop()
        self._keep(anchor, container, before - 1)
        self._place(container, event)

    def _keep(self, anchor: str | None, value: Any, before: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = (value, self._values - before)

    def _alias(self, event: Any) -> None:
        found = self._anchors.get(event.anchor)
        if found is None:
            inside = any(frame[2] == event.anchor for frame in self._open)
            what = (
                f"the alias *{event.anchor} stands inside the value that it stands for"
                if inside
                else f"the alias *{event.anchor} has no anchor &{event.anchor} above it"
            )
            self._problem(Problem("bad-alias", what, self._at(event), "write the value out"))
            self._place(None, event)
            return
        self._count(found[1], event)
        self._place(found[0], event)

    def _place(self, value: Any, event: Any) -> None:
        if not self._open:
            self._root = value
            return
        frame = self._open[-1]
        container = frame[0]
        if type(container) is list:
            container.append(value)
        elif frame[1] is _MISSING:
            frame[1] = self._key(container, value, event)
        else:
            container[frame[1]] = value
            frame[1] = _MISSING

    def _key(self, container: dict[str, Any], key: Any, event: Any) -> str:
        if type(key) is not str:
            shown = getattr(event, "value", None) or type(key).__name__
            self._problem(key_not_text(str(shown)[:40], self._at(event)))
            return f"{shown!s:.40}"
        if key in container:
            self._problem(duplicate_key(key, self._at(event)))
        return key

    def _scalar(self, event: Any) -> Any:
        self._count(1, event)
        text: str = event.value
        if event.tag not in _TEXT_TAGS:
            self._tag(event)
            return text
        if event.tag is not None or event.style:
            return text
        if text in _WORDS:
            return _WORDS[text]
        return self._number(text, event)

    def _number(self, text: str, event: Any) -> Any:
        if text[0] not in "+-.0123456789":
            return text
        try:
            number = plain_int(text)
        except ValueError:
            what = "a number has thousands of digits"
            self._problem(number_out_of_range(what, self._at(event)))
            return 0
        if number is not None:
            return number
        if _FLOAT.fullmatch(text):
            value = float(text)
            if math.isfinite(value):
                return value
        elif not _NOT_FINITE.fullmatch(text):
            return text
        shown = text if len(text) <= 40 else text[:37] + "..."
        what = f"{shown} is no number that a document can hold"
        self._problem(number_out_of_range(what, self._at(event)))
        return 0

    def _tag(self, event: Any) -> None:
        what = f"the tag {event.tag!s:.60} is not allowed"
        fix = "remove the tag; quote the value if it is meant as text"
        self._problem(Problem("yaml-tag", what, self._at(event), fix))

    def _count(self, more: int, event: Any) -> None:
        self._values += more
        if self._values > YAML_VALUES:
            raise too_many_values(YAML_VALUES, self._at(event))

    def _problem(self, problem: Problem) -> None:
        self.problems.append(problem)
        if len(self.problems) >= FINDINGS:
            raise InvalidDocument(self.problems)

    def _at(self, event: Any) -> Where:
        return Where(self._file, event.start_mark.line + 1, event.start_mark.column + 1)


class _YamlPlaces:
    """A second walk over the events, made only when a problem has to be placed."""

    def __init__(self, text: str, number: int) -> None:
        self._text = text
        self._number = number

    def locate(self, paths: Iterable[Path]) -> dict[Path, Spot]:
        wanted = {path[:length] for path in paths for length in range(len(path) + 1)}
        spots: dict[Path, Spot] = {}
        document = -1
        walk = _Walk(wanted, spots)
        for event in _events(self._text, ""):
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                document += 1
            elif document == self._number:
                walk.take(kind, event)
            elif document > self._number:
                break
        return spots


class _Walk:
    def __init__(self, wanted: set[Path], spots: dict[Path, Spot]) -> None:
        self._wanted = wanted
        self._spots = spots
        # path, next index (or -1 in a mapping), key that waits for its value, mark of that key
        self._open: list[list[Any]] = []

    def take(self, kind: str, event: Any) -> None:
        if kind == "MappingEndEvent" or kind == "SequenceEndEvent":
            self._open.pop()
        elif kind == "ScalarEvent" or kind == "AliasEvent":
            self._begin(event, getattr(event, "value", None), is_scalar=True)
        elif kind == "MappingStartEvent" or kind == "SequenceStartEvent":
            path = self._begin(event, None, is_scalar=False)
            self._open.append([path, 0 if kind.startswith("S") else -1, _MISSING, None])

    def _begin(self, event: Any, text: Any, *, is_scalar: bool) -> Path:
        mark = event.start_mark
        if not self._open:
            return self._found((), mark, mark, event)
        frame = self._open[-1]
        if frame[1] >= 0:
            frame[1] += 1
            return self._found((*frame[0], frame[1] - 1), mark, mark, event)
        if frame[2] is _MISSING:
            frame[2], frame[3] = text if is_scalar else "", mark
            return (*frame[0], "")
        key, frame[2] = frame[2], _MISSING
        return self._found((*frame[0], key), frame[3], mark, event)

    def _found(self, path: Path, member: Any, value: Any, event: Any) -> Path:
        if path in self._wanted and path not in self._spots:
            quoted = getattr(event, "style", None) in ("'", '"')
            self._spots[path] = (
                member.line + 1,
                member.column + 1,
                value.line + 1,
                value.column + 1 + quoted,
            )
        return path


def plain_int(text: str) -> int | None:
    """The integer that unquoted `text` means, if any. Raises ValueError for thousands of digits."""
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text, 0)
    return int(text, 0) if _HEX.fullmatch(text) else None


def dump_yaml(plain: Any) -> str:
    import yaml  # PyYAML is slow to import, and most documents are JSON

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    def text_node(dumper: Any, text: str) -> Any:
        """PyYAML quotes what YAML 1.1 reads as something else; the rest of 1.2 is our part."""
        is_plain = text.replace("\n", "").isprintable()
        is_number = _OCTAL.fullmatch(text) or _FLOAT.fullmatch(text)
        style = '"' if is_number or not is_plain else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, text_node)
    text: str = yaml.dump(plain, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text
