"""Schemas out of Python types: what an executor takes and gives, without writing it down twice."""

from __future__ import annotations

import collections.abc as abc
import dataclasses
import datetime as dt
import enum
import inspect
import pathlib
import re
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from ..errors import Problem, Refused
from ..ports import Field, Schema

_SIMPLE: tuple[tuple[type, str], ...] = (  # in this order: a bool is an int to Python
    (bool, "bool"),
    (int, "int"),
    (float, "float"),
    (Decimal, "float"),
    (str, "string"),
    (dt.date, "string"),
    (dt.time, "string"),
    (uuid.UUID, "string"),
    (pathlib.PurePath, "string"),
    (list, "array"),
    (tuple, "array"),
    (set, "array"),
    (frozenset, "array"),
    (dict, "object"),
)
_NO_INPUT = ("self", "cls")


def schema_of(
    inputs: object = None,
    outputs: object = None,
    *,
    type: str,  # noqa: A002 - the protocol's own word
    version: str = "",
    description: str = "",
) -> Schema:
    """Each of `inputs` and `outputs` is a dataclass, a msgspec Struct, a TypedDict, any other class with
    annotations, a mapping of names to types, or None for "anything". An annotated text,
    `Annotated[int, "how many"]`, becomes the description. What has a default, or may be None, is not
    required. Raises Refused `schema-type` for anything else."""
    return Schema(
        type=type,
        version=version,
        description=description,
        inputs=None if inputs is None else _fields(inputs),
        outputs=None if outputs is None else _fields(outputs),
    )


def schema_of_function(
    function: Callable[..., Any],
    *,
    type: str = "",  # noqa: A002 - the protocol's own word
    version: str = "",
) -> Schema:
    """The arguments of `function` are its inputs: open if one of them is `**kwargs`, or if no argument
    has a type hint. Its outputs are open unless it returns a dataclass, Struct or TypedDict. The first
    paragraph of its docstring is the description, and lines like `name: text` behind an `Args:` line
    describe arguments. The type is the function's name with `-` for `_` unless given."""
    name = type or getattr(function, "__name__", "function").strip("_").replace("_", "-")
    hints = _hints(function if inspect.isroutine(function) else function.__class__.__call__)
    summary, texts = _read_docstring(inspect.getdoc(function) or "")
    returned = _unwrapped(hints.pop("return", None))[0]
    parameters = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in _NO_INPUT
    ]
    any_keyword = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    closed = not any_keyword and (not parameters or bool(hints))
    inputs = [
        _field(
            parameter.name,
            hints.get(parameter.name, Any),
            parameter.default is not parameter.empty,
            texts.get(parameter.name, ""),
        )
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    return Schema(
        type=name,
        version=version,
        description=summary,
        inputs=tuple(inputs) if closed else None,
        outputs=_fields(returned) if _is_record(returned) else None,
    )


def _fields(shape: Any) -> tuple[Field, ...]:
    if isinstance(shape, Mapping):
        return tuple(_field(str(name), hint, False, "") for name, hint in shape.items())
    if not inspect.isclass(shape) or not (_is_record(shape) or inspect.get_annotations(shape)):
        raise Refused(
            Problem(
                "schema-type",
                f"no schema can be made of {shape!r}",
                fix="use a dataclass, a msgspec Struct, a TypedDict, or a mapping of names to types",
            )
        )
    hints = _hints(shape)
    optional = _optional_names(shape)
    renamed = _encoded_names(shape)
    return tuple(
        _field(renamed.get(name, name), hint, name in optional, "")
        for name, hint in hints.items()
        if not name.startswith("_") and typing.get_origin(hint) is not typing.ClassVar
    )


def _field(name: str, hint: Any, has_default: bool, text: str) -> Field:
    inner, annotated, may_be_none = _unwrapped(hint)
    return Field(name, _type_name(inner), not has_default and not may_be_none, annotated or text)


def _optional_names(shape: type) -> set[str]:
    if dataclasses.is_dataclass(shape):
        missing = dataclasses.MISSING
        return {
            field.name
            for field in dataclasses.fields(shape)
            if field.default is not missing or field.default_factory is not missing
        }
    if issubclass(shape, msgspec.Struct):
        return {field.name for field in msgspec.structs.fields(shape) if not field.required}
    if typing.is_typeddict(shape):
        return set(getattr(shape, "__optional_keys__", ()))
    return {name for name in vars(shape) if not name.startswith("_")}


def _encoded_names(shape: type) -> dict[str, str]:
    if issubclass(shape, msgspec.Struct):
        return {field.name: field.encode_name for field in msgspec.structs.fields(shape)}
    return {}


def _unwrapped(hint: Any) -> tuple[Any, str, bool]:
    """(the type inside, its annotated text, may it be None)."""
    text, may_be_none = "", False
    while True:
        origin = typing.get_origin(hint)
        if origin is typing.Annotated:
            for note in hint.__metadata__:
                found = note if isinstance(note, str) else getattr(note, "description", None)
                text = text or (found if isinstance(found, str) else "")
            hint = hint.__origin__
        elif origin in (typing.Required, typing.Final):
            hint = typing.get_args(hint)[0]
        elif origin is typing.NotRequired:
            hint, may_be_none = typing.get_args(hint)[0], True
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        elif origin in (typing.Union, types.UnionType):
            members = [member for member in typing.get_args(hint) if member is not type(None)]
            may_be_none = may_be_none or len(members) < len(typing.get_args(hint))
            if len(members) != 1:
                return hint, text, may_be_none
            hint = members[0]
        else:
            return hint, text, may_be_none


def _type_name(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return _common(_type_name(type(value)) for value in typing.get_args(hint))
    if origin in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        return _common(_type_name(_unwrapped(member)[0]) for member in members)
    kind = origin or hint
    if not inspect.isclass(kind):
        return "any"
    if issubclass(kind, enum.Enum):
        return _common(_type_name(type(member.value)) for member in kind)
    for known, name in _SIMPLE:
        if issubclass(kind, known):
            return name
    if _is_record(kind) or issubclass(kind, abc.Mapping):
        return "object"
    if issubclass(kind, abc.Sequence | abc.Set) and not issubclass(kind, bytes | bytearray):
        return "array"
    return "any"


def _common(names: typing.Iterable[str]) -> str:
    found = set(names)
    if found == {"int", "float"}:
        return "float"
    return found.pop() if len(found) == 1 else "any"


def _is_record(hint: Any) -> bool:
    return inspect.isclass(hint) and (
        dataclasses.is_dataclass(hint)
        or issubclass(hint, msgspec.Struct)
        or typing.is_typeddict(hint)
    )


def _hints(thing: Any) -> dict[str, Any]:
    """Hints that name something unknown are left out: they cannot be checked, and break nothing."""
    try:
        return typing.get_type_hints(thing, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError):
        hints = getattr(thing, "__annotations__", {})
        return {name: Any if isinstance(hint, str) else hint for name, hint in hints.items()}


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """(first paragraph, descriptions of arguments)."""
    summary = " ".join(text.split("\n\n", maxsplit=1)[0].split())
    described: dict[str, str] = {}
    inside = False
    for line in text.splitlines():
        if re.fullmatch(r"(Args|Arguments|Parameters):", line.strip()):
            inside = True
        elif inside and (match := re.match(r"\s+(\w+)(?: ?\([^)]*\))?: +(.+)", line)):
            described[match[1]] = match[2].strip()
        elif line.strip() and not line.startswith(" "):
            inside = False
    return ("" if re.match(r"(Args|Arguments|Parameters):", summary) else summary), described
