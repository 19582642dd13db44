"""Evaluator: the port behind which the expression language sits."""

from __future__ import annotations

from typing import Any, Protocol

from ..errors import InvalidExpression as InvalidExpression


class Env(Protocol):
    """Variables by flat key, such as `tasks.build.outputs.parameters.path`. A dict will do,
    whatever its values are: that is why `get` says Any."""

    def get(self, key: str, default: Any = None, /) -> Any: ...


class Program(Protocol):
    """A compiled expression. `evaluate` neither changes `env` nor keeps anything of it, gives the same
    answer for the same values, returns a JSON value, and raises InvalidExpression when the evaluation
    fails or its step budget is used up: never anything else. `references` are the dotted references in
    the text, in order, as written."""

    @property
    def text(self) -> str: ...

    @property
    def references(self) -> tuple[str, ...]: ...

    def evaluate(self, env: Env, /) -> object: ...


class Evaluator(Protocol):
    """`compile` raises InvalidExpression, with the column, for text it cannot accept, and returns within
    milliseconds whatever the text. Programs may be used for as long as the process lives."""

    @property
    def name(self) -> str: ...

    def compile(self, text: str, /) -> Program: ...
