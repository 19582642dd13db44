"""FunctionExecutor: a Python function as an executor type."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from ...errors import Problem, Refused
from ...ports import Offload, Outcome, Request, Schema
from ..extra_inputs import is_stranger
from ..schemas import schema_of_function
from ..threads import ThreadPool


class FunctionExecutor:
    """Calls `function` with the inputs as keywords; an input `order-id` is the argument `order_id`.

    An argument annotated as Request gets the whole request and is no input. An async function runs on
    the loop; any other runs in `pool`, and goes on there, unheard, when the task is cancelled. Inputs
    that begin with two underscores are passed only to a function that takes them. Missing and
    unexpected arguments are an ERROR `bad-arguments` that names them. It returns an Outcome, a mapping
    of outputs, a dataclass or Struct whose members are the outputs, None for no outputs, or any other
    value, which becomes the output `result`.
    """

    def __init__(
        self,
        type: str,  # noqa: A002 - the protocol's own word
        function: Callable[..., Any],
        *,
        version: str = "",
        schema: Schema | None = None,
        pool: Offload | None = None,
    ) -> None:
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - an object whose call is async
        )
        self._pool = pool
        self._request_names = _request_arguments(function)
        declared = schema or schema_of_function(function, type=type, version=version)
        if self._request_names and declared.inputs is not None:
            kept = tuple(
                field
                for field in declared.inputs
                if field.name.replace("-", "_") not in self._request_names
            )
            declared = msgspec.structs.replace(declared, inputs=kept)
        self._schema = declared
        self._required: set[str] = set()
        self._allowed: set[str] = set()
        self._takes_any = False
        self._read_signature(type)

    @property
    def schema(self) -> Schema:
        return self._schema

    async def execute(self, request: Request) -> Outcome | Mapping[str, Any] | None:
        arguments = request.inputs
        # Right at once in nearly every call; otherwise the names are sorted out one by one.
        if arguments.keys() != self._required:
            arguments, complaint = self._sort_out(arguments)
            if complaint:
                return Outcome.error(complaint, "bad-arguments")
        for name in self._request_names:
            arguments[name] = request
        if self._is_async:
            return _as_answer(await self._function(**arguments))
        if self._pool is None:
            self._pool = ThreadPool(name=self._schema.type)
        return _as_answer(await self._pool(partial(self._function, **arguments)))

    def _read_signature(self, executor_type: str) -> None:
        for parameter in inspect.signature(self._function).parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                self._takes_any = True
            elif parameter.kind is parameter.POSITIONAL_ONLY:
                raise Refused(
                    Problem(
                        "function-signature",
                        f"the function of executor '{executor_type}' takes '{parameter.name}' by "
                        "position only, but inputs have names",
                        fix="remove the `/` from its arguments",
                    )
                )
            elif (
                parameter.kind is not parameter.VAR_POSITIONAL
                and parameter.name not in self._request_names
            ):
                self._allowed.add(parameter.name)
                if parameter.default is parameter.empty:
                    self._required.add(parameter.name)

    def _sort_out(self, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        """(arguments, what is wrong with them or "")."""
        arguments: dict[str, Any] = {}
        unexpected: list[str] = []
        for name, value in inputs.items():
            argument = name if name in self._allowed else name.replace("-", "_")
            if argument in self._allowed:
                if argument in arguments:
                    return {}, f"two inputs stand for the argument '{argument}'"
                arguments[argument] = value
            elif self._takes_any:
                arguments[name] = value
            elif is_stranger(name, inputs):
                unexpected.append(name)
        missing = sorted(self._required - arguments.keys())
        complaints = [
            f"{what}: {', '.join(names)}"
            for what, names in (("missing inputs", missing), ("unexpected inputs", unexpected))
            if names
        ]
        if not complaints:
            return arguments, ""
        takes = ", ".join(sorted(self._allowed)) or "none"
        return {}, f"{'; '.join(complaints)} ('{self._schema.type}' takes: {takes})"


def _request_arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the arguments annotated as Request."""
    return tuple(
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.annotation is Request or parameter.annotation == "Request"
    )


def _as_answer(value: Any) -> Outcome | Mapping[str, Any] | None:
    if value is None or isinstance(value, Outcome | Mapping):
        return value
    if isinstance(value, msgspec.Struct):
        return {
            field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(value)
        }
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {"result": value}
