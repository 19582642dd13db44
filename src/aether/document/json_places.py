"""Where the members of a JSON text stand. Only what somebody asks for is looked at in Python."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from json import decoder
from typing import Any

from .limits import FINDINGS
from .source import Path, Spot

_BLANK = re.compile(r"[ \t\n\r]*")
_skip = json.JSONDecoder().raw_decode
_read_string: Callable[[str, int, bool], tuple[str, int]] = vars(decoder)["scanstring"]
_Trie = dict[str | int, Any]


class _Done(Exception):
    """Everything asked for was found."""


class JsonPlaces:
    """The text must be known to be JSON."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: list[int] | None = None

    def locate(self, paths: Iterable[Path]) -> dict[Path, Spot]:
        offsets = self._offsets(paths)
        spots: dict[Path, Spot] = {}
        for path, (member, value) in offsets.items():
            line, column = self.line_column(member)
            quote = self._text[value : value + 1] == '"'
            spots[path] = (line, column, *self.line_column(value + quote))
        return spots

    def repeated_keys(self, path: Path) -> Iterator[tuple[str, int]]:
        """The keys of the object at `path` that stand there a second time, with their offsets."""
        found = self._offsets([path]).get(path)
        if found is None:
            return
        seen: set[str] = set()
        again = 0
        for key, key_at, value_at in self._members(found[1]):
            if key in seen:
                yield key, key_at
                again += 1
                if again >= FINDINGS:
                    return
            seen.add(key)
            self._end = _skip(self._text, value_at)[1]

    def line_column(self, offset: int) -> tuple[int, int]:
        if self._lines is None:
            self._lines = [0, *(found.end() for found in re.finditer("\n", self._text))]
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    def _offsets(self, paths: Iterable[Path]) -> dict[Path, tuple[int, int]]:
        trie: _Trie = {}
        self._missing = 0
        for path in paths:
            node = trie
            for part in path:
                inner = node.get(part)
                if inner is None:
                    inner = node[part] = {}
                    self._missing += 1
                node = inner
        start = self._blank(0)
        offsets: dict[Path, tuple[int, int]] = {(): (start, start)}
        try:
            if trie:
                self._walk(start, trie, (), offsets)
        except _Done:
            pass  # the rest of the text holds nothing that was asked for
        return offsets

    def _walk(self, at: int, trie: _Trie, path: Path, offsets: dict[Path, tuple[int, int]]) -> int:
        left = len(trie)
        for key, key_at, value_at in self._members(at):
            if not left:
                return _skip(self._text, at)[1]
            inner = trie.get(key)
            if inner is None:
                self._end = _skip(self._text, value_at)[1]
                continue
            here = (*path, key)
            if here not in offsets:
                self._missing -= 1
                left -= 1
            offsets[here] = (key_at, value_at)
            if not self._missing:
                raise _Done
            if inner and self._text[value_at] in "{[":
                self._end = self._walk(value_at, inner, here, offsets)
            else:
                self._end = _skip(self._text, value_at)[1]
        return self._end

    def _members(self, at: int) -> Iterator[tuple[Any, int, int]]:
        """(key or index, its offset, offset of the value) of each member of the container at `at`.
        The caller says in `_end` where each value ends; afterwards `_end` is the container's own."""
        text, blank = self._text, self._blank
        is_object = text[at] == "{"
        position, index = blank(at + 1), 0
        self._end = at + 1
        if text[position] in "}]":
            self._end = position + 1
            return
        while True:
            if is_object:
                key, after = _read_string(text, position + 1, True)
                yield key, position, blank(blank(after) + 1)
            else:
                yield index, position, position
                index += 1
            position = blank(self._end)
            if text[position] in "}]":
                self._end = position + 1
                return
            position = blank(position + 1)

    def _blank(self, at: int) -> int:
        found = _BLANK.match(self._text, at)
        return found.end() if found else at
