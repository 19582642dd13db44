"""The steps that follow a run's update, as they are kept in its `redo`.

In: the changes of one commit. Out: steps, each with the token that its record had before, so that a
step can be told from one that was taken already. Never: calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy

import msgspec

from ....ports import Commit
from ....record import (
    HookRow,
    TaskPatch,
    TaskRow,
    Token,
    patch_hook,
    patch_task,
)
from .shapes import hook_task, whole_patch


class Step(msgspec.Struct, array_like=True, frozen=True):
    """Create a task record (`before` is None), or update the one that has this token."""

    before: Token | None
    change: TaskRow | TaskPatch


encode_redo = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[list[Step]] = msgspec.msgpack.Decoder(list[Step])


def decode_redo(redo: bytes) -> list[Step]:
    return _decoder.decode(redo)


def steps_of(commit: Commit, tokens: Mapping[int, Token], hooks: dict[int, HookRow]) -> list[Step]:
    """One step for each record that `commit` touches; `hooks` become what they are after it."""
    merged: dict[int, TaskRow | TaskPatch] = {}
    for change in commit.tasks:
        earlier = merged.get(change.ordinal)
        if isinstance(change, TaskPatch) and earlier is not None:
            patch_task(earlier, change)
        else:
            merged[change.ordinal] = copy(change)
    for fired in commit.hooks:
        hook = copy(fired if isinstance(fired, HookRow) else hooks[fired.number])
        if not isinstance(fired, HookRow):
            patch_hook(hook, fired)
        hooks[hook.number] = hook
        task = hook_task(hook)
        merged[task.ordinal] = task
    return [_step(change, tokens.get(ordinal)) for ordinal, change in merged.items()]


def _step(change: TaskRow | TaskPatch, before: Token | None) -> Step:
    if before is not None and isinstance(change, TaskRow):
        return Step(before, whole_patch(change))
    return Step(before, change)
