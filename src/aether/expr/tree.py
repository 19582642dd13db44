"""The tree of an expression, as the parser builds it and the compiler reads it.

`weight` is the number of parts a node holds, `height` how many of them wait for one another.
"""

from __future__ import annotations


class Node:
    height: int = 1
    weight: int = 1

    def __init__(self, at: int) -> None:
        self.at = at


class Literal(Node):
    def __init__(self, at: int, value: object) -> None:
        self.at = at
        self.value = value


class Reference(Node):
    """A dotted name of the environment."""

    def __init__(self, at: int, names: tuple[str, ...]) -> None:
        self.at = at
        self.names = names


class Local(Node):
    """The variable of a macro."""

    def __init__(self, at: int, slot: int) -> None:
        self.at = at
        self.slot = slot


class Member(Node):
    def __init__(self, at: int, target: Node, name: str) -> None:
        self.at = at
        self.target = target
        self.name = name


class Index(Node):
    def __init__(self, at: int, target: Node, index: Node) -> None:
        self.at = at
        self.target = target
        self.index = index


class Unary(Node):
    """`-`, or `!`."""

    def __init__(self, at: int, sign: str, operand: Node) -> None:
        self.at = at
        self.sign = sign
        self.operand = operand


class Binary(Node):
    def __init__(self, at: int, sign: str, left: Node, right: Node) -> None:
        self.at = at
        self.sign = sign
        self.left = left
        self.right = right


class Logic(Node):
    """A whole chain of `&&`, or of `||`, so that its length costs no depth."""

    def __init__(self, at: int, sign: str, parts: list[Node]) -> None:
        self.at = at
        self.sign = sign
        self.parts = parts


class Choice(Node):
    def __init__(self, at: int, test: Node, yes: Node, no: Node) -> None:
        self.at = at
        self.test = test
        self.yes = yes
        self.no = no


class ListOf(Node):
    def __init__(self, at: int, items: list[Node]) -> None:
        self.at = at
        self.items = items


class MapOf(Node):
    def __init__(self, at: int, keys: list[Node], values: list[Node]) -> None:
        self.at = at
        self.keys = keys
        self.values = values


class Call(Node):
    """A function; as `x.f(y)` it is called with x first, and `method` is true."""

    def __init__(self, at: int, name: str, args: list[Node], method: bool) -> None:
        self.at = at
        self.name = name
        self.args = args
        self.method = method


class Has(Node):
    def __init__(self, at: int, operand: Node) -> None:
        self.at = at
        self.operand = operand


class Macro(Node):
    """`x.name(variable, body)`; `only` is the middle part of a map with three."""

    def __init__(
        self, at: int, name: str, target: Node, slot: int, body: Node, only: Node | None
    ) -> None:
        self.at = at
        self.name = name
        self.target = target
        self.slot = slot
        self.body = body
        self.only = only
