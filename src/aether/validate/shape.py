"""The shape of a raw tree: JSON types and member names, driven by the protocol's own structs.

`mend` reports what does not fit and returns a tree that does, so that the other rules can still be
applied to the rest of the document.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from ..document import Path
from .names import shown
from .report import Report
from .types import type_name

_DROPPED = object()
LARGEST_INT = 2**31 - 1


class Member(msgspec.Struct, frozen=True):
    attribute: str
    type: inspect.Type
    required: bool


@cache
def members_of(struct: type[msgspec.Struct]) -> dict[str, Member]:
    """The members of a protocol struct by the names that documents use."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType), struct
    return {
        field.encode_name: Member(field.name, field.type, field.required) for field in info.fields
    }


def alternatives(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    """The types a member may have, without null: null always means "not written"."""
    options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return tuple(option for option in options if not isinstance(option, inspect.NoneType))


def describe(kind: inspect.Type) -> str:
    """A member's type in plain words."""
    if isinstance(kind, inspect.AnyType):
        return "any value"
    words = [_describe_one(option) for option in alternatives(kind)]
    return " or ".join(dict.fromkeys(words))


def _describe_one(kind: inspect.Type) -> str:
    match kind:
        case inspect.StrType():
            return "text"
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number"
        case inspect.FloatType():
            return "a number"
        case inspect.VarTupleType():
            return "a list"
        case _:
            return "an object"


class Mender:
    def __init__(self, report: Report, lenient: bool) -> None:
        self._report = report
        self._lenient = lenient

    def struct(self, struct: type[msgspec.Struct], value: dict[str, Any], path: Path) -> Any:
        try:
            msgspec.convert(value, struct)
        except (msgspec.ValidationError, RecursionError):
            return self._mended(struct, value, path)
        return value

    def _mended(self, struct: type[msgspec.Struct], value: dict[str, Any], path: Path) -> Any:
        members = members_of(struct)
        clean: dict[str, Any] = {}
        for key, inner in value.items():
            member = members.get(key)
            if member is None:
                self._unknown(key, members, path)
            elif inner is not None:
                mended = self._value(member.type, inner, (*path, key))
                if mended is not _DROPPED:
                    clean[key] = mended
        for key, member in members.items():
            if member.required and key not in clean:
                self._report.missing(
                    path, key, f"'{key}' is missing", f"add '{key}: ...' to this object"
                )
                self._report.damage((*path, key))
                clean[key] = ""
        return clean

    def _value(self, kind: inspect.Type, value: Any, path: Path) -> Any:
        for option in alternatives(kind):
            mended = self._try(option, value, path)
            if mended is not _DROPPED:
                return mended
        what = f"this must be {describe(kind)}, not {type_name(value)}"
        fix = _quote_hint(kind, value)
        self._report.error("wrong-type", path, what, fix)
        self._report.damage(path)
        return _DROPPED

    def _try(self, kind: inspect.Type, value: Any, path: Path) -> Any:
        match kind:
            case inspect.AnyType():
                return value
            case inspect.StrType():
                return value if isinstance(value, str) else _DROPPED
            case inspect.BoolType():
                return value if isinstance(value, bool) else _DROPPED
            case inspect.IntType():
                return self._int(value, path)
            case inspect.FloatType():
                is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
                return value if is_number and abs(value) < 1e300 else _DROPPED
            case inspect.StructType():
                return self.struct(kind.cls, value, path) if isinstance(value, dict) else _DROPPED
            case inspect.VarTupleType():
                return self._list(kind, value, path)
            case inspect.DictType():
                return self._map(kind, value, path)
            case _:
                return _DROPPED

    def _int(self, value: Any, path: Path) -> Any:
        if not isinstance(value, int) or isinstance(value, bool):
            return _DROPPED
        return value

    def _list(self, kind: inspect.VarTupleType, value: Any, path: Path) -> Any:
        if not isinstance(value, (list, tuple)):
            return _DROPPED
        if isinstance(kind.item_type, inspect.AnyType):
            return value
        clean = []
        for index, inner in enumerate(value):
            mended = self._value(kind.item_type, inner, (*path, index))
            if mended is _DROPPED:
                mended = self._blank(kind.item_type, (*path, index))
            clean.append(mended)
        return clean

    def _blank(self, kind: inspect.Type, path: Path) -> Any:
        """Keeps the place of a broken list item, so that later ones keep their index."""
        option = alternatives(kind)[0]
        if not isinstance(option, inspect.StructType):
            return ""
        blank: dict[str, Any] = {}
        for key, member in members_of(option.cls).items():
            if member.required:
                self._report.damage((*path, key))
                blank[key] = ""
            elif key == "name":
                self._report.damage((*path, key))
        return blank

    def _map(self, kind: inspect.DictType, value: Any, path: Path) -> Any:
        if not isinstance(value, dict):
            return _DROPPED
        if isinstance(kind.value_type, inspect.AnyType):
            return value
        clean = {}
        for key, inner in value.items():
            mended = "" if inner is None else self._value(kind.value_type, inner, (*path, key))
            if mended is not _DROPPED:
                clean[key] = mended
        return clean

    def _unknown(self, key: str, members: dict[str, Member], path: Path) -> None:
        report = self._report
        what = f"'{shown(key)}' is no member of this object"
        fix = report.speller.did_you_mean(key, members, "remove it")
        (report.warn if self._lenient else report.error)("unknown-member", (*path, key), what, fix)


def _quote_hint(kind: inspect.Type, value: Any) -> str:
    wants_text = any(isinstance(option, inspect.StrType) for option in alternatives(kind))
    if wants_text and isinstance(value, (bool, int, float)):
        return f'put it in quotes: "{shown(msgspec.json.encode(value).decode())}"'
    if isinstance(value, str) and not wants_text:
        return f"write {describe(kind)}, without quotes"
    return f"write {describe(kind)} here"
