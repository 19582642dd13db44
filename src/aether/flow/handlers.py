"""What a function answers while it runs: queries, which look, and updates, which may act."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import NotFound, Problem
from ..record import TaskRow, UpdateAnswered
from . import codec
from .definition import Signature, is_async
from .errors import encode_error

if TYPE_CHECKING:
    from .run import FlowRun


_POSITIONAL = "*args"


class Handlers:
    """Handlers by name. A later handler of a name replaces the earlier one."""

    def __init__(self) -> None:
        self._queries: dict[str, tuple[Callable[..., Any], Signature]] = {}
        self._updates: dict[
            str, tuple[Callable[..., Any], Signature, Callable[..., Any] | None]
        ] = {}

    def on_query(self, name: str, handler: Callable[..., Any]) -> None:
        self._queries[name] = (handler, Signature(handler))

    def on_update(
        self, name: str, handler: Callable[..., Any], validator: Callable[..., Any] | None
    ) -> None:
        self._updates[name] = (handler, Signature(handler), validator)

    def query(self, name: str, inputs: bytes | None) -> bytes:
        """Raises NotFound `no-handler`, and whatever the handler raises."""
        found = self._queries.get(name)
        if found is None:
            raise _unknown("query", name, self._queries)
        handler, signature = found
        args, kwargs = _arguments(signature, inputs)
        return codec.encode(handler(*args, **kwargs), f"the answer to '{name}'")

    def answer_to(self, row: TaskRow, run: FlowRun) -> Coroutine[Any, Any, None]:
        """Handles the update in `row`, in a branch of its own."""
        return self._handle(row, run)

    async def _handle(self, row: TaskRow, run: FlowRun) -> None:
        try:
            found = self._updates.get(row.task_name)
            if found is None:
                raise _unknown("update", row.task_name, self._updates)
            handler, signature, validator = found
            args, kwargs = _arguments(signature, row.inputs)
            if validator is not None:
                validator(*args, **kwargs)
            if run.definition.is_async or is_async(handler):
                answer = handler(*args, **kwargs)
                if inspect.isawaitable(answer):
                    answer = await answer
            else:
                answer = await run.threads.call(handler, args, kwargs)
            outputs = codec.encode(answer, f"the answer to '{row.task_name}'")
        except Exception as error:  # noqa: BLE001 - it is the answer
            error_type, message, outputs = encode_error(error, f"update {row.task_name}")
            fact = UpdateAnswered(
                ordinal=row.ordinal, outputs=outputs, message=message, error_type=error_type
            )
        else:
            fact = UpdateAnswered(ordinal=row.ordinal, outputs=outputs)
        if not (row.phase.is_terminal or run.reading or run.detached):
            run.outbox.append(fact)


def encode_call(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes | None:
    """The arguments of a query or an update, for a handler whose parameters the caller does not know."""
    return codec.encode_inputs({_POSITIONAL: list(args), **kwargs} if args else kwargs)


def _arguments(
    signature: Signature, inputs: bytes | None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    values = codec.decode_inputs(inputs)
    if _POSITIONAL not in values:
        return signature.call_arguments(inputs)
    args = tuple(values.pop(_POSITIONAL))
    return signature.call_arguments(signature.encode(args, values))


def _unknown(kind: str, name: str, known: Iterable[str]) -> NotFound:
    names = ", ".join(sorted(known)) or "none"
    return NotFound(
        Problem(
            "no-handler",
            f"the workflow has no handler for the {kind} '{name}' (it has: {names})",
            fix=f"register one at the start of the workflow: ctx.on_{kind}('{name}', handler)",
        )
    )
