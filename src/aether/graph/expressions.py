"""Values that are only known when the run is there: references, and expressions over them.

`str()` of one is its placeholder, so an f-string works: `f"hello {name}"`. Compared or calculated with, it
becomes an expression of the document: `build.outputs["size"] > 10`.
"""

from __future__ import annotations

import json
from typing import Any

from ..document import Parameter, SecretKeyRef, ValueFrom


class Expression:
    """Text of the expression language, and the nodes it reads."""

    def __init__(
        self, text: str, reads: frozenset[str] = frozenset(), *, bare: bool = False
    ) -> None:
        self.text = text
        self.reads = reads
        self.is_reference = bare

    def __str__(self) -> str:
        return "{{ " + self.text + " }}"

    def __format__(self, spec: str) -> str:
        if spec:
            raise TypeError("a value of the run has no format: it is not known yet")
        return str(self)

    def __repr__(self) -> str:
        return f"<expression {self.text}>"

    def __bool__(self) -> bool:
        raise TypeError(
            f"`{self.text}` is only known when the run is there: combine with & | ~ instead of "
            "and, or, not, and give it to `when=`"
        )

    __hash__ = None  # type: ignore[assignment]  # `==` makes an expression

    def _with(self, operator: str, other: Any, *, swapped: bool = False) -> Expression:
        mine, theirs = _operand(self), _operand(other)
        left, right = (theirs, mine) if swapped else (mine, theirs)
        reads = self.reads | (other.reads if isinstance(other, Expression) else frozenset())
        return Expression(f"{left} {operator} {right}", reads)

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return self._with("==", other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return self._with("!=", other)

    def __lt__(self, other: Any) -> Expression:
        return self._with("<", other)

    def __le__(self, other: Any) -> Expression:
        return self._with("<=", other)

    def __gt__(self, other: Any) -> Expression:
        return self._with(">", other)

    def __ge__(self, other: Any) -> Expression:
        return self._with(">=", other)

    def __and__(self, other: Any) -> Expression:
        return self._with("&&", other)

    def __or__(self, other: Any) -> Expression:
        return self._with("||", other)

    def __add__(self, other: Any) -> Expression:
        return self._with("+", other)

    def __radd__(self, other: Any) -> Expression:
        return self._with("+", other, swapped=True)

    def __sub__(self, other: Any) -> Expression:
        return self._with("-", other)

    def __mul__(self, other: Any) -> Expression:
        return self._with("*", other)

    def __truediv__(self, other: Any) -> Expression:
        return self._with("/", other)

    def __mod__(self, other: Any) -> Expression:
        return self._with("%", other)

    def __invert__(self) -> Expression:
        return Expression(f"!({self.text})", self.reads)

    def __getitem__(self, key: str | int) -> Expression:
        return Expression(f"{_operand(self)}[{literal(key).text}]", self.reads)

    def is_in(self, others: Any) -> Expression:
        return self._with("in", others)

    def size(self) -> Expression:
        return Expression(f"size({self.text})", self.reads)


def literal(value: Any) -> Expression:
    """`value` as the expression language writes it."""
    return Expression(json.dumps(value, ensure_ascii=False))


def parameter(name: str) -> Expression:
    """The input `name` of the template that is being written."""
    return Expression(f"inputs.parameters.{name}", bare=True)


def secret(name: str, key: str) -> SecretKeyRef:
    """A secret: only this reference is stored, the value is fetched when the task is handed out."""
    return SecretKeyRef(name=name, key=key)


item = Expression("iterator.item", bare=True)
"""In a loop's arguments: the item of this iteration."""
index = Expression("loop_iter.index", bare=True)
"""In a loop's arguments and its `repeat`: the number of this iteration, from 0."""


def value_of(name: str, value: Any) -> Parameter:
    """A parameter that is filled with `value`, whatever kind it is."""
    if isinstance(value, SecretKeyRef):
        return Parameter(name=name, value_from=ValueFrom(secret_key_ref=value))
    if not isinstance(value, Expression):
        return Parameter(name=name, value=value)
    if value.text.startswith(("iterator.", "loop_iter.")):
        return Parameter(name=name, value="{{" + value.text + "}}")
    if value.is_reference:
        return Parameter(name=name, value_from=ValueFrom(parameter=value.text))
    return Parameter(name=name, value_from=ValueFrom(expression=value.text))


def _operand(value: Any) -> str:
    if not isinstance(value, Expression):
        return literal(value).text
    return value.text if value.is_reference or " " not in value.text else f"({value.text})"
