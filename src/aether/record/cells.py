"""Cells: how a value stands in a row when it does not stand there as it is.

A value is JSON, which never begins with the byte of a cell. What begins with it is one of: a value that
does all the same, escaped; *segments*, a value of which large pieces lie elsewhere, by digest; a *ciphered*
cell or value, under a key with an id; a log entry whose payloads are cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from .chain import CIPHERED, map_payloads
from .values import decode_raw_values

MARK = b"\xc1"
"""No UTF-8 text and no msgpack message begins with it."""

_ESCAPED = b"\xc1p"
_SEGMENTS = b"\xc1s"
_ENTRY = b"\xc1l"


class Reference(msgspec.Struct, frozen=True, array_like=True, gc=False):
    digest: bytes
    size: int


class Ciphered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`salt` and `nonce` are not secret; without the key of that id they say nothing."""

    key_id: str
    salt: bytes
    nonce: bytes
    text: bytes


Segment = bytes | Reference

_encode = msgspec.msgpack.Encoder().encode
_decode_segments = msgspec.msgpack.Decoder(list[bytes | Reference]).decode
_decode_ciphered = msgspec.msgpack.Decoder(Ciphered).decode


def is_cell(data: bytes) -> bool:
    return data[:1] == MARK


def is_ciphered(data: bytes) -> bool:
    return data[:2] == CIPHERED


def is_entry(data: bytes) -> bool:
    return data[:2] == _ENTRY


def cell_of(value: bytes, threshold: int, keep: Callable[[bytes], bytes]) -> bytes:
    """`value` as it is to stand in a row: pieces of more than `threshold` bytes are given to `keep`,
    which answers with their digest."""
    if len(value) <= threshold:
        return _ESCAPED + value if is_cell(value) else value
    return _SEGMENTS + _encode(
        [
            Reference(keep(piece), len(piece)) if len(piece) > threshold else piece
            for piece in pieces(value, threshold)
        ]
    )


def pieces(value: bytes, threshold: int) -> list[bytes]:
    """`value` cut in such a way that a large parameter is a piece of its own: the same one is then the
    same piece, under whatever name it travels and whatever stands beside it."""
    found: list[bytes] = []
    start = 0
    for raw in _raw_values(value):
        if len(raw) > threshold:
            at = value.find(raw, start)
            if at > start:
                found.append(value[start:at])
            found.append(raw)
            start = at + len(raw)
    if start < len(value):
        found.append(value[start:])
    return found


def _raw_values(value: bytes) -> list[bytes]:
    try:
        return [bytes(each.value) for each in decode_raw_values(value)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []  # a map, an array of items: one piece


def segments_of(cell: bytes) -> list[Segment]:
    """What a cell that is not ciphered consists of."""
    if cell[:2] == _ESCAPED:
        return [cell[2:]]
    if cell[:2] == _SEGMENTS:
        return _decode_segments(memoryview(cell)[2:])
    return [cell]


def references_in(cell: bytes) -> list[Reference]:
    if cell[:2] != _SEGMENTS:
        return []
    return [each for each in segments_of(cell) if isinstance(each, Reference)]


def value_of(cell: bytes, kept: Mapping[bytes, bytes]) -> bytes:
    """The value of a cell that is not ciphered. Raises KeyError for a digest that `kept` lacks."""
    return b"".join(
        kept[each.digest] if isinstance(each, Reference) else each for each in segments_of(cell)
    )


def ciphered_cell(ciphered: Ciphered) -> bytes:
    return CIPHERED + _encode(ciphered)


def ciphered_of(cell: bytes) -> Ciphered:
    """Raises msgspec.DecodeError."""
    return _decode_ciphered(memoryview(cell)[2:])


def entry_of_cells(body: bytes, cell: Callable[[bytes], bytes]) -> bytes:
    """A log entry with its payloads as `cell` turns them."""
    return _ENTRY + map_payloads(body, cell)


def entry_of_values(body: bytes, value: Callable[[bytes], bytes]) -> bytes:
    """The way back."""
    return map_payloads(body[2:], value)
