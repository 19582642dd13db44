"""A tree to closures.

In: a tree. Out: one function of (env, run). Never: evaluation, conversion of values. A closure does
first what is likely: two ints, two strings, two bools; everything else goes to the slow functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import InvalidExpression
from .arithmetic import arithmetic, indexed, negative, ordered, overflow, within
from .evaluator import Env
from .functions import FUNCTIONS, TYPE_NAMES
from .limits import INT_MAX, INT_MIN, STEPS_PER_ERROR
from .macros import Loop
from .pattern import Pattern
from .reference import MISSING, Code, flat_names, lookup, member, reference
from .site import EXPRESSION_BUDGET, Run, Site
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
from .values import equals, kind


def compiled(node: Node, text: str) -> Code:
    """The closure for a node. Raises InvalidExpression for a constant pattern that is none."""
    return _COMPILERS[type(node)](node, text)


def _literal(node: Literal, text: str) -> Code:
    value = node.value
    return lambda env, run: value


def _reference(node: Reference, text: str) -> Code:
    names = node.names
    default = names[0] if len(names) == 1 and names[0] in TYPE_NAMES else None
    return reference(names, Site(text, node.at), default)


def _local(node: Local, text: str) -> Code:
    slot = node.slot
    return lambda env, run: run[slot]


def _member(node: Member, text: str) -> Code:
    target, name, site = compiled(node.target, text), node.name, Site(text, node.at)
    return lambda env, run: member(target(env, run), name, site)


def _index(node: Index, text: str) -> Code:
    target, index = compiled(node.target, text), compiled(node.index, text)
    site = Site(text, node.at)
    return lambda env, run: indexed(target(env, run), index(env, run), site)


def _unary(node: Unary, text: str) -> Code:
    operand, site = compiled(node.operand, text), Site(text, node.at)
    if node.sign == "-":
        return lambda env, run: negative(operand(env, run), site)

    def opposite(env: Env, run: Run) -> Any:
        value = operand(env, run)
        if value is True:
            return False
        if value is False:
            return True
        raise no_bool("!", value, site)

    return opposite


def _binary(node: Binary, text: str) -> Code:
    sign, site = node.sign, Site(text, node.at)
    if sign == "==" or sign == "!=":
        return _equality(node, text, site, sign == "==")
    left, right = compiled(node.left, text), compiled(node.right, text)
    if sign == "in":
        return lambda env, run: within(left(env, run), right(env, run), run, site)
    if sign in ("<", "<=", ">", ">="):
        return lambda env, run: ordered(sign, left(env, run), right(env, run), site)
    if sign == "+" or sign == "-":
        return _sum(left, right, sign, site)
    return lambda env, run: arithmetic(sign, left(env, run), right(env, run), run, site)


def _sum(left: Code, right: Code, sign: str, site: Site) -> Code:
    def plus(env: Env, run: Run) -> Any:
        a, b = left(env, run), right(env, run)
        if type(a) is int and type(b) is int:
            return c if INT_MIN <= (c := a + b) <= INT_MAX else overflow(site)
        return arithmetic("+", a, b, run, site)

    def minus(env: Env, run: Run) -> Any:
        a, b = left(env, run), right(env, run)
        if type(a) is int and type(b) is int:
            return c if INT_MIN <= (c := a - b) <= INT_MAX else overflow(site)
        return arithmetic("-", a, b, run, site)

    return plus if sign == "+" else minus


def _equality(node: Binary, text: str, site: Site, same: bool) -> Code:
    """The most frequent test of all compares a key with a constant string: it gets its own code."""
    left_node, right_node = node.left, node.right
    if isinstance(left_node, Literal) and not isinstance(right_node, Literal):
        left_node, right_node = right_node, left_node  # `==` has no side effects and no order
    left = compiled(left_node, text)
    if isinstance(right_node, Literal) and isinstance(right_node.value, str):
        constant = right_node.value
        if isinstance(left_node, Reference) and len(left_node.names) > 1:
            return _key_equality(left_node, text, constant, same, site)

        def constant_equality(env: Env, run: Run) -> Any:
            a = left(env, run)
            if type(a) is str:
                return (a == constant) is same
            return equals(a, constant, run, site) is same

        return constant_equality
    right = compiled(right_node, text)

    def equality(env: Env, run: Run) -> Any:
        a, b = left(env, run), right(env, run)
        if type(a) is str and type(b) is str:
            return (a == b) is same
        return equals(a, b, run, site) is same

    return equality


def _key_equality(node: Reference, text: str, constant: str, same: bool, site: Site) -> Code:
    whole = ".".join(flat_names(node.names))
    left = compiled(node, text)

    def key_equality(env: Env, run: Run) -> Any:
        a = env.get(whole, MISSING)
        if type(a) is str:
            return (a == constant) is same
        return equals(left(env, run), constant, run, site) is same

    return key_equality


def no_bool(sign: str, value: object, site: Site) -> InvalidExpression:
    fix = "compare it: x == 'value'"
    if value is None:
        fix = "a missing key is null: write has(x) && x"
    elif isinstance(value, str):
        fix = "write bool(x), or compare it: x == 'true'"
    return site.fails(f"'{sign}' needs true or false, not a {kind(value)}", fix)


def _logic(node: Logic, text: str) -> Code:
    sign, site = node.sign, Site(text, node.at)
    decisive = sign == "||"  # the value that decides the whole chain
    parts = [compiled(part, text) for part in node.parts]
    settle = _settle(parts, decisive, sign, site)
    if len(parts) > 2:
        return settle
    left, right = parts

    def both(env: Env, run: Run) -> Any:
        try:
            value = left(env, run)
            if value is decisive:
                return decisive
            if value is True or value is False:
                value = right(env, run)
                if value is True or value is False:
                    return value
        except InvalidExpression as error:
            if error.code == EXPRESSION_BUDGET:
                raise
        return settle(env, run)

    return both


def _settle(parts: list[Code], decisive: bool, sign: str, site: Site) -> Code:
    """A part that decides makes up for the errors of the others; else the first error counts."""

    def settle(env: Env, run: Run) -> Any:
        first: InvalidExpression | None = None
        for part in parts:
            try:
                value = part(env, run)
                if value is decisive:
                    return decisive
                if value is True or value is False:
                    continue
                raise no_bool(sign, value, site)
            except InvalidExpression as error:
                if error.code == EXPRESSION_BUDGET:
                    raise
                site.spend(run, STEPS_PER_ERROR)
                first = first or error
        if first is not None:
            raise first
        return not decisive

    return settle


def _choice(node: Choice, text: str) -> Code:
    test, site = compiled(node.test, text), Site(text, node.at)
    yes, no = compiled(node.yes, text), compiled(node.no, text)

    def choice(env: Env, run: Run) -> Any:
        value = test(env, run)
        if value is True:
            return yes(env, run)
        if value is False:
            return no(env, run)
        raise no_bool("?", value, site)

    return choice


def _list(node: ListOf, text: str) -> Code:
    items = [compiled(item, text) for item in node.items]
    return lambda env, run: [item(env, run) for item in items]


def _map(node: MapOf, text: str) -> Code:
    site = Site(text, node.at)
    pairs = [
        (compiled(key, text), compiled(value, text))
        for key, value in zip(node.keys, node.values, strict=True)
    ]

    def make(env: Env, run: Run) -> Any:
        result: dict[str, Any] = {}
        for key, value in pairs:
            name = key(env, run)
            if not isinstance(name, str):
                raise site.fails(
                    f"the keys of a map are strings, not {kind(name)}", "use string(x)"
                )
            if name in result:
                raise site.fails(f"the key '{name[:80]}' is written twice")
            result[name] = value(env, run)
        return result

    return make


def _call(node: Call, text: str) -> Code:
    site = Site(text, node.at)
    code: Callable[..., Any] = FUNCTIONS[node.name].code
    args = [compiled(arg, text) for arg in node.args]
    if node.name == "matches" and isinstance(node.args[1], Literal):
        return _constant_match(node, args[0], text)
    if len(args) == 1:
        only = args[0]
        return lambda env, run: code(site, run, only(env, run))
    if len(args) == 2:
        first, second = args
        return lambda env, run: code(site, run, first(env, run), second(env, run))
    return lambda env, run: code(site, run, *[arg(env, run) for arg in args])


def _constant_match(node: Call, subject: Code, text: str) -> Code:
    site = Site(text, node.at)
    literal = node.args[1]
    assert isinstance(literal, Literal)
    if not isinstance(literal.value, str):
        raise site.syntax("the pattern is no string", "write text.matches('pattern')")
    pattern = Pattern(literal.value, Site(text, literal.at), constant=True)
    search = pattern.search

    def match(env: Env, run: Run) -> Any:
        value = subject(env, run)
        if isinstance(value, str):
            return search(value, run, site)
        raise site.fails(f"matches needs a string, not a {kind(value)}")

    return match


def _has(node: Has, text: str) -> Code:
    site, operand = Site(text, node.at), node.operand
    if isinstance(operand, Reference):
        find = lookup(operand.names, site)
        return lambda env, run: find(env, run) is not MISSING
    if isinstance(operand, Member):
        target, name = compiled(operand.target, text), operand.name

        def has_member(env: Env, run: Run) -> Any:
            value = target(env, run)
            if isinstance(value, dict):
                return name in value
            return member(value, name, site) is not None

        return has_member
    assert isinstance(operand, Index)
    container, index = compiled(operand.target, text), compiled(operand.index, text)

    def has_item(env: Env, run: Run) -> Any:
        value, key = container(env, run), index(env, run)
        if isinstance(value, dict) and isinstance(key, str):
            return key in value
        if isinstance(value, list | tuple) and type(key) is int:
            return 0 <= key < len(value)
        return indexed(value, key, site) is not None

    return has_item


def _macro(node: Macro, text: str) -> Code:
    only = node.only
    weight = node.body.weight + (only.weight if only else 0)
    return Loop(
        node.name,
        compiled(node.target, text),
        node.slot,
        compiled(node.body, text),
        compiled(only, text) if only else None,
        weight,
        Site(text, node.at),
    ).code()


_COMPILERS: dict[type[Node], Callable[[Any, str], Code]] = {
    Literal: _literal,
    Reference: _reference,
    Local: _local,
    Member: _member,
    Index: _index,
    Unary: _unary,
    Binary: _binary,
    Logic: _logic,
    Choice: _choice,
    ListOf: _list,
    MapOf: _map,
    Call: _call,
    Has: _has,
    Macro: _macro,
}
