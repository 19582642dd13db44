"""Source: a plain tree and the place of everything in it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from ..errors import InvalidDocument, Problem, Where
from .limits import DEPTH, DIGITS, TREE_VALUES, too_deep, too_many_values

Path = tuple[str | int, ...]
Spot = tuple[int, int, int, int]  # line and column of the member, then of its value's text
Locator = Callable[[Iterable[Path]], dict[Path, Spot]]

_NAMED = frozenset({"templates", "tasks", "parameters", "artifacts"})
_PLAIN_NAME = re.compile(r"[\w.@/-]+")
_PLAIN_KEY = re.compile(r"[A-Za-z_][\w-]{0,60}")
_MANY = 5_000  # in longer lists nobody counts who shares a name
_LARGEST_INT = 10**DIGITS


class Source:
    """`data` is the tree as written; places are worked out only when one is asked for."""

    __slots__ = ("_locate", "_names", "_spots", "data", "file")

    def __init__(self, data: Any, file: str = "", locate: Locator | None = None) -> None:
        self.data = data
        self.file = file
        self._locate = locate
        self._spots: dict[Path, Spot] = {}
        self._names: dict[int, Counter[str | None]] = {}  # by the identity of a list in `data`

    @classmethod
    def of(cls, data: object, file: str = "") -> Source:
        """Wraps a tree that was never text. Raises InvalidDocument for what JSON cannot hold."""
        plain = _Inspection(file).check(data)
        if not plain:
            data = msgspec.json.decode(msgspec.json.encode(data))
        return cls(data, file)

    def where(self, path: Sequence[str | int], within: int | None = None) -> Where:
        """The place of `path`, or of the nearest thing around it that is written. `within` is an
        offset into the text of the value there."""
        path = tuple(path)
        self.locate([path])
        line = column = 0
        for length in range(len(path), -1, -1):
            if spot := self._spots.get(path[:length]):
                line, column, text_line, text_column = spot
                if within is not None and length == len(path):
                    line, column = text_line, text_column + within
                break
        return Where(self.file, line, column, self.readable(path))

    def locate(self, paths: Iterable[Path]) -> None:
        """Finds many places in one pass over the text; later calls of `where` are then cheap."""
        if self._locate is not None:
            missing = [path for path in paths if path not in self._spots]
            if missing:
                self._spots.update(self._locate(missing))

    def readable(self, path: Sequence[str | int]) -> str:
        """`spec.templates[main].dag.tasks[load]`: names in place of indices where they have one."""
        text, here, parent = "", self.data, ""
        for part in path:
            inside = _step(here, part)
            if isinstance(part, int):
                text += f"[{self._name_of(here, inside, part) if parent in _NAMED else part}]"
            elif _PLAIN_KEY.fullmatch(part):
                text += f".{part}" if text else part
                parent = part
            else:
                text += f"[{_quoted(part)}]"
                parent = ""
            here = inside
        return text

    def _name_of(self, siblings: Any, item: Any, index: int) -> str | int:
        """The name of a list item when it has one that no sibling shares."""
        name = _own_name(item)
        if name is None or not _PLAIN_NAME.fullmatch(name) or len(siblings) > _MANY:
            return index
        counts = self._names.get(id(siblings))
        if counts is None:
            counts = self._names[id(siblings)] = Counter(map(_own_name, siblings))
        return index if counts[name] > 1 else name


def _step(here: Any, part: str | int) -> Any:
    if isinstance(part, str):
        return here.get(part) if isinstance(here, dict) else None
    if isinstance(here, (list, tuple)) and -len(here) <= part < len(here):
        return here[part]
    return None


def _own_name(item: Any) -> str | None:
    if not isinstance(item, dict):
        return None
    name = item.get("name")
    if name is None:
        for kind in ("task", "dag", "loop"):
            if isinstance(inner := item.get(kind), dict):
                name = inner.get("name")
                break
    return name if isinstance(name, str) and len(name) <= 63 else None


def _quoted(key: str) -> str:
    short = key if len(key) <= 60 else key[:57] + "..."
    return msgspec.json.encode(short.encode("utf-8", "replace").decode()).decode()


class _Inspection:
    """One walk over a tree that came from Python: is it JSON, and of reasonable size?"""

    def __init__(self, file: str) -> None:
        self._file = file
        self._plain = True
        self._values = 0

    def check(self, data: object) -> bool:
        """Whether the tree is made of plain JSON types only, and may be used as it is."""
        self._visit(data, 0, ())
        return self._plain

    def _visit(self, value: Any, depth: int, path: Path) -> None:
        self._values += 1
        if self._values > TREE_VALUES:
            raise too_many_values(TREE_VALUES, Where(self._file))
        kind = type(value)
        if kind is str:
            self._text(value, path)
        elif kind is dict or kind is list or kind is tuple:
            self._inside(value, depth + 1, path)
        elif value is None or kind is bool:
            pass
        elif kind is int:
            if not -_LARGEST_INT < value < _LARGEST_INT:
                raise _bad_number("a number with thousands of digits", self._at(path))
        elif kind is float:
            if not math.isfinite(value):
                raise _bad_number(f"{value} is no number in JSON", self._at(path))
        else:
            self._foreign(value, depth, path)

    def _inside(self, value: Any, depth: int, path: Path) -> None:
        if depth > DEPTH:
            raise too_deep(Where(self._file))
        if type(value) is dict:
            for key, inner in value.items():
                if type(key) is not str:
                    raise InvalidDocument(key_not_text(repr(key)[:40], self._at(path)))
                self._text(key, path)
                self._visit(inner, depth, (*path, key))
            return
        if type(value) is tuple:
            self._plain = False
        for index, inner in enumerate(value):
            self._visit(inner, depth, (*path, index))

    def _foreign(self, value: object, depth: int, path: Path) -> None:
        """Structs, enums, dates and the like: whatever msgspec writes as JSON."""
        self._plain = False
        if isinstance(value, (str, dict, list, tuple, int, float)):
            plain: object = _plain_of(value)
        else:
            try:
                plain = msgspec.to_builtins(value)
            except (TypeError, ValueError, RecursionError) as exc:
                what = f"a Python {type(value).__name__} cannot be written as JSON"
                raise InvalidDocument(
                    Problem("not-json", what, self._at(path), "use plain dicts, lists and text")
                ) from exc
        if type(plain) is type(value):
            raise InvalidDocument(Problem("not-json", "a value is not JSON", self._at(path)))
        self._visit(plain, depth, path)

    def _text(self, value: object, path: Path) -> None:
        if type(value) is str and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as exc:
                raise InvalidDocument(bad_character("half a character", self._at(path))) from exc

    def _at(self, path: Path) -> Where:
        return Source(None, self._file).where(path)


def _plain_of(value: Any) -> object:
    kinds: tuple[type[Any], ...] = (str, dict, list, tuple, int, float)
    for kind in kinds:
        if isinstance(value, kind):
            return kind(value)
    return value


def _bad_number(what: str, where: Where) -> InvalidDocument:
    return InvalidDocument(number_out_of_range(what, where))


def number_out_of_range(what: str, where: Where) -> Problem:
    fix = "write an ordinary number, or put it in quotes as text"
    return Problem("number-out-of-range", what, where, fix)


def key_not_text(key: str, where: Where) -> Problem:
    fix = "put the key in quotes"
    return Problem("key-not-text", f"the key {key} is not text", where, fix)


def bad_character(what: str, where: Where) -> Problem:
    fix = "remove it, or write the whole character"
    return Problem("bad-character", f"{what} (a lone surrogate) stands in the text", where, fix)


def duplicate_key(key: str, where: Where) -> Problem:
    shown = key if len(key) <= 40 else key[:37] + "..."
    return Problem(
        "duplicate-key",
        f"the key '{shown}' occurs twice in one object",
        where,
        "keep one of them",
    )
