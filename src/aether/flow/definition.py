"""What a decorated function is: its name, how it is called, and the version of its code."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from ..errors import Problem, Refused
from ..record import ActivityOptions
from . import codec
from .limits import Key, Limit
from .options import Retry


class Signature:
    """The parameters of a function, without those that the runtime fills itself."""

    def __init__(self, function: Callable[..., Any], skip: int = 0) -> None:
        self._function = function
        parameters = list(_signature_of(function).parameters.values())[skip:]
        self._signature = inspect.Signature(parameters)
        self._hints: Mapping[str, Any] | None = None
        simple = all(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
        self._names = tuple(p.name for p in parameters) if simple else ()
        self.names = tuple(p.name for p in parameters)
        self._var_positional = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")
        self._var_keyword = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), "")

    @property
    def hints(self) -> Mapping[str, Any]:
        """What each parameter is annotated with; looked up late, when all of its module is there."""
        if self._hints is None:
            try:
                found = typing.get_type_hints(self._function)
            except Exception:  # noqa: BLE001 - an annotation that only a type checker understands
                found = {}
            self._hints = {name: found[name] for name in self.names if name in found}
        return self._hints

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by name, as they are recorded. Raises TypeError as a plain call would."""
        if self._names and not kwargs and len(args) == len(self._names):
            return dict(zip(self._names, args, strict=True))
        try:
            bound = self._signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{name_of(self._function)}(): {error}") from None
        more = bound.pop(self._var_keyword, None) if self._var_keyword else None
        return {**bound, **more} if more else bound

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes | None:
        return codec.encode_inputs(self.bind(args, kwargs))

    def call_arguments(self, inputs: bytes | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """(args, kwargs) of the call that `inputs` were recorded for."""
        values = codec.decode_inputs(inputs, self.hints)
        args: list[Any] = []
        for parameter in self._signature.parameters.values():
            if parameter.kind is parameter.POSITIONAL_ONLY and parameter.name in values:
                args.append(values.pop(parameter.name))
            elif parameter.kind is parameter.VAR_POSITIONAL and parameter.name in values:
                before = [
                    values.pop(p.name)
                    for p in self._signature.parameters.values()
                    if p.kind is p.POSITIONAL_OR_KEYWORD and p.name in values
                ]
                args += [*before, *values.pop(parameter.name)]
        return tuple(args), values


class StepDefinition:
    """A function that runs as one step: here, and once for the record."""

    def __init__(
        self, function: Callable[..., Any], name: str, retry: Retry | None, timeout: int
    ) -> None:
        self.function = function
        self.name = name or name_of(function)
        self.retry = retry
        self.timeout = timeout
        self.signature = Signature(function)


class ActivityDefinition:
    """A function that any worker may run as a task of its own."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        options: ActivityOptions,
        limits: Sequence[Limit] = (),
    ) -> None:
        self.function = function
        self.name = name or name_of(function)
        self.options = options
        self.limits = tuple(limits)
        self.signature = Signature(function)
        self.is_async = is_async(function)


class WorkflowDefinition:
    """A function that decides what happens in a run. Its first parameter takes the Context."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        version: str = "",
        limits: Sequence[Limit] = (),
        singleton: Key = "",
    ) -> None:
        self.limits = tuple(limits)
        self.function = function
        self.name = name or name_of(function)
        self.version = version or version_of(function)
        self.single = Limit(singleton, concurrency=1) if singleton else None
        if self.single is not None:
            self.limits += (self.single,)
        self.is_async = is_async(function)
        if not _signature_of(function).parameters:
            raise Refused(
                Problem(
                    "function-signature",
                    f"the workflow '{self.name}' takes no context",
                    fix="let its first parameter be the context: `async def "
                    f"{function.__name__}(ctx: Context, …)`",
                )
            )
        self.signature = Signature(function, skip=1)


def is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object whose call is async
    )


def name_of(function: Callable[..., Any]) -> str:
    """The name people know a function by."""
    name: str = getattr(function, "__name__", "") or type(function).__name__
    return "lambda" if name == "<lambda>" else name


def version_of(function: Callable[..., Any]) -> str:
    """A digest of the function's code: it changes when the code does, and with nothing else."""
    digest = blake2b(digest_size=6)
    _digest_code(getattr(inspect.unwrap(function), "__code__", None), digest.update)
    return digest.hexdigest()


def _digest_code(code: Any, feed: Callable[[bytes], object]) -> None:
    if code is None:
        return
    feed(code.co_code)
    feed(" ".join(code.co_names).encode())
    for constant in code.co_consts:
        if inspect.iscode(constant):
            _digest_code(constant, feed)
        elif isinstance(constant, frozenset):
            feed(repr(sorted(map(repr, constant))).encode())
        else:
            feed(repr(constant).encode())


def _signature_of(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C do not say
        return inspect.Signature([inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)])
