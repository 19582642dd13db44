"""Activities as executors: a worker runs them, for functions and for documents."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any

from ..errors import ProblemError
from ..flow import ActivityDefinition, encode, encode_error, plain
from ..ports import FAILED, SUSPENDED, Offload, Outcome, Request
from ..record import NamedValue, Schema, decode_values

REQUEST: ContextVar[Request | None] = ContextVar("aether_activity", default=None)


class CompleteLater(BaseException):
    """Raised by `activity.complete_later()`: the attempt goes on outside of this process."""


class ActivityExecutor:
    """Runs an activity, for functions and documents alike: inputs are named by its parameters, and what it
    returns is the output `result`."""

    def __init__(
        self, definition: ActivityDefinition, pool: Offload, schema: Schema | None = None
    ) -> None:
        self._definition = definition
        self._pool = pool
        self._schema = schema or Schema(type=definition.name)
        self._final = frozenset(definition.options.non_retryable)

    @property
    def schema(self) -> Schema:
        return self._schema

    async def execute(self, request: Request) -> Outcome | Mapping[str, Any] | None:
        definition = self._definition
        token = REQUEST.set(request)
        try:
            args, kwargs = definition.signature.call_arguments(request.encoded)
            if definition.is_async:
                value = await definition.function(*args, **kwargs)
            else:
                value = await self._pool(partial(definition.function, *args, **kwargs))
                if inspect.isawaitable(value):
                    value = await value
            return Outcome(parameters=[NamedValue("result", "", plain(value))])
        except CompleteLater:
            return Outcome(SUSPENDED, "its result comes from outside")
        except Exception as error:  # noqa: BLE001 - it is what the workflow is to see
            return self._failure(error, request)
        finally:
            REQUEST.reset(token)

    def _failure(self, error: Exception, request: Request) -> Outcome:
        _, message, outputs = encode_error(error, self._definition.name, request.attempt)
        kind = type(error).__name__ if not isinstance(error, ProblemError) else error.code
        for base in type(error).__mro__:
            if base.__name__ in self._final:
                kind = base.__name__  # what the options speak of may be a class it derives from
                break
        return Outcome(FAILED, message, parameters=decode_values(outputs), error_type=kind)


def current_request() -> Request | None:
    return REQUEST.get()


def send_heartbeat(details: Any) -> None:
    """From the activity that runs here."""
    request = REQUEST.get()
    beat: Callable[[bytes | None], None] | None = request.beat if request is not None else None
    if beat is not None:
        beat(None if details is None else encode(details, "the details of a heartbeat"))
