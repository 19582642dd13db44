"""`all`, `exists`, `exists_one`, `map` and `filter`: the only loops there are.

In: closures for the list and the body. Out: one closure. Each round costs as many steps as the body
has parts, so that an evaluation ends in time whatever the lists are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import InvalidExpression
from .evaluator import Env
from .limits import STEPS_PER_ERROR
from .reference import Code
from .site import EXPRESSION_BUDGET, Run, Site
from .values import kind


class Loop:
    """One macro call; `slot` is where the run keeps its variable, `weight` the parts of its body."""

    def __init__(
        self,
        name: str,
        target: Code,
        slot: int,
        body: Code,
        only: Code | None,
        weight: int,
        site: Site,
    ) -> None:
        self.name = name
        self.target = target
        self.slot = slot
        self.body = body
        self.only = only
        self.cost = weight + 3
        self.site = site

    def code(self) -> Code:
        chosen: dict[str, Code] = {
            "all": self.decided,
            "exists": self.decided,
            "exists_one": self.exists_one,
            "filter": self.kept,
            "map": self.mapped,
        }
        return chosen[self.name]

    def rounds(self, env: Env, run: Run) -> Iterator[Any]:
        """Each item, with the variable set to it; the keys of a map."""
        items = self.target(env, run)
        if not isinstance(items, list | tuple | dict):
            fix = "a missing key is null: has(x) tells whether it exists" if items is None else ""
            raise self.site.fails(f"{self.name} needs a list or a map, not a {kind(items)}", fix)
        for item in items:
            self.site.spend(run, self.cost)
            run[self.slot] = item
            yield item

    def test(self, code: Code, env: Env, run: Run) -> bool:
        value = code(env, run)
        if value is True or value is False:
            return value is True
        raise self.site.fails(f"the condition of {self.name} is a {kind(value)}, not true or false")

    def decided(self, env: Env, run: Run) -> Any:
        """One item that decides makes up for errors of the others, as with `&&` and `||`."""
        decisive = self.name == "exists"
        first: InvalidExpression | None = None
        for _ in self.rounds(env, run):
            try:
                if self.test(self.body, env, run) is decisive:
                    return decisive
            except InvalidExpression as error:
                if error.code == EXPRESSION_BUDGET:
                    raise
                self.site.spend(run, STEPS_PER_ERROR)
                first = first or error
        if first is not None:
            raise first
        return not decisive

    def exists_one(self, env: Env, run: Run) -> Any:
        return sum([self.test(self.body, env, run) for _ in self.rounds(env, run)]) == 1

    def kept(self, env: Env, run: Run) -> Any:
        return [item for item in self.rounds(env, run) if self.test(self.body, env, run)]

    def mapped(self, env: Env, run: Run) -> Any:
        body, only = self.body, self.only
        if only is None:
            return [body(env, run) for _ in self.rounds(env, run)]
        return [body(env, run) for _ in self.rounds(env, run) if self.test(only, env, run)]
