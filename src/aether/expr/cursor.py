"""The parser's place among the tokens: taking them, refusing them, and the limits on the tree.

In: text. Out: tokens one by one, and nodes with their weight and height. Never: grammar.
"""

from __future__ import annotations

from .limits import MAX_HEIGHT, MAX_NESTING
from .site import Site
from .tokens import Token, tokens
from .tree import Node

WORD_SIGNS = {
    "and": "write &&, not 'and'",
    "or": "write ||, not 'or'",
    "not": "write !x, not 'not x'",
    "is": "write ==, not 'is'",
    "eq": "write ==, not 'eq'",
    "ne": "write !=, not 'ne'",
    "if": "write condition ? a : b",
    "else": "write condition ? a : b",
}


class Cursor:
    """Where the parser stands. What it has found so far, it keeps itself."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.index = 0
        self.token: Token = self.tokens[0]
        self.depth = 0

    def advance(self) -> Token:
        token = self.token
        self.index += 1
        self.token = self.tokens[self.index]
        return token

    def take(self, sign: str) -> bool:
        token = self.token
        if token.kind == "sign" and token.value == sign:
            self.advance()
            return True
        return False

    def expect(self, sign: str) -> None:
        if not self.take(sign):
            raise self.unexpected(f"'{sign}'")

    def site(self, at: int) -> Site:
        return Site(self.text, at)

    def unexpected(self, wanted: str) -> Exception:
        token = self.token
        site = self.site(token.at)
        if token.kind == "end":
            if not self.text.strip():
                return site.syntax("the expression is empty", "write a condition or a value")
            return site.syntax(f"the expression ends where {wanted} should come", "complete it")
        written = self.text[token.at : self.tokens[self.index + 1].at].strip()[:40]
        fix = ""
        if token.kind == "name" and isinstance(token.value, tuple):
            fix = WORD_SIGNS.get(token.value[0], "an operator is missing, or quotes are")
        elif token.kind == "value":
            fix = "an operator is missing before it"
        elif token.kind == "member":
            fix = (
                f"write 0{written}, not {written}"
                if written[1:].isdigit()
                else "name what it is in"
            )
        return site.syntax(f"'{written}' stands where {wanted} should come", fix)

    def grown(self, node: Node, *parts: Node) -> Node:
        """`node` with its weight and height; its height is what evaluation needs of the stack."""
        height, weight = 0, 1
        for part in parts:
            weight += part.weight
            if part.height > height:
                height = part.height
        if height >= MAX_HEIGHT:
            raise self.site(node.at).exhausted(
                f"more than {MAX_HEIGHT} operators wait for one another", "split the expression up"
            )
        node.height = height + 1
        node.weight = weight
        return node

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self.site(self.token.at).exhausted(
                f"expressions nest at most {MAX_NESTING} deep", "split the expression up"
            )
