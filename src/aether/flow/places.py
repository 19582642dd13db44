"""Where in the user's code a durable call is made, and what its arguments are called."""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable, Mapping
from functools import lru_cache
from os.path import dirname, sep
from types import FunctionType
from typing import Any

from . import codec
from .definition import ActivityDefinition, StepDefinition, WorkflowDefinition

_ROOM = dirname(__file__) + sep
_SDK = dirname(dirname(__file__)) + sep + "sdk" + sep


def line_of_caller() -> str:
    """`file:line` of the first frame outside of this room and of the decorators above it."""
    frame = sys._getframe(2)
    while (name := frame.f_code.co_filename).startswith(_ROOM) or name.startswith(_SDK):
        back = frame.f_back
        if back is None:
            return ""
        frame = back
    return f"{name}:{frame.f_lineno}"


def encode_arguments(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> bytes | None:
    """The arguments of a step by name. Raises Refused `not-serialisable` with the path of a value."""
    if not args and not kwargs:
        return None
    named: dict[str, Any]
    if function.__class__ is FunctionType:
        code = function.__code__
        count = code.co_argcount
        named = dict(zip(code.co_varnames[:count], args, strict=False))
        if len(args) > count:
            named["*args"] = list(args[count:])
    else:
        named = {str(at): value for at, value in enumerate(args)}
    if kwargs:
        named.update(kwargs)
    return codec.encode_inputs(named)


def step_of(target: Any) -> StepDefinition | None:
    """What a decorated step is, if `target` is one."""
    found = _definition(target)
    return found if isinstance(found, StepDefinition) else None


def activity_of(target: Any) -> ActivityDefinition | None:
    found = _definition(target)
    return found if isinstance(found, ActivityDefinition) else None


def workflow_of(target: Any) -> WorkflowDefinition | None:
    found = _definition(target)
    return found if isinstance(found, WorkflowDefinition) else None


def _definition(target: Any) -> Any:
    if isinstance(target, StepDefinition | ActivityDefinition | WorkflowDefinition):
        return target
    return None if target.__class__ is FunctionType else getattr(target, "definition", None)


@lru_cache(maxsize=4096)
def result_type(function: Callable[..., Any]) -> Any:
    """What `function` says it returns; None when it says nothing that can be read."""
    try:
        found = typing.get_type_hints(function).get("return")
    except Exception:  # noqa: BLE001 - an annotation that only a type checker understands
        return None
    return None if found is type(None) else found
