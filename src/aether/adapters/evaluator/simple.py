"""SimpleEvaluator: `true`, `false`, `a == b` and `a != b`, compared as printed text.

In: text. Out: a program that answers true or false. Never: arithmetic, functions, anything else.
"""

from __future__ import annotations

import re

from ...errors import InvalidExpression, Problem, Where
from ...expr import (
    BAD_EXPRESSION,
    EXPRESSION_BUDGET,
    EXPRESSION_ERROR,
    MAX_SOURCE,
    MISSING,
    Env,
    Key,
    is_key,
    printed,
)

_SIDE = r"""'[^']*'|"[^"]*"|[^\s'"=!<>&|(){}\[\],]+"""
_COMPARISON = re.compile(rf"\s*({_SIDE})\s*(==|!=)\s*({_SIDE})\s*")
_FIX = "write a == 'value' or a != 'value', or use the evaluator 'cel'"


class SimpleProgram:
    """A compiled comparison; see `Program`."""

    __slots__ = ("_left", "_right", "_same", "references", "text")

    references: tuple[str, ...]
    text: str

    def __init__(self, text: str, left: str, right: str, same: bool) -> None:
        self.text = text
        self.references = tuple(token for token in (left, right) if "." in token and is_key(token))
        self._left = _side(left)
        self._right = _side(right)
        self._same = same

    def evaluate(self, env: Env, /) -> object:
        left, right = self._printed(self._left, env), self._printed(self._right, env)
        return (left == right) is self._same

    def _printed(self, side: str | Key, env: Env) -> str:
        """The printed text of one side: an unknown bare word stands for itself."""
        if isinstance(side, str):
            return side
        value = side.find(env)
        if value is MISSING:
            return side.text
        try:
            return printed(value)
        except ValueError as exc:
            what = f"the value of '{side.text[:80]}' cannot be compared: {exc}"
            raise InvalidExpression(
                Problem(EXPRESSION_ERROR, what, Where(column=self.text.find(side.text) + 1))
            ) from exc


def _side(token: str) -> str | Key:
    if token[0] in "'\"":
        return token[1:-1]
    return Key(token) if is_key(token) else token


class SimpleConstant:
    """`true` or `false`."""

    __slots__ = ("_value", "text")

    references: tuple[str, ...] = ()
    text: str

    def __init__(self, text: str, value: bool) -> None:
        self.text = text
        self._value = value

    def evaluate(self, env: Env, /) -> object:
        return self._value


class SimpleEvaluator:
    """The evaluator for documents that need no more than equality."""

    name = "simple"

    def compile(self, text: str, /) -> SimpleProgram | SimpleConstant:
        if len(text) > MAX_SOURCE:
            what = f"the expression has {len(text)} characters; at most {MAX_SOURCE} are allowed"
            raise InvalidExpression(Problem(EXPRESSION_BUDGET, what, Where(column=1), _FIX))
        word = text.strip()
        if word == "true" or word == "false":
            return SimpleConstant(text, word == "true")
        match = _COMPARISON.fullmatch(text)
        if match is None:
            raise InvalidExpression(
                Problem(
                    BAD_EXPRESSION,
                    f"the simple evaluator cannot read '{word[:80]}'",
                    Where(column=_first_bad(text)),
                    _FIX,
                )
            )
        left, sign, right = match.groups()
        return SimpleProgram(text, left, right, sign == "==")


def _first_bad(text: str) -> int:
    """The column behind the longest beginning that makes sense."""
    at = 0
    for wanted in (_SIDE, "==|!=", _SIDE):
        match = re.compile(rf"\s*(?:{wanted})\s*").match(text, at)
        if match is None:
            break
        at = match.end()
    return at + 1
