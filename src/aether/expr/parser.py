"""Tokens to a tree.

In: text. Out: the tree, the references in it and the number of macro variables. Never: recursion
deeper than the nesting limit, evaluation.
"""

from __future__ import annotations

from typing import NamedTuple

from .cursor import WORD_SIGNS, Cursor
from .functions import FUNCTIONS
from .limits import INT_MAX, MAX_NAMES
from .site import nearest
from .tree import (
    Binary,
    Call,
    Choice,
    Has,
    Index,
    ListOf,
    Literal,
    Local,
    Logic,
    Macro,
    MapOf,
    Member,
    Node,
    Reference,
    Unary,
)

MACROS = ("all", "exists", "exists_one", "filter", "map")
_CONSTANTS = {"true": True, "false": False, "null": None}
_LEVELS = {
    "||": 1, "&&": 2,
    "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "in": 3,
    "+": 4, "-": 4, "*": 5, "/": 5, "%": 5,
}  # fmt: skip
_OTHER_CONSTANTS = {
    "True": "true", "False": "false", "None": "null", "TRUE": "true", "FALSE": "false", "NULL": "null",
}  # fmt: skip


class Parsed(NamedTuple):
    tree: Node
    references: tuple[str, ...]
    slots: int


def parse(text: str) -> Parsed:
    """The tree of `text`. Raises InvalidExpression."""
    parser = _Parser(text)
    tree = parser.expression()
    if parser.token.kind != "end":
        raise parser.unexpected("the end")
    return Parsed(tree, tuple(parser.references), parser.slots)


class _Parser(Cursor):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.references: list[str] = []
        self.locals: dict[str, int] = {}
        self.slots = 0

    # Expressions

    def expression(self) -> Node:
        self.deeper()
        node = self.binary(1)
        if self.token.value == "?" and self.token.kind == "sign":
            at = self.advance().at
            yes = self.binary(1)
            self.expect(":")
            no = self.expression()
            node = self.grown(Choice(at, node, yes, no), node, yes, no)
        self.depth -= 1
        return node

    def operator(self) -> str:
        """The binary operator that comes next, or ""."""
        kind, value, _ = self.token
        if kind == "sign":
            return str(value)
        return "in" if kind == "name" and value == ("in",) else ""

    def binary(self, lowest: int) -> Node:
        left = self.unary()
        while True:
            sign = self.operator()
            level = _LEVELS.get(sign, 0)
            if level < lowest or not level:
                return left
            at = self.advance().at
            right = self.binary(level + 1)
            if level > 2:
                left = self.grown(Binary(at, sign, left, right), left, right)
            elif isinstance(left, Logic) and left.sign == sign:
                left.parts.append(right)
                left.weight += right.weight
                if right.height >= left.height:
                    self.grown(left, *left.parts)
            else:
                left = self.grown(Logic(at, sign, [left, right]), left, right)

    def unary(self) -> Node:
        kind, sign, at = self.token
        if kind != "sign" or (sign != "-" and sign != "!"):
            return self.postfix(self.primary())
        count = 0
        while self.token.kind == "sign" and self.token.value == sign:
            self.advance()
            count += 1
        number = self.token.value
        if sign == "-" and self.token.kind == "value" and isinstance(number, int | float):
            self.advance()
            count -= 1
            node = self.postfix(Literal(at, -number))
        else:
            self.deeper()
            node = self.unary()
            self.depth -= 1
        for _ in range(2 - count % 2 if count else 0):
            node = self.grown(Unary(at, str(sign), node), node)
        return node

    def primary(self) -> Node:
        kind, value, at = self.token
        if kind == "name":
            return self.name()
        if kind == "value":
            self.advance()
            if type(value) is int and value > INT_MAX:
                raise self.site(at).syntax(
                    f"{value} does not fit into 64 bits", "write it as a double"
                )
            return Literal(at, value)
        if kind == "sign":
            if value == "(":
                self.advance()
                node = self.expression()
                self.expect(")")
                return node
            if value == "[":
                self.advance()
                items = self.listed("]")
                return self.grown(ListOf(at, items), *items)
            if value == "{":
                return self.map_literal()
        raise self.unexpected("a value")

    def listed(self, closing: str) -> list[Node]:
        """Expressions between commas, up to and with the closing sign; a comma may come last."""
        items: list[Node] = []
        while not self.take(closing):
            items.append(self.expression())
            if not self.take(","):
                self.expect(closing)
                break
        return items

    def map_literal(self) -> Node:
        at = self.advance().at
        keys: list[Node] = []
        values: list[Node] = []
        while not self.take("}"):
            keys.append(self.expression())
            self.expect(":")
            values.append(self.expression())
            if not self.take(","):
                self.expect("}")
                break
        return self.grown(MapOf(at, keys, values), *keys, *values)

    # Names

    def name(self) -> Node:
        _, value, at = self.advance()
        assert isinstance(value, tuple)
        names: tuple[str, ...] = value
        if len(names) > MAX_NAMES:
            raise self.site(at).exhausted(f"a reference has at most {MAX_NAMES} names")
        calls = self.token.kind == "sign" and self.token.value == "("
        if calls and len(names) == 1:
            return self.function(names[0], at)
        if calls:
            target = self.path(names[:-1], at)
            return self.method(target, names[-1], at)
        return self.path(names, at)

    def path(self, names: tuple[str, ...], at: int) -> Node:
        first = names[0]
        if first in self.locals:
            node: Node = Local(at, self.locals[first])
            for name in names[1:]:
                node = self.grown(Member(at, node, name), node)
            return node
        if len(names) == 1:
            if first in _CONSTANTS:
                return Literal(at, _CONSTANTS[first])
            self.check_word(first, at)
        elif first in _CONSTANTS:
            raise self.site(at).syntax(f"'{first}' has no members", "use another name")
        names = self.bracketed(names)
        self.references.append(".".join(names))
        return Reference(at, names)

    def check_word(self, word: str, at: int) -> None:
        if "-" in word:
            spaced = " - ".join(word.replace("--", "- -").split("-"))
            raise self.site(at).syntax(
                f"'{word[:80]}' is neither a reference nor a subtraction",
                f"to subtract, put blanks around '-': {spaced[:80]}",
            )
        if word in _OTHER_CONSTANTS:
            raise self.site(at).syntax(f"'{word}' is unknown", f"write {_OTHER_CONSTANTS[word]}")
        if word == "in":
            raise self.site(at).syntax("'in' stands where a value should come", "write x in list")
        if word == "not":
            raise self.site(at).syntax("'not' is no operator", WORD_SIGNS["not"])

    def bracketed(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """`a['b'].c` right behind a reference is the reference a.b.c: one meaning, one lookup."""
        while (
            self.token.kind == "sign"
            and self.token.value == "["
            and isinstance(self.tokens[self.index + 1].value, str)
            and self.tokens[self.index + 1].kind == "value"
            and self.tokens[self.index + 2][:2] == ("sign", "]")
            and len(names) < MAX_NAMES
        ):
            self.advance()
            names = (*names, str(self.advance().value))
            self.advance()
            while self.plain_member() and len(names) < MAX_NAMES:
                names = (*names, str(self.advance().value))
        return names

    def plain_member(self) -> bool:
        """Whether a member comes next that is not the name of a method."""
        if self.token.kind != "member":
            return False
        after = self.tokens[self.index + 1]
        return not (after.kind == "sign" and after.value == "(")

    def postfix(self, node: Node) -> Node:
        while True:
            kind, value, at = self.token
            if kind == "member":
                self.advance()
                if self.token.kind == "sign" and self.token.value == "(":
                    node = self.method(node, str(value), at)
                else:
                    node = self.grown(Member(at, node, str(value)), node)
            elif kind == "sign" and value == "[":
                self.advance()
                index = self.expression()
                self.expect("]")
                node = self.grown(Index(at, node, index), node, index)
            else:
                return node

    # Calls

    def function(self, name: str, at: int) -> Node:
        self.expect("(")
        if name == "has":
            return self.has(at)
        args = self.listed(")")
        self.check_function(name, len(args), at, method=False)
        return self.grown(Call(at, name, args, False), *args)

    def method(self, target: Node, name: str, at: int) -> Node:
        self.expect("(")
        if name in MACROS:
            return self.macro(target, name, at)
        args = [target, *self.listed(")")]
        self.check_function(name, len(args), at, method=True)
        return self.grown(Call(at, name, args, True), *args)

    def check_function(self, name: str, count: int, at: int, method: bool) -> None:
        function = FUNCTIONS.get(name)
        site = self.site(at)
        if function is None:
            like = nearest(name, (*FUNCTIONS, *MACROS, "has"))
            known = "known: " + ", ".join(sorted({*FUNCTIONS, *MACROS, "has"}))
            fix = f"did you mean {like}()?" if like else known
            if name in MACROS:
                fix = f"write list.{name}(x, …)"
            raise site.syntax(f"there is no function '{name[:40]}'", fix)
        if not (function.as_method if method else function.as_function):
            right = f"{name}(x)" if method else f"x.{name}(…)"
            raise site.syntax(f"'{name}' is called another way", f"write {right}")
        if not function.least <= count <= function.most:
            raise site.syntax(
                f"'{name}' is called with {count - method} values", f"write {function.usage}"
            )

    def has(self, at: int) -> Node:
        operand = self.expression()
        self.expect(")")
        if not isinstance(operand, Reference | Member | Index):
            raise self.site(at).syntax(
                "has() asks about a reference or a member",
                "write has(tasks.a.outputs.parameters.x)",
            )
        return self.grown(Has(at, operand), operand)

    def macro(self, target: Node, name: str, at: int) -> Node:
        kind, value, variable_at = self.token
        if kind != "name" or not isinstance(value, tuple) or len(value) != 1:
            raise self.unexpected(f"the variable of {name}(variable, …)")
        variable = value[0]
        if "-" in variable or variable in _CONSTANTS or variable == "in":
            raise self.site(variable_at).syntax(
                f"'{variable[:40]}' cannot name a variable", "use x"
            )
        self.advance()
        self.expect(",")
        self.slots += 1
        slot = self.slots
        outer = self.locals
        self.locals = {**outer, variable: slot}
        parts = self.listed(")")
        self.locals = outer
        if not 1 <= len(parts) <= (2 if name == "map" else 1):
            raise self.site(at).syntax(
                f"'{name}' is called with {len(parts) + 1} values", f"write list.{name}(x, …)"
            )
        only = parts[0] if len(parts) == 2 else None
        return self.grown(Macro(at, name, target, slot, parts[-1], only), target, *parts)
