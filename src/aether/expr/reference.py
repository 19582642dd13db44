"""References: which keys a dotted name may mean, and finding its value.

In: names, then an environment. Out: a value, None where there is none. Never: attribute access on
Python objects. The longest flat key that exists wins; the names left over are members of its value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .evaluator import Env
from .limits import MAX_NAMES
from .site import Run, Site
from .values import kind

Code = Callable[[Env, Run], Any]
"""A compiled part of an expression."""

MISSING: Any = object()
_ALIAS = ("workflow", "arguments", "parameters")
_KEY = re.compile(r"[^\W\d][\w-]*(?:\.[\w-]+)*")


def is_key(text: str) -> bool:
    """Whether `text` is a dotted key: something that can be read without any language."""
    return text.count(".") < MAX_NAMES and _KEY.fullmatch(text) is not None


def root_of(text: str) -> str:
    """The first name of a text that begins like a key, or ""."""
    match = _KEY.match(text)
    return match.group().split(".", 1)[0] if match else ""


class Key:
    """A dotted key outside of any expression: the longest flat key wins, then members."""

    __slots__ = ("_shorter", "_whole", "text")

    def __init__(self, text: str) -> None:
        names = flat_names(tuple(text.split(".")))
        self.text = text
        self._whole = ".".join(names)
        self._shorter = [(".".join(names[:n]), names[n:]) for n in range(len(names) - 1, 0, -1)]

    def find(self, env: Env) -> Any:
        """Its value, or MISSING."""
        value = env.get(self._whole, MISSING)
        if value is not MISSING:
            return value
        for key, rest in self._shorter:
            value = env.get(key, MISSING)
            if value is not MISSING:
                for name in rest:
                    if not isinstance(value, dict):
                        return MISSING
                    value = value.get(name, MISSING)
                return value
        return MISSING


def flat_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """`workflow.arguments.parameters.x` means `workflow.parameters.x`, everywhere."""
    if len(names) > 3 and names[:3] == _ALIAS:
        return ("workflow", *names[2:])
    return names


def member(value: object, name: str, site: Site) -> Any:
    """A member of null is null, and so is a member that is not there."""
    if type(value) is dict:
        return value.get(name)
    if value is None:
        return None
    if isinstance(value, dict):
        return value.get(name)
    raise site.fails(
        f"there is no member '{name[:80]}': this is a {kind(value)}, not a map",
        "has(x) tells whether a member exists",
    )


def lookup(names: tuple[str, ...], site: Site) -> Code:
    """Code that answers MISSING where neither key nor member exists."""
    names = flat_names(names)
    whole = ".".join(names)
    shorter = [(".".join(names[:n]), names[n:]) for n in range(len(names) - 1, 0, -1)]

    def find(env: Env, run: Run) -> Any:
        value = env.get(whole, MISSING)
        if value is not MISSING:
            return value
        for key, rest in shorter:
            value = env.get(key, MISSING)
            if value is not MISSING:
                for name in rest[:-1]:
                    value = member(value, name, site)
                if isinstance(value, dict):
                    return value.get(rest[-1], MISSING)
                return MISSING if value is None else member(value, rest[-1], site)
        return MISSING

    return find


def reference(names: tuple[str, ...], site: Site, default: object = None) -> Code:
    """Code for a reference: its value, or `default` where there is none."""
    whole = ".".join(flat_names(names))
    find = lookup(names, site)
    if len(names) == 1:
        return lambda env, run: env.get(whole, default)

    def code(env: Env, run: Run) -> Any:
        value = env.get(whole, MISSING)
        if value is not MISSING:
            return value
        value = find(env, run)
        return default if value is MISSING else value

    return code
