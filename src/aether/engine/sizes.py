"""How large a value may be: what is larger is refused where it comes in, with its name.

In: encoded values, and the changes of decisions. Out: problems, or sentences for a run's record. Never: a
value cut short, or one that is too large on its way to the store.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..errors import Problem, Refused
from ..plan import AnyState
from ..record import (
    PAYLOADS,
    Change,
    HookPatch,
    HookRow,
    TaskPatch,
    TaskRow,
    decode_raw_values,
)
from .held_values import values_of

LIMIT = 16 << 20
"""Bytes of one value, as JSON."""

_MOST = 512 << 20  # a database row holds less than twice as much
_FIX = "pass large data as an artifact or by reference, or raise `payload_limit`"

_WORDS = {
    "arguments": "argument",
    "inputs": "input",
    "outputs": "output",
    "items": "the items of its loop",
    "variables": "the variables",
    "artifacts_in": "its artifacts",
    "artifacts_out": "its artifacts",
}


class Sizes:
    def __init__(self, limit: int = LIMIT) -> None:
        if not 0 < limit <= _MOST:
            raise Refused(
                Problem(
                    "bad-payload-setting",
                    f"`payload_limit` is {limit:,} bytes",
                    fix=f"give a number of bytes from 1 to {_MOST:,}",
                )
            )
        self._limit = limit

    def submitted(self, arguments: bytes | None) -> bytes | None:
        """`arguments` themselves. Raises Refused `payload-too-large`."""
        return self._checked(arguments, "argument", "")

    def resumed(self, values: bytes, task_run_id: str) -> bytes:
        """`values` themselves. Raises Refused `payload-too-large`."""
        self._checked(values, "input", f"task run '{task_run_id}': ")
        return values

    def variables(self, found: bytes | None) -> bytes | None:
        """`found` itself, the values of all variable sources. Raises Refused `payload-too-large`."""
        if found is not None and len(found) > self._limit:
            raise _refused("the variables of this engine's sources together", len(found), self)
        return found

    def _checked(self, data: bytes | None, what: str, where: str) -> bytes | None:
        if data is not None and len(data) > self._limit:
            for value in decode_raw_values(data):
                size = len(bytes(value.value))
                if size > self._limit:
                    raise _refused(f"{where}{what} '{value.name}'", size, self)
        return data

    def result(self, outputs: bytes | None, artifacts: bytes | None) -> str:
        """What is wrong with the result of a task; "" if nothing is."""
        return self._fault("outputs", outputs) or self._fault("artifacts_out", artifacts)

    def fault_of(self, changes: Sequence[Change], state: AnyState) -> str:
        """What is wrong with values that a decision has put together; "" if nothing is. `changes` are
        those of it that hold any."""
        limit = self._limit
        for change in changes:
            for value in values_of(change):
                if len(value) > limit and (fault := self._fault_in(change, state)):
                    return fault
        return ""

    def _fault_in(self, change: Change, state: AnyState) -> str:
        for field in PAYLOADS[type(change)]:
            value = getattr(change, field)
            if isinstance(value, bytes) and (fault := self._fault(field, value)):
                return f"{_whose(change, state)}: {fault}"
        return ""

    def _fault(self, field: str, data: bytes | None) -> str:
        if data is None or len(data) <= self._limit:
            return ""
        word = _WORDS.get(field, field)
        try:
            values = decode_raw_values(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return f"{word}: {self.too_many(len(data))}"
        for value in values:
            size = len(bytes(value.value))
            if size > self._limit:
                return f"{word} '{value.name}': {self.too_many(size)}"
        return ""

    def too_many(self, size: int) -> str:
        return f"{_megabytes(size)}, and a value may have {_megabytes(self._limit)}"


def _refused(what: str, size: int, sizes: Sizes) -> Refused:
    return Refused(
        Problem("payload-too-large", f"{what} is too large: {sizes.too_many(size)}", fix=_FIX)
    )


def refusal(fault: str) -> Refused:
    """A fault that `Sizes` found, as a problem."""
    return Refused(Problem("payload-too-large", fault, fix=_FIX))


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):,.1f} MB" if size >= 1 << 20 else f"{size:,} bytes"


def _whose(change: Change, state: AnyState) -> str:
    if isinstance(change, TaskRow):
        return f"task '{change.task_name}'"
    if isinstance(change, TaskPatch):
        node = state.nodes.get(change.ordinal)
        name = f"{state.run.run_id}.{change.ordinal}" if node is None else node.row.task_name
        return f"task '{name}'"
    if isinstance(change, HookRow):
        return f"hook '{change.hook}'"
    if isinstance(change, HookPatch):
        return f"hook run {change.number}"
    return f"run {state.run.run_id}"
