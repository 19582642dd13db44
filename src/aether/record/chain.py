"""The action log as a chain: every entry's hash covers the one before it.

An entry's body is a version byte and two parts. The *core* holds the number, the instant, the hash
before and the changes, with each payload replaced by a salted digest; its hash is the entry's. The
*payloads* stand beside it: they can be erased later while the chain still verifies, and the salt, erased
with them, keeps a short value from being guessed by its digest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import UNSET

from .rows import Change, Cut, HookPatch, HookRow, Instant, RunPatch, RunRow, TaskPatch, TaskRow

START = bytes(32)
"""What stands before the first entry."""

CIPHERED = b"\xc1x"
"""How bytes begin that cannot be read without a key. No JSON does."""

_VERSION = 1
_SALT = 16
_OF_TASK = ("inputs", "outputs", "items", "artifacts_in", "artifacts_out", "details")
PAYLOADS: dict[type, tuple[str, ...]] = {
    RunRow: ("arguments", "variables", "given", "outputs", "status"),
    RunPatch: ("outputs", "status"),
    TaskRow: _OF_TASK,
    TaskPatch: _OF_TASK,
    HookRow: ("inputs", "outputs"),
    HookPatch: ("outputs",),
    Cut: (),
}


def _asker(fields: tuple[str, ...]) -> Callable[[Any], bool]:
    """A function that tells whether one of these members is a value. It is made of one expression: a loop
    over their names takes five times as long, and most rows and patches hold no value at all."""
    tests = (f"(change.{field} is not None and change.{field} is not UNSET)" for field in fields)
    text = f"lambda change, UNSET=UNSET: {' or '.join(tests) or 'False'}"
    made: Callable[[Any], bool] = eval(text, {"UNSET": UNSET})  # noqa: S307 - of our own names
    return made


HOLDS_VALUES = {kind: _asker(fields) for kind, fields in PAYLOADS.items()}
"""Asked by the type of a row or patch."""


class Core(msgspec.Struct, array_like=True, gc=False):
    seq: int
    at: Instant
    before: bytes
    changes: list[Change]


class Entry(msgspec.Struct, array_like=True, gc=False):
    """`payloads` are in the order in which the core's changes name them; None is erased."""

    core: bytes
    salt: bytes
    payloads: list[bytes | None]


class Sealed(msgspec.Struct, gc=False):
    body: bytes
    head: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode_plain = msgspec.msgpack.Decoder(list[Change]).decode
_decode_core = msgspec.msgpack.Decoder(Core).decode
_decode_entry = msgspec.msgpack.Decoder(Entry).decode


def seal(before: bytes, seq: int, at: Instant, changes: Sequence[Change], salt: bytes) -> Sealed:
    """The log entry of one decision, and the hash that the next one is to name. `salt` is 16 bytes of
    chance. `changes` stay as they are."""
    payloads: list[bytes | None] = []
    bare: list[Change] = []
    for change in changes:
        if not HOLDS_VALUES[type(change)](change):
            bare.append(change)
            continue
        copied: Any = copy(change)
        for field in PAYLOADS[type(change)]:
            value = getattr(change, field)
            if value is not None and value is not UNSET:
                setattr(copied, field, _digest(value, salt))
                payloads.append(value)
        bare.append(copied)
    core = _encode(Core(seq, at, before or START, bare))
    body = bytes((_VERSION,)) + _encode(Entry(core, salt if payloads else b"", payloads))
    return Sealed(body, hash_of(core))


def decode_changes(body: bytes) -> list[Change]:
    """The changes of a log entry, payloads in their places; an erased payload is None."""
    if body[:1] != bytes((_VERSION,)):
        return _decode_plain(body)
    entry = _decode_entry(memoryview(body)[1:])
    changes = _decode_core(entry.core).changes
    payloads = iter(entry.payloads)
    for change in changes:
        for field in PAYLOADS[type(change)]:
            value = getattr(change, field)
            if value is not None and value is not UNSET:
                setattr(change, field, next(payloads))
    return changes


def head_of(body: bytes) -> bytes:
    """The hash of an entry."""
    return hash_of(_decode_entry(memoryview(body)[1:]).core)


def erase_payloads(body: bytes) -> bytes:
    """The entry without what was worked on: the chain verifies as before."""
    entry = _decode_entry(memoryview(body)[1:])
    bare = Entry(entry.core, b"", [None] * len(entry.payloads))
    return bytes((_VERSION,)) + _encode(bare)


def map_payloads(body: bytes, told: Callable[[bytes], bytes]) -> bytes:
    """The entry with its salt and each payload as `told` answers for it; erased ones stay so. Raises
    msgspec.DecodeError for what is no entry."""
    if body[:1] != bytes((_VERSION,)):
        raise msgspec.DecodeError("no entry of a version known here")
    entry = _decode_entry(memoryview(body)[1:])
    salt = told(entry.salt) if entry.salt else b""
    payloads = [None if each is None else told(each) for each in entry.payloads]
    return bytes((_VERSION,)) + _encode(Entry(entry.core, salt, payloads))


def has_ciphered(body: bytes) -> bool:
    """Whether payloads of the entry cannot be read without a key, so that nobody can tell whether they
    are the ones that its core names."""
    return _is_ciphered(_decode_entry(memoryview(body)[1:]).salt)


def _is_ciphered(salt: bytes) -> bool:
    return len(salt) > _SALT and salt[: len(CIPHERED)] == CIPHERED


def has_erased(body: bytes) -> bool:
    """Whether payloads of the entry were erased."""
    return None in _decode_entry(memoryview(body)[1:]).payloads


class Link(msgspec.Struct, gc=False):
    """What a verifier knows so far: the number and hash of the last entry that held."""

    seq: int = 0
    head: bytes = START


def check_entry(link: Link, seq: int, at: Instant, body: bytes) -> tuple[Link, str]:
    """The link after this entry, and what is wrong with it: "" if it holds."""
    if seq != link.seq + 1:
        missing = f"{link.seq + 1}" if seq == link.seq + 2 else f"{link.seq + 1} to {seq - 1}"
        return Link(seq, _head_or_start(body)), f"entry {seq}: a gap, {missing} missing"
    if body[:1] != bytes((_VERSION,)):
        return Link(seq, START), f"entry {seq}: no sealed entry of a version known here"
    try:
        entry = _decode_entry(memoryview(body)[1:])
        core = _decode_core(entry.core)
    except (msgspec.DecodeError, ValueError) as error:
        return Link(seq, START), f"entry {seq}: cannot be read: {error}"
    after = Link(seq, hash_of(entry.core))
    if core.seq != seq or core.at != at:
        return after, f"entry {seq}: it says that it is entry {core.seq} of another place or time"
    if core.before != link.head:
        return after, f"entry {seq}: does not follow the entry before it; one of them was changed"
    return after, _check_payloads(seq, entry, core)


def _check_payloads(seq: int, entry: Entry, core: Core) -> str:
    named = [
        value
        for change in core.changes
        for field in PAYLOADS[type(change)]
        if (value := getattr(change, field)) is not None and value is not UNSET
    ]
    if len(named) != len(entry.payloads):
        return f"entry {seq}: {len(named)} payloads are named and {len(entry.payloads)} are there"
    if _is_ciphered(entry.salt):
        return ""
    for digest, payload in zip(named, entry.payloads, strict=True):
        if payload is not None and _digest(payload, entry.salt) != digest:
            return f"entry {seq}: a payload was changed"
    return ""


def check_head(link: Link, seq: int, head: bytes) -> str:
    """Whether the chain ends where the run's row says; "" if so."""
    if link.seq < seq:
        return f"the tail is cut: the last entry is {link.seq}, the run is at {seq}"
    if link.seq > seq:
        return f"the log has {link.seq} entries, the run is at {seq}"
    if link.head != (head or START):
        return f"entry {seq}: it was changed, or the run's head was"
    return ""


def hash_of(core: bytes) -> bytes:
    return blake2b(core, digest_size=32).digest()


def _digest(payload: bytes, salt: bytes) -> bytes:
    return blake2b(payload, digest_size=16, salt=salt).digest()


def _head_or_start(body: bytes) -> bytes:
    try:
        return head_of(body)
    except (msgspec.DecodeError, ValueError):
        return START
