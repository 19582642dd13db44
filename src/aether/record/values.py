"""Named values: inputs and outputs of runs and task runs, encoded once and kept as JSON bytes.

The encoded form is an array of `[name, type, value, secret]`. Values that nobody has to look at are
spliced from one row into the next as raw bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ..errors import Problem, Refused


class SecretRef(msgspec.Struct, frozen=True, array_like=True):
    """Where a secret lives. Only this is stored; the value is fetched at dispatch."""

    name: str
    key: str
    default: Any = None


class NamedValue(msgspec.Struct, array_like=True, gc=False):
    """One parameter as it travels: `type` is "" when nobody declared one."""

    name: str
    type: str = ""
    value: Any = None
    secret: SecretRef | None = None


class RawValue(msgspec.Struct, array_like=True, gc=False):
    """A NamedValue whose value stays undecoded."""

    name: str
    type: str = ""
    value: msgspec.Raw = msgspec.Raw(b"null")
    secret: SecretRef | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[NamedValue]).decode
_decode_raw = msgspec.json.Decoder(list[RawValue]).decode
decode_json = msgspec.json.Decoder().decode


def encode_json(value: object, what: str = "the value") -> bytes:
    """`value` as JSON. Raises Refused `not-json` when it has no JSON form."""
    try:
        return _encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError, UnicodeEncodeError) as exc:
        raise Refused(
            Problem(
                "not-json",
                f"{what} cannot be written as JSON: {exc}",
                fix="return numbers, text, booleans, lists, objects or null",
            )
        ) from exc


def encode_values(values: Iterable[NamedValue]) -> bytes:
    """Raises Refused `not-json` that names the first value without a JSON form."""
    values = list(values)
    try:
        return _encode(values)
    except (TypeError, ValueError, OverflowError, RecursionError, UnicodeEncodeError):
        for value in values:
            encode_json(value.value, f"the value of '{value.name}'")
        raise


def decode_values(data: bytes | None) -> list[NamedValue]:
    return _decode(data) if data else []


def decode_raw_values(data: bytes | None) -> list[RawValue]:
    return _decode_raw(data) if data else []


def as_mapping(data: bytes | None) -> dict[str, Any]:
    """Name to value; of two values with one name the later counts."""
    return {value.name: value.value for value in decode_values(data)}


def named_values(mapping: Mapping[str, Any]) -> list[NamedValue]:
    return [NamedValue(name, "", value) for name, value in mapping.items()]
