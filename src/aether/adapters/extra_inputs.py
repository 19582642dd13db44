"""Inputs that an executor does not know: which of them somebody wrote by mistake.

In: the inputs, and the names that the executor takes. Out: the names to complain about. Never: a value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

_CONTROL = "__"  # inputs that steer executors, such as `__resumed`
_FROM_LOOP = "loop_iter.index"  # a loop passes its item's members to whoever wants them
_FROM_HOOK = "hook"  # a hook's task is told what happened


def is_stranger(name: str, inputs: Collection[str]) -> bool:
    """Whether `name`, which the executor does not know, was written by somebody and not passed along."""
    return not (name.startswith(_CONTROL) or name == _FROM_HOOK or _FROM_LOOP in inputs)


def strangers(inputs: Collection[str], known: Iterable[str]) -> list[str]:
    unknown = set(inputs) - set(known)
    return sorted(name for name in unknown if is_stranger(name, inputs))
