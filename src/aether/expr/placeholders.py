"""Finding `{{ }}` in text: one linear pass, no judgement.

In: text. Out: pieces, either plain text with the escapes written out or the content of a placeholder.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .limits import MAX_BRACES, MAX_PLACEHOLDERS

_BRACES = re.compile(r"\{\{\{\{|\}\}|\{\{(?!\{)")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_STRETCHES = 3
_LONGEST_STRETCH = 200


class Piece(NamedTuple):
    """Plain text (`content` is None), or a placeholder: `text` is all of it, `content` its inside."""

    text: str
    content: str | None
    at: int


class Cut(NamedTuple):
    """The pieces, and whether they are all: what lies beyond the limits is one plain piece."""

    pieces: list[Piece]
    complete: bool


def has_braces(text: str) -> bool:
    """Whether `text` may hold a placeholder or an escape."""
    return "{{" in text


def cut(text: str) -> Cut:
    """`text` in pieces. `{{{{` writes `{{`, and the next `}}}}` writes `}}`.

    A `}}}}` that answers no `{{{{` is plain text: JSON inside of strings ends like that.
    """
    found: list[Piece] = []
    plain: list[str] = []
    plain_at = done = 0  # where the plain text began; what has been dealt with
    opened, escapes, braces, placeholders = -1, 0, 0, 0
    match = _BRACES.search(text)
    while match is not None and braces < MAX_BRACES and placeholders < MAX_PLACEHOLDERS:
        braces += 1
        sign, at, after = match.group(), match.start(), match.end()
        if sign == "{{":
            opened = at
        elif sign == "{{{{":
            opened = -1
            escapes += 1
            plain += (text[done:at], "{{")
            done = after
        elif opened >= 0:
            end = closing(text, opened + 2, at)
            plain.append(text[done:opened])
            if joined := "".join(plain):
                found.append(Piece(joined, None, plain_at))
            plain.clear()
            found.append(Piece(text[opened : end + 2], text[opened + 2 : end], opened))
            placeholders += 1
            opened = -1
            done = plain_at = after = end + 2
        elif escapes and text.startswith("}}}}", at):
            escapes -= 1
            plain += (text[done:at], "}}")
            done = after = at + 4
        match = _BRACES.search(text, after)
    plain.append(text[done:])
    if joined := "".join(plain):
        found.append(Piece(joined, None, plain_at))
    return Cut(found, match is None)


def closing(text: str, start: int, end: int) -> int:
    """Where the content that begins at `start` ends: not at a `}}` inside of its quotes.

    `end` is the first `}}`, and the answer if quotes do not work out within a short stretch.
    """
    first = end
    for _ in range(_STRETCHES):
        if end < 0 or end - start > _LONGEST_STRETCH:
            break
        rest = _QUOTED.sub("", text[start:end])
        if "'" not in rest and '"' not in rest:
            return end
        end = text.find("}}", end + 2, start + _LONGEST_STRETCH)
    return first
