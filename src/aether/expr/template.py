"""Templates: JSON values with `{{ }}` in their strings.

In: a value as a document holds it. Out: a template to render again and again, or None for a constant.
Never: a result substituted a second time, an exception out of `render`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from ..errors import InvalidExpression, Problem
from .evaluator import Env, Evaluator, Program
from .limits import MAX_PLACEHOLDERS, MAX_RENDERED, MAX_SOURCE
from .placeholders import Piece, cut, has_braces
from .reference import MISSING, Key, is_key, root_of
from .site import EXPRESSION_BUDGET, place
from .values import printed

Warn = Callable[[str], None]

KNOWN_ROOTS = frozenset(("workflow", "inputs", "tasks", "loop_iter", "iterator"))
UNKNOWN_PLACEHOLDER = "unknown-placeholder"


class _AnyRoot(Collection[str]):
    def __contains__(self, root: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(KNOWN_ROOTS)

    def __len__(self) -> int:
        return len(KNOWN_ROOTS)


ANY_ROOT: Collection[str] = _AnyRoot()
"""For places whose names are not known beforehand, such as the members of a loop's object items."""


class _Slot:
    """One placeholder that can be filled."""

    __slots__ = ("source", "text")

    def __init__(self, text: str, source: Key | Program) -> None:
        self.text = text
        self.source = source

    def value(self, env: Env, warn: Warn) -> Any:
        """The value, or MISSING after a warning."""
        if isinstance(self.source, Key):
            value = self.source.find(env)
            if value is MISSING:
                warn(f"{self.text} stays as written: there is no value of that name")
            return value
        try:
            return self.source.evaluate(env)
        except InvalidExpression as error:
            warn(f"{self.text} stays as written: {error.problems[0].what}")
            return MISSING


class _Text:
    """One string with placeholders."""

    __slots__ = ("lone", "parts")

    def __init__(self, parts: list[str | _Slot]) -> None:
        self.parts = parts
        self.lone = parts[0] if len(parts) == 1 and isinstance(parts[0], _Slot) else None

    def render(self, env: Env, warn: Warn) -> Any:
        if self.lone is not None:
            value = self.lone.value(env, warn)
            return self.lone.text if value is MISSING else value
        return "".join(self.strings(env, warn))

    def strings(self, env: Env, warn: Warn) -> Iterator[str]:
        length = 0
        for part in self.parts:
            if isinstance(part, str):
                yield part
                continue
            text = _print(part, env, warn)
            length += len(text)
            if length > MAX_RENDERED:
                warn(f"{part.text} stays as written: the text would grow beyond {MAX_RENDERED}")
                length -= len(text)
                text = part.text
            yield text


def _print(slot: _Slot, env: Env, warn: Warn) -> str:
    value = slot.value(env, warn)
    if value is MISSING:
        return slot.text
    try:
        return printed(value)
    except ValueError as exc:
        warn(f"{slot.text} stays as written: {exc}")
        return slot.text


class Template:
    """A value with placeholders. `references` are all keys in it, in order, as written; `warnings`
    say which placeholders stay as they are. What holds no placeholder is handed out uncopied."""

    __slots__ = ("_constant", "_copies", "_texts", "references", "warnings")

    def __init__(
        self,
        constant: Any,
        copies: list[tuple[int, Any, Any]],
        texts: list[tuple[int, Any, _Text]],
        references: tuple[str, ...],
        warnings: tuple[Problem, ...],
    ) -> None:
        self._constant = constant  # what is rendered when no placeholder can be filled
        self._copies = copies  # (index of the parent's copy, key in it, container to copy)
        self._texts = texts  # (index of the parent's copy, key in it, text to render)
        self.references = references
        self.warnings = warnings

    def render(self, env: Env, warn: Warn) -> Any:
        """The value with every placeholder filled. What cannot be filled stays as written, and `warn`
        is told why; this never raises."""
        if not self._texts:
            return self._constant
        if not self._copies:
            return self._texts[0][2].render(env, warn)
        copies: list[Any] = []
        for parent, key, container in self._copies:
            copy = dict(container) if isinstance(container, dict) else list(container)
            copies.append(copy)
            if parent >= 0:
                copies[parent][key] = copy
        for parent, key, text in self._texts:
            copies[parent][key] = text.render(env, warn)
        return copies[0]


def compile_template(
    value: Any, evaluator: Evaluator | None, roots: Collection[str] = KNOWN_ROOTS
) -> Template | None:
    """The template for a JSON value of any depth, or None when it is a constant.

    Strings in lists and values of objects are read, keys of objects are not. A placeholder holds a
    dotted key, or an expression of the evaluator, all of whose references begin with one of `roots`;
    anything else stays as written, with a warning. With the simple evaluator, or none, it is a key.
    """
    reader = _Reader(None if evaluator is None or evaluator.name == "simple" else evaluator, roots)
    copies, texts = _places(value, reader)
    if not texts and not reader.warnings:
        return None
    return Template(value, copies, texts, tuple(reader.references), tuple(reader.warnings))


Copies = list[tuple[int, Any, Any]]
Texts = list[tuple[int, Any, _Text]]


def _places(value: Any, reader: _Reader) -> tuple[Copies, Texts]:
    """Which containers have to be copied, and which strings rendered. A loop, as depth is free."""
    seen: list[tuple[int, Any, Any]] = []  # every container: its parent's index, its key, itself
    texts: Texts = []
    stack: list[tuple[int, Any, Any]] = [(-1, None, value)]
    while stack:
        parent, key, node = stack.pop()
        if isinstance(node, str):
            text = reader.read(node) if has_braces(node) else None
            if text is not None:
                texts.append((parent, key, text))
        elif isinstance(node, dict | list | tuple):
            own = len(seen)
            seen.append((parent, key, node))
            entries = list(node.items()) if isinstance(node, dict) else list(enumerate(node))
            stack += [(own, name, inner) for name, inner in reversed(entries)]
    needed: set[int] = set()
    for parent, _, _ in texts:
        while parent >= 0 and parent not in needed:
            needed.add(parent)
            parent = seen[parent][0]
    number = {old: new for new, old in enumerate(sorted(needed))}
    copies = [(number.get(seen[old][0], -1), *seen[old][1:]) for old in sorted(needed)]
    return copies, [(number.get(parent, -1), key, text) for parent, key, text in texts]


class _Reader:
    """Reads the strings of one template and collects what they refer to."""

    def __init__(self, evaluator: Evaluator | None, roots: Collection[str]) -> None:
        self.evaluator = evaluator
        self.roots = roots
        self.references: list[str] = []
        self.warnings: list[Problem] = []
        self.count = 0
        self.length = 0
        self.full = False

    def read(self, text: str) -> _Text | None:
        """`text` ready to be rendered, or None when it renders as it is written."""
        parts: list[str | _Slot] = []
        found = cut(text)
        for piece in found.pieces:
            part = piece.text if piece.content is None else self.slot(piece, text)
            if isinstance(part, str) and parts and isinstance(parts[-1], str):
                parts[-1] += part
            else:
                parts.append(part)
        if not found.complete:
            self.too_much(found.pieces[-1], text)
        return None if parts == [text] else _Text(parts)

    def slot(self, piece: Piece, text: str) -> str | _Slot:
        content = (piece.content or "").strip()
        self.count += 1
        self.length += len(content)
        if self.count > MAX_PLACEHOLDERS or self.length > MAX_SOURCE:
            return self.too_much(piece, text)
        if is_key(content):
            if content.split(".", 1)[0] not in self.roots:
                return self.unknown(piece, text)
            self.references.append(content)
            return _Slot(piece.text, Key(content))
        if self.evaluator is None:
            return self.unknown(piece, text)
        try:
            program = self.evaluator.compile(content)
        except InvalidExpression as error:
            return self.unreadable(piece, text, error.problems[0])
        names = program.references
        if not names or any(name.split(".", 1)[0] not in self.roots for name in names):
            return self.unknown(piece, text)
        self.references += names
        return _Slot(piece.text, program)

    def too_much(self, piece: Piece, text: str) -> str:
        """Beyond the limits everything is plain text; one warning says so."""
        if not self.full:
            self.full = True
            self.warnings.append(
                Problem(
                    EXPRESSION_BUDGET,
                    f"only the first {MAX_PLACEHOLDERS} placeholders of a value, and {MAX_SOURCE}"
                    " characters of them, are read; the rest stays as written",
                    place(text, piece.at),
                    "split the value up",
                    "warning",
                )
            )
        return piece.text

    def unknown(self, piece: Piece, text: str) -> str:
        self.warnings.append(
            Problem(
                UNKNOWN_PLACEHOLDER,
                f"'{piece.text[:80]}' is rooted in no known name and stays as written",
                place(text, piece.at),
                "begin with one of "
                + ", ".join(sorted(self.roots))
                + "; write {{{{ and }}}} if the braces are meant",
                "warning",
            )
        )
        return piece.text

    def unreadable(self, piece: Piece, text: str, problem: Problem) -> str:
        """What does not even begin like one of our keys was never meant for us."""
        if root_of((piece.content or "").strip()) not in self.roots:
            return self.unknown(piece, text)
        self.warnings.append(
            Problem(
                problem.code,
                f"'{piece.text[:80]}' stays as written: {problem.what}",
                place(text, piece.at),
                problem.fix,
                "warning",
            )
        )
        return piece.text


def lone_reference(text: str) -> str | None:
    """The key, if `text` is exactly one placeholder with a plain key in it, blanks around it aside."""
    stripped = text.strip()
    if not stripped.startswith("{{") or not stripped.endswith("}}"):
        return None
    content = stripped[2:-2].strip()
    return content if is_key(content) else None
