"""Values of Python functions as recorded values, and back.

What JSON has is written as it is. Everything else is an object `{"$": kind, ...}` that says what it was,
so a value comes back as the type it had, without registration and without unpickling: only classes
that are loaded already are looked up, and only those that are plain data are built.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID  # noqa: TID251 - a kind of value here, not a way to make ids

import msgspec

from ..errors import Problem, Refused
from ..record import NamedValue, decode_values, encode_values

RESULT = "result"
_KIND = "$"
_MARK = b'"$"'
_AS_IS = frozenset({type(None), bool, str})
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_DEPTH = 200
_BASES: tuple[Any, ...] = (dict, list, str, int, float)


def encode(value: Any, what: str = RESULT) -> bytes:
    """One value, as a step or a run returns it. Raises Refused `not-serialisable` with the path."""
    return encode_values((NamedValue(RESULT, "", _plain(value, what, 0)),))


def plain(value: Any, what: str = RESULT) -> Any:
    """`value` as a tree that JSON has, for whoever encodes it later."""
    return _plain(value, what, 0)


def from_plain(tree: Any) -> Any:
    """The value that `plain` was given."""
    return _typed(tree)


def encode_inputs(inputs: Mapping[str, Any]) -> bytes | None:
    """Arguments by the names of the function's parameters."""
    if not inputs:
        return None
    return encode_values(
        [NamedValue(name, "", _plain(value, name, 0)) for name, value in inputs.items()]
    )


def decode(data: bytes | None, hint: Any = None) -> Any:
    """The value that `encode` was given. `hint` is the type it should have, where somebody who knows
    no Python may have written it."""
    if not data:
        return None
    values = decode_values(data)
    if not values:
        return None
    value = values[0].value
    if _MARK in data:
        value = _typed(value)
    return value if hint is None else fit(value, hint)


def decode_inputs(data: bytes | None, hints: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Arguments by name, each of the type that its parameter declares."""
    tagged = data is not None and _MARK in data
    found: dict[str, Any] = {}
    for named in decode_values(data):
        value = _typed(named.value) if tagged else named.value
        hint = hints.get(named.name) if hints else None
        found[named.name] = value if hint is None else fit(value, hint)
    return found


def roundtrip(value: Any, what: str = RESULT) -> tuple[bytes, Any]:
    """The encoded value, and the value as a replay would see it: never the caller's own list or dict."""
    data = encode(value, what)
    if type(value) in _AS_IS or type(value) is int or type(value) is float:
        return data, value
    return data, decode(data)


def fit(value: Any, hint: Any) -> Any:
    """`value` as `hint` if plain JSON can stand for it; otherwise as it is."""
    if hint is Any or (isinstance(hint, type) and isinstance(value, hint)):
        return value
    validate = getattr(hint, "model_validate", None)
    if validate is not None:
        return validate(value)
    try:
        return msgspec.convert(value, hint, strict=False)
    except (msgspec.ValidationError, TypeError):
        return value


# Out


def _plain(value: Any, path: str, depth: int) -> Any:
    """`value` as JSON has it, tagged where JSON has it not."""
    kind = type(value)
    if kind in _AS_IS:
        return value
    if kind is int:
        return value if _SMALLEST <= value <= _LARGEST else {_KIND: "int", "v": str(value)}
    if kind is float:
        return value if math.isfinite(value) else {_KIND: "float", "v": repr(value)}
    if depth > _DEPTH:
        raise _refuse(path, value, "it is nested too deeply, or contains itself")
    if kind is list:
        return [_plain(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
    if kind is dict:
        return _plain_dict(value, path, depth)
    write = _WRITERS.get(kind)
    if write is not None:
        return write(value, path, depth)
    return _plain_object(value, path, depth)


def _plain_dict(value: dict[Any, Any], path: str, depth: int) -> Any:
    if all(type(key) is str for key in value) and _KIND not in value:
        return {key: _plain(item, f"{path}.{key}", depth + 1) for key, item in value.items()}
    pairs = [
        [_plain(key, f"{path} (a key)", depth + 1), _plain(item, f"{path}[{key!r}]", depth + 1)]
        for key, item in value.items()
    ]
    return {_KIND: "dict", "v": pairs}


def _plain_items(kind: str) -> Callable[[Any, str, int], Any]:
    def write(value: Any, path: str, depth: int) -> Any:
        items = [_plain(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
        if kind != "tuple":
            items.sort(key=msgspec.json.encode)  # the same set is the same text
        return {_KIND: kind, "v": items}

    return write


def _plain_text(kind: str, text: Callable[[Any], str]) -> Callable[[Any, str, int], Any]:
    return lambda value, path, depth: {_KIND: kind, "v": text(value)}


def _plain_object(value: Any, path: str, depth: int) -> Any:
    kind = type(value)
    if isinstance(value, Enum):
        return {
            _KIND: "enum",
            "t": _name_of(value, path),
            "v": _plain(value.value, path, depth + 1),
        }
    members = _members(value)
    if members is not None:
        fields = {name: _plain(item, f"{path}.{name}", depth + 1) for name, item in members.items()}
        return {_KIND: "object", "t": _name_of(value, path), "v": fields}
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        items = [_plain(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
        return {_KIND: "named", "t": _name_of(value, path), "v": items}
    if isinstance(value, PurePath):
        return {_KIND: "path", "v": str(value)}
    for base in _BASES:
        if isinstance(
            value, base
        ):  # a subclass that adds behaviour, not data: defaultdict, OrderedDict
            return _plain(base(value), path, depth + 1)
    raise _refuse(path, value, "only data can be recorded")


def _members(value: Any) -> Mapping[str, Any] | None:
    """The fields of a dataclass, struct or model, or None when it is none of these."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if hasattr(type(value), "model_fields") and hasattr(value, "__pydantic_fields_set__"):
        return {name: getattr(value, name) for name in type(value).model_fields}
    return None


def _name_of(value: Any, path: str) -> str:
    kind = type(value)
    if "<locals>" in kind.__qualname__:
        raise _refuse(
            path, value, "its class is defined inside a function, where no replay finds it"
        )
    return f"{kind.__module__}:{kind.__qualname__}"


def _refuse(path: str, value: Any, why: str) -> Refused:
    kind = type(value)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    return Refused(
        Problem(
            "not-serialisable",
            f"`{path}` is a {name}, which cannot be recorded: {why}",
            fix="pass numbers, text, bytes, lists, dicts, dates, UUIDs, Decimals, enums, dataclasses, "
            "structs or models; open files, connections and locks inside the step that uses them",
        )
    )


def _offset(value: timedelta) -> int:
    return value // timedelta(microseconds=1)


_WRITERS: dict[type, Callable[[Any, str, int], Any]] = {
    tuple: _plain_items("tuple"),
    set: _plain_items("set"),
    frozenset: _plain_items("frozenset"),
    bytes: _plain_text("bytes", lambda value: b64encode(value).decode()),
    bytearray: _plain_text("bytearray", lambda value: b64encode(value).decode()),
    datetime: _plain_text("datetime", datetime.isoformat),
    date: _plain_text("date", date.isoformat),
    time: _plain_text("time", time.isoformat),
    timedelta: lambda value, path, depth: {_KIND: "timedelta", "v": _offset(value)},
    UUID: _plain_text("uuid", str),
    Decimal: _plain_text("decimal", str),
    complex: lambda value, path, depth: {_KIND: "complex", "v": [value.real, value.imag]},
}

# In


def _typed(value: Any) -> Any:
    kind = type(value)
    if kind is list:
        return [_typed(item) for item in value]
    if kind is not dict:
        return value
    tag = value.get(_KIND)
    if tag is None:
        return {key: _typed(item) for key, item in value.items()}
    inside = value.get("v")
    read = _READERS.get(tag)
    if read is not None:
        return read(inside)
    if tag == "object":
        return _build(_class_of(value["t"]), _typed(inside))
    if tag == "enum":
        return _class_of(value["t"])(_typed(inside))
    if tag == "named":
        return _class_of(value["t"])(*_typed(inside))
    return {key: _typed(item) for key, item in value.items()}  # somebody else's "$"


def _build(cls: Any, members: dict[str, Any]) -> Any:
    """An object of `cls`; members that the class no longer has are left out."""
    make: Any = cls
    if dataclasses.is_dataclass(cls):
        fields = {field.name: field.init for field in dataclasses.fields(cls)}
        made = make(**{name: members[name] for name in members if fields.get(name)})
        for name, item in members.items():
            if fields.get(name) is False:
                object.__setattr__(made, name, item)
        return made
    if issubclass(cls, msgspec.Struct):
        return cls(**{name: members[name] for name in cls.__struct_fields__ if name in members})
    return cls.model_validate(members)


def _class_of(name: str) -> Any:
    """The class that `module:name` says, if it is loaded and is data."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    if isinstance(found, type) and _is_data(found):
        return found
    raise Refused(
        Problem(
            "type-unknown",
            f"a recorded value is a {name.replace(':', '.')}, and no such class is loaded here",
            fix=f"import {module} before the run goes on, or keep the class under its old name",
        )
    )


def _is_data(cls: type[Any]) -> bool:
    return (
        dataclasses.is_dataclass(cls)
        or issubclass(cls, msgspec.Struct | Enum)
        or hasattr(cls, "model_fields")
        or (issubclass(cls, tuple) and hasattr(cls, "_fields"))
    )


_READERS: dict[str, Callable[[Any], Any]] = {
    "int": int,
    "float": float,
    "dict": lambda pairs: {_typed(key): _typed(item) for key, item in pairs},
    "tuple": lambda items: tuple(_typed(items)),
    "set": lambda items: set(_typed(items)),
    "frozenset": lambda items: frozenset(_typed(items)),
    "bytes": b64decode,
    "bytearray": lambda text: bytearray(b64decode(text)),
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda micros: timedelta(microseconds=micros),
    "uuid": UUID,
    "decimal": Decimal,
    "complex": lambda parts: complex(*parts),
    "path": PurePath,
}
