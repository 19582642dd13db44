"""A place in an expression, and every way to fail there.

In: the text and an offset. Out: InvalidExpression with one Problem. Never: a bare ValueError.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import InvalidExpression, Problem, Where

BAD_EXPRESSION = "bad-expression"
EXPRESSION_ERROR = "expression-error"
EXPRESSION_BUDGET = "expression-budget"

Run = list[Any]
"""What one evaluation changes: the steps that are left, then the variables of macros."""


def place(text: str, at: int) -> Where:
    """Line and column of an offset; the line is left out where there is only one."""
    if "\n" not in text:
        return Where(column=at + 1)
    return Where(line=text.count("\n", 0, at) + 1, column=at - text.rfind("\n", 0, at))


class Site:
    """Where in which text. Errors are built when they happen, so a site costs next to nothing."""

    __slots__ = ("at", "text")

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at

    def _error(self, code: str, what: str, fix: str) -> InvalidExpression:
        return InvalidExpression(Problem(code, what, place(self.text, self.at), fix))

    def syntax(self, what: str, fix: str = "") -> InvalidExpression:
        """The text is no expression."""
        return self._error(BAD_EXPRESSION, what, fix)

    def fails(self, what: str, fix: str = "") -> InvalidExpression:
        """The expression has no value for these values."""
        return self._error(EXPRESSION_ERROR, what, fix)

    def exhausted(self, what: str, fix: str = "") -> InvalidExpression:
        """The expression is too large, or works for too long."""
        return self._error(EXPRESSION_BUDGET, what, fix)

    def spend(self, run: Run, steps: int) -> None:
        """Take steps from the budget; called wherever work can grow with the values."""
        left: int = run[0] - steps
        run[0] = left
        if left < 0:
            raise self.exhausted(
                "the evaluation needs more steps than an expression may take",
                "work on smaller lists and strings, or do this in a task",
            )


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like this one, or ""."""
    from difflib import get_close_matches  # only a mistake pays for loading it

    low = {name.lower(): name for name in known}
    found = get_close_matches(word.lower()[:40], low, 1, 0.6)
    return low[found[0]] if found else ""
