"""The inputs of one iteration of a loop, bound against its item."""

from __future__ import annotations

from typing import Any

from ..record import NamedValue, encode_values
from .binding import Layered, Warn, fill
from .env import loop_env
from .state import LoopScope, State


def bind_iteration(state: State, scope: LoopScope, index: int, warn: Warn) -> bytes:
    """Declared inputs first, then remaining arguments, members of the item, and `loop_iter.*`.

    A loop's argument beats a member of an object item, which beats what the body merely declares.
    """
    assert scope.node is not None, "only the root scope has no container"
    members: dict[str, Any] = {}
    facts: dict[str, Any] = {"loop_iter.index": index, "iterator.index": index}
    passed = ["loop_iter.index"]
    if scope.items is not None:
        item = scope.items[index]
        facts["loop_iter.item"] = facts["iterator.item"] = item
        if isinstance(item, dict):
            members = item  # passed one by one, never whole
        else:
            passed.insert(0, "loop_iter.item")
    env = Layered(facts | members, loop_env(state, scope.node))
    bound, _ = fill(scope.spec.body.binding.slots, env, warn, members)
    extra, _ = fill(scope.spec.arguments, env, warn)
    values = {value.name: value for value in (*bound, *extra)}
    for name, value in members.items():
        values.setdefault(name, NamedValue(name, "", value))
    for name in passed:
        values.setdefault(name, NamedValue(name, "", facts[name]))
    return encode_values(values.values())
