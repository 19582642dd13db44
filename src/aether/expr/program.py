"""CelEvaluator: the default language.

In: text. Out: a program that answers for any environment. Never: a value kept between evaluations,
an exception other than InvalidExpression.
"""

from __future__ import annotations

from .compiler import compiled
from .evaluator import Env
from .limits import CHARACTERS_PER_STEP, MAX_RESULT_DEPTH, STEPS
from .parser import parse
from .reference import Code
from .site import Run, Site
from .tree import ListOf, Macro, MapOf, Node
from .values import kind


class CelProgram:
    """A compiled expression; see `Program`. One program may be evaluated by many threads at once."""

    __slots__ = ("_builds", "_code", "_run", "references", "text")

    references: tuple[str, ...]
    text: str

    def __init__(
        self, text: str, code: Code, references: tuple[str, ...], slots: int, builds: bool
    ):
        self.text = text
        self.references = references
        self._code = code
        self._run: Run = [STEPS, *[None] * slots]
        self._builds = builds

    def evaluate(self, env: Env, /) -> object:
        run = self._run.copy()
        try:
            value: object = self._code(env, run)
        except RecursionError:
            raise Site(self.text, 0).exhausted("the stack of this process is nearly full") from None
        if self._builds:
            _check_result(value, Site(self.text, 0))
        return value

    def __repr__(self) -> str:
        return f"CelProgram({self.text!r})"


class CelEvaluator:
    """A subset of the Common Expression Language, described in `docs/expressions.md`."""

    name = "cel"

    def compile(self, text: str, /) -> CelProgram:
        try:
            parsed = parse(text)
            code = compiled(parsed.tree, text)
        except RecursionError:
            raise Site(text, 0).exhausted("the stack of this process is nearly full") from None
        return CelProgram(text, code, parsed.references, parsed.slots, _builds(parsed.tree))


def _builds(tree: Node) -> bool:
    """Whether the result may hold a list or map that the expression itself put together."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ListOf | MapOf) or (isinstance(node, Macro) and node.name == "map"):
            return True
        for part in vars(node).values():
            if isinstance(part, Node):
                stack.append(part)
            elif isinstance(part, list):
                stack += [inner for inner in part if isinstance(inner, Node)]
    return False


_SCALARS = frozenset((type(None), bool, int, float))


def _check_result(value: object, site: Site) -> None:
    """A list may hold the same list many times over: what it comes to as JSON is counted here."""
    run: Run = [STEPS]
    stack = [(value, 0)]
    while stack:
        part, depth = stack.pop()
        if isinstance(part, str):
            site.spend(run, len(part) // CHARACTERS_PER_STEP)
        elif isinstance(part, list | tuple | dict):
            if depth >= MAX_RESULT_DEPTH:
                raise site.exhausted(f"the result nests more than {MAX_RESULT_DEPTH} deep")
            site.spend(run, len(part) + 4)
            inner = part.values() if isinstance(part, dict) else part
            stack += [(each, depth + 1) for each in inner if type(each) not in _SCALARS]
        elif kind(part) not in ("null", "bool", "int", "double"):
            raise site.fails(f"the result holds a {kind(part)}, which is no JSON value")
