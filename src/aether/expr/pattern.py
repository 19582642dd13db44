"""Patterns for `matches`: the RE2 subset that runs in linear time, on a lazily built automaton.

In: a pattern, then text. Out: whether any part of the text matches. Never: backtracking. What such an
automaton cannot do in linear time (back references, look-around) is refused by name.

The automaton of one search is thrown away afterwards: an answer, and the steps it took, depend on
pattern and text alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .limits import (
    MAX_PATTERN,
    MAX_PATTERN_NESTING,
    MAX_PATTERN_STATES,
    MAX_REPEAT,
)
from .site import Run, Site

_SPECIAL = frozenset("\\.[](){}*+?|^$")
_DIGITS = (("0", "9"),)
_WORDS = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))
_BLANKS = (("\t", "\n"), ("\f", "\r"), (" ", " "))
_CLASSES = {"d": _DIGITS, "w": _WORDS, "s": _BLANKS}
_CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

Ranges = tuple[tuple[str, str], ...]


class Letters(NamedTuple):
    """A set of characters: the ranges, or everything but them."""

    ranges: Ranges
    negated: bool = False

    def holds(self, letter: str) -> bool:
        for low, high in self.ranges:
            if low <= letter <= high:
                return not self.negated
        return self.negated


class Repeat(NamedTuple):
    part: Part
    least: int
    most: int  # -1: any number of times


class Either(NamedTuple):
    parts: tuple[Part, ...]


class Sequence(NamedTuple):
    parts: tuple[Part, ...]


Part = Letters | Repeat | Either | Sequence | str
"""A str is an anchor: `^` or `$`."""

_ANY_BUT_NEWLINE = Letters((("\n", "\n"),), True)
_ANY = Letters((), True)


class _Reader:
    """Recursive descent over one pattern; its depth is limited."""

    def __init__(self, pattern: str, site: Site, constant: bool) -> None:
        self.text = pattern
        self.fault = site.syntax if constant else site.fails
        self.at = 0
        self.depth = 0
        self.ignore_case = False
        self.dot = _ANY_BUT_NEWLINE

    def refuse(self, what: str, fix: str = "") -> Exception:
        return self.fault(f"in the pattern, at character {self.at + 1}: {what}", fix)

    def read(self) -> Part:
        while self.text.startswith(("(?i)", "(?s)"), self.at):
            if self.text[self.at + 2] == "i":
                self.ignore_case = True
            else:
                self.dot = _ANY
            self.at += 4
        part = self.either()
        if self.at < len(self.text):
            raise self.refuse("')' without '('", "write \\) for the character itself")
        return part

    def either(self) -> Part:
        self.depth += 1
        if self.depth > MAX_PATTERN_NESTING:
            raise self.refuse(f"more than {MAX_PATTERN_NESTING} groups inside one another")
        parts = [self.sequence()]
        while self.text.startswith("|", self.at):
            self.at += 1
            parts.append(self.sequence())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def sequence(self) -> Part:
        parts: list[Part] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self.repeated(self.atom()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def repeated(self, part: Part) -> Part:
        bounds = self.bounds()
        if bounds is None:
            return part
        if isinstance(part, str):
            raise self.refuse("an anchor cannot be repeated")
        if self.text.startswith("?", self.at):
            self.at += 1  # a lazy repeat matches in the same places
        if self.bounds() is not None:
            raise self.refuse("a repeat of a repeat", "put the inner one into (?: )")
        return Repeat(part, *bounds)

    def bounds(self) -> tuple[int, int] | None:
        sign = self.text[self.at : self.at + 1]
        if sign and sign in "*+?":
            self.at += 1
            return {"*": (0, -1), "+": (1, -1), "?": (0, 1)}[sign]
        if sign != "{":
            return None
        end = self.text.find("}", self.at, self.at + 12)
        low, comma, high = self.text[self.at + 1 : end].partition(",") if end > 0 else ("", "", "")
        if not _count(low) or (high and not _count(high)):
            raise self.refuse(
                "'{' begins no count", "write {2}, {2,} or {2,5}; or \\{ for the sign"
            )
        least = int(low)
        most = int(high) if high else (-1 if comma else least)
        if max(least, most) > MAX_REPEAT or -1 < most < least:
            raise self.refuse(f"counts run from 0 to {MAX_REPEAT}, the smaller one first")
        self.at = end + 1
        return least, most

    def atom(self) -> Part:
        letter = self.text[self.at]
        if letter == "(":
            return self.group()
        if letter == "[":
            return self.letters()
        if letter == "\\":
            return self.escape()
        if letter in "*+?{":
            raise self.refuse(f"'{letter}' has nothing to repeat", f"write \\{letter} for the sign")
        self.at += 1
        if letter in "^$":
            return letter
        return self.dot if letter == "." else self.literal(letter)

    def literal(self, letter: str) -> Letters:
        return self.folded(((letter, letter),))

    def folded(self, ranges: Ranges, negated: bool = False) -> Letters:
        if self.ignore_case:
            more = list(ranges)
            for low, high in ranges:
                for first, last, shift in (("a", "z", -32), ("A", "Z", 32)):
                    a, b = max(low, first), min(high, last)
                    if a <= b:
                        more.append((chr(ord(a) + shift), chr(ord(b) + shift)))
                if low == high:
                    more += [(c, c) for c in (low.lower(), low.upper()) if len(c) == 1]
            ranges = tuple(more)
        return Letters(ranges, negated)

    def group(self) -> Part:
        self.at += 1
        if self.text.startswith("?", self.at):
            if not self.text.startswith("?:", self.at):
                raise self.refuse(
                    "only (?: ), and (?i) or (?s) at the start, are known",
                    "there is no look-around",
                )
            self.at += 2
        part = self.either()
        if not self.text.startswith(")", self.at):
            raise self.refuse("'(' without ')'", "write \\( for the character itself")
        self.at += 1
        return Sequence((part,)) if isinstance(part, str) else part

    def escape(self) -> Part:
        letter = self.text[self.at + 1 : self.at + 2]
        if letter == "A" or letter == "z":
            self.at += 2
            return "^" if letter == "A" else "$"
        ranges, negated = self.escaped()
        return Letters(ranges, True) if negated else self.folded(ranges)

    def escaped(self) -> tuple[Ranges, bool]:
        """The set behind a backslash, in or out of brackets."""
        letter = self.text[self.at + 1 : self.at + 2]
        if letter and letter.lower() in _CLASSES:
            self.at += 2
            return _CLASSES[letter.lower()], letter.isupper()
        if letter in _CONTROLS:
            self.at += 2
            return ((_CONTROLS[letter], _CONTROLS[letter]),), False
        if not letter or letter.isalnum():
            what = "back reference" if letter.isdigit() else "escape"
            raise self.refuse(
                f"'\\{letter}' is no known {what}", "known: \\d \\w \\s \\D \\W \\S \\n \\t"
            )
        self.at += 2
        return ((letter, letter),), False

    def letters(self) -> Letters:
        start = self.at
        self.at += 1
        negated = self.text.startswith("^", self.at)
        self.at += negated
        ranges: list[tuple[str, str]] = []
        first = True
        while not self.text.startswith("]", self.at) or first:
            if self.at >= len(self.text):
                self.at = start
                raise self.refuse("'[' without ']'", "write \\[ for the character itself")
            ranges += self.member()
            first = False
        self.at += 1
        return self.folded(tuple(ranges), negated)

    def member(self) -> Ranges:
        low = self.one()
        if len(low) != 1 or low[0][0] != low[0][1]:
            return low
        if self.text.startswith("-", self.at) and self.text[self.at + 1 : self.at + 2] not in (
            "]",
            "",
        ):
            self.at += 1
            high = self.one()
            if len(high) != 1 or high[0][0] != high[0][1] or high[0][0] < low[0][0]:
                raise self.refuse("this range runs backwards, or to no character")
            return ((low[0][0], high[0][0]),)
        return low

    def one(self) -> Ranges:
        letter = self.text[self.at]
        if letter == "\\":
            ranges, negated = self.escaped()
            return _complement(ranges) if negated else ranges
        if self.text.startswith("[:", self.at):
            raise self.refuse("classes such as [:alpha:] are not known", "write a-zA-Z")
        self.at += 1
        return ((letter, letter),)


def _count(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _complement(ranges: Ranges) -> Ranges:
    result, low = [], 0
    for first, last in ranges:
        if ord(first) > low:
            result.append((chr(low), chr(ord(first) - 1)))
        low = ord(last) + 1
    result.append((chr(low), chr(0x10FFFF)))
    return tuple(result)


_SPLIT, _MATCH = "|", "="


class _State(NamedTuple):
    """`label` is a set of characters, an anchor, a split or the match."""

    label: Letters | str
    one: int
    two: int


class _Row(NamedTuple):
    """A set of states that the search has been in, and where each letter led from it."""

    now: frozenset[int]
    moves: dict[str, Any]


class Pattern:
    """A compiled pattern. `search` charges the run for what it does."""

    def __init__(self, pattern: str, site: Site, constant: bool = False) -> None:
        """Raises InvalidExpression for what is no pattern, or too large a one. A `constant` one is
        part of the expression's text, so that its faults are faults of the syntax."""
        if len(pattern) > MAX_PATTERN:
            raise site.exhausted(f"the pattern has more than {MAX_PATTERN} characters")
        self._site = site
        self._states: list[_State] = []
        self._emitted = 0
        self._literal = None if _SPECIAL.intersection(pattern) else pattern
        if self._literal is None:
            part = _Reader(pattern, site, constant).read()
            start = self._emit(part, self._add(_MATCH, -1, -1))
            self._first = self._closure([start], True)
            self._again = self._closure([start], False)

    def _add(self, label: Letters | str, one: int, two: int = -1) -> int:
        self._states.append(_State(label, one, two))
        return len(self._states) - 1

    def _emit(self, part: Part, after: int) -> int:
        """States for `part` that lead on to `after`; returns where they begin."""
        self._emitted += 1
        if self._emitted > 2 * MAX_PATTERN_STATES or len(self._states) > MAX_PATTERN_STATES:
            raise self._site.exhausted(
                f"the pattern needs more than {MAX_PATTERN_STATES} states", "use smaller counts"
            )
        if isinstance(part, Sequence):
            for inner in reversed(part.parts):
                after = self._emit(inner, after)
            return after
        if isinstance(part, Either):
            start = self._emit(part.parts[-1], after)
            for inner in reversed(part.parts[:-1]):
                start = self._add(_SPLIT, self._emit(inner, after), start)
            return start
        if isinstance(part, Repeat):
            return self._emit_repeat(part, after)
        return self._add(part, after)

    def _emit_repeat(self, repeat: Repeat, after: int) -> int:
        if repeat.most < 0:
            loop = self._add(_SPLIT, -1, after)
            body = self._emit(repeat.part, loop)
            self._states[loop] = _State(_SPLIT, body, after)
            start = loop
        else:
            start = after
            for _ in range(repeat.most - repeat.least):
                start = self._add(_SPLIT, self._emit(repeat.part, start), after)
        for _ in range(repeat.least):
            start = self._emit(repeat.part, start)
        return start

    def _closure(self, starts: list[int], at_start: bool, at_end: bool = False) -> frozenset[int]:
        """All states reached from `starts` without reading a character."""
        seen: set[int] = set()
        stack = starts
        while stack:
            number = stack.pop()
            if number in seen:
                continue
            seen.add(number)
            label, one, two = self._states[number]
            if label is _SPLIT:
                stack += (one, two)
            elif (label == "^" and at_start) or (label == "$" and at_end):
                stack.append(one)
        return frozenset(seen)

    def search(self, text: str, run: Run, site: Site) -> bool:
        """Whether the pattern matches anywhere in `text`, in time linear in its length."""
        if self._literal is not None:
            site.spend(run, len(text) // 64 + 1)
            return self._literal in text
        site.spend(run, len(text) // 2 + len(self._first))
        now = self._first
        if 0 in now:  # state 0 is the match
            return True
        rows: dict[frozenset[int], _Row] = {}
        row = rows[now] = _Row(now, {})
        for letter in text:
            then = row.moves.get(letter)
            if then is None:
                site.spend(run, 8 * len(row.now) + 40)
                now = self._step(row.now, letter)
                if 0 in now:
                    return True
                then = row.moves[letter] = rows.setdefault(now, _Row(now, {}))
            row = then
        now = row.now
        ends = self._closure(list(now), not text, True)
        return 0 in ends

    def _step(self, now: frozenset[int], letter: str) -> frozenset[int]:
        states = self._states
        reached = [
            states[number].one
            for number in now
            if isinstance(label := states[number].label, Letters) and label.holds(letter)
        ]
        return self._closure(reached, False) | self._again
