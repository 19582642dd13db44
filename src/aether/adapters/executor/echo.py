"""echo: gives its inputs back. For trying documents out, and for the conformance suite."""

from __future__ import annotations

import logging
from typing import Any

from ...ports import Outcome, Request, Schema
from ...record import NamedValue

_log = logging.getLogger("aether.executor.echo")

_CONTROLS = ("outputs", "suspend", "__resumed", "fail-count")
_ZEROES: dict[str, Any] = {"int": 0, "bool": False, "string": "", "array": [], "object": {}}
_PYTHON: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "bool": bool,
    "string": str,
    "array": list,
    "object": dict,
}


class EchoExecutor:
    """Every input comes back as an output, except those that control it:

    `outputs` (a list of `{name, type, value}`) adds outputs, or changes echoed ones; `suspend: true`
    suspends until `__resumed` comes with a resume; `fail-count: n` fails while fewer than n retries
    were made. Warnings about odd `outputs` go to the log `aether.executor.echo`.
    """

    def __init__(self, type: str = "echo") -> None:  # noqa: A002 - the protocol's own word
        self._schema = Schema(type=type, description="Gives its inputs back")

    @property
    def schema(self) -> Schema:
        return self._schema

    async def execute(self, request: Request) -> Outcome:
        inputs = request.inputs
        if inputs.get("suspend") is True and "__resumed" not in inputs:
            return Outcome.suspended("suspended on request; resume it to go on")
        failures = inputs.get("fail-count")
        if failures is not None and request.retry_count < _whole(failures, request):
            return Outcome.failed(
                f"failed on request: retry {request.retry_count} of the {failures} that fail",
                "echo-failed",
            )
        echoed = {
            value.name: NamedValue(value.name, value.type, value.value)
            for value in request.parameters
            if value.name not in _CONTROLS
        }
        if (wanted := inputs.get("outputs")) is not None:
            _apply(wanted, echoed, request)
        return Outcome(parameters=list(echoed.values()))


def _apply(wanted: object, echoed: dict[str, NamedValue], request: Request) -> None:
    if not isinstance(wanted, list):
        _log.warning("task %s: `outputs` is no list and is left out", request.task_run_id)
        return
    for entry in wanted:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            _log.warning("task %s: an entry of `outputs` has no name", request.task_run_id)
            continue
        kind = entry.get("type")
        if not isinstance(kind, str) or kind not in _PYTHON:
            _log.warning(
                "task %s: output %s: %r is taken as string", request.task_run_id, name, kind
            )
            kind = "string"
        value = entry.get("value")
        if value is None:
            known = echoed.get(name)
            value = _zero(kind) if known is None else known.value
        if not _fits(value, kind):
            _log.warning("task %s: output %s is no %s", request.task_run_id, name, kind)
        echoed[name] = NamedValue(name, kind, value)


def _fits(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "bool"
    return isinstance(value, _PYTHON[kind])


def _zero(kind: str) -> Any:
    zero = _ZEROES[kind]
    return zero.copy() if isinstance(zero, list | dict) else zero


def _whole(value: object, request: Request) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    _log.warning("task %s: `fail-count` is no number and counts as 0", request.task_run_id)
    return 0
