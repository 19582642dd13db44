"""What a commit looks like beneath the payloads, and values out of what is kept.

In: commits with values; cells and kept payloads. Out: commits with cells and the payloads they refer to;
values. Never: I/O, or a change of what was handed in. Runs on any thread.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from copy import copy
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec.structs import replace

from ..errors import InvalidState, Problem
from ..ports import Commit, LogEntry, Payload
from ..record import (
    PAYLOADS,
    cell_of,
    entry_of_cells,
    entry_of_values,
    is_cell,
    is_ciphered,
    is_entry,
    references_in,
    value_of,
)
from .held_values import changes_with_values, values_of
from .keyring import Keyring, key_missing, key_of, unreadable

DOCUMENT = b"document"
"""What documents are sealed as: not to be passed off as a value."""

_CELL = b""
_PAYLOAD = b"payload"
_NEVER = 1 << 62
_RAW, _ZLIB = b"\x00", b"\x01"
_LEVEL = 1
_SAMPLE = 8_192
_WORTH = 0.9  # of the size, at most, or it is not worth the time to unpack it


class Packing:
    """`keeps` tells whether the store keeps payloads: without, values stay in their rows."""

    def __init__(self, threshold: int, keyring: Keyring | None) -> None:
        self._threshold = threshold
        self._keyring = keyring
        self.keeps = True

    @property
    def _most(self) -> int:
        return self._threshold if self.keeps else _NEVER

    def work(self, commit: Commit) -> int:
        """Bytes of this commit that must not go as they are; 0 for most: then it may go itself."""
        if self._keyring is not None:
            return 1 + sum(map(len, _values(commit)))
        size = 0
        if commit.holds_values:
            most = self._most
            for value in _values(commit):
                if len(value) > most or is_cell(value):
                    size += len(value)
        if commit.log is not None and is_cell(commit.log.body):
            size += len(commit.log.body)
        return size

    def commit(self, commit: Commit, known: Container[tuple[str, bytes]]) -> Commit:
        """`commit` with cells for values. Payloads that the run brought before are in `known`."""
        brought: dict[bytes, Payload] = {}
        cells: dict[bytes, bytes] = {}

        def keep(piece: bytes) -> bytes:
            digest = self._name(piece)
            new = commit.expected is None or (commit.run_id, digest) not in known
            if new and digest not in brought:
                brought[digest] = Payload(digest, self._payload(piece, digest))
            return digest

        def cell(value: bytes) -> bytes:
            found = cells.get(value)
            if found is None:
                found = cells[value] = self._sealed(cell_of(value, self._most, keep), _CELL)
            return found

        changed: dict[str, Any] = {
            "run": _changed(commit.run, cell),
            "tasks": [_changed(task, cell) for task in commit.tasks],
            "hooks": [_changed(hook, cell) for hook in commit.hooks],
        }
        if commit.log is not None:
            changed["log"] = self._log(commit.log, cell)
        if commit.document is not None:
            digest, text = commit.document
            changed["document"] = digest, self.document(text)
        if self._keyring is not None and commit.consumed:
            changed["consumed"] = [
                replace(each, answer=self.whole(each.answer)) if each.answer else each
                for each in commit.consumed
            ]
        return replace(commit, **changed, payloads=[*commit.payloads, *brought.values()])

    def _log(self, entry: LogEntry, cell: Callable[[bytes], bytes]) -> LogEntry:
        try:
            return replace(entry, body=entry_of_cells(entry.body, cell))
        except msgspec.DecodeError:
            return replace(entry, body=self.whole(entry.body))

    def document(self, text: bytes) -> bytes:
        return self._sealed(cell_of(text, _NEVER, bytes), DOCUMENT)

    def whole(self, value: bytes) -> bytes:
        """A value that stays where it is, however large."""
        return self._sealed(cell_of(value, _NEVER, bytes), _CELL)

    def _sealed(self, cell: bytes, context: bytes) -> bytes:
        return cell if self._keyring is None else self._keyring.seal(cell, context)

    def _name(self, piece: bytes) -> bytes:
        if self._keyring is not None:
            return self._keyring.name_of(piece)
        return blake2b(piece, digest_size=32).digest()

    def _payload(self, piece: bytes, digest: bytes) -> bytes:
        packed = packed_of(piece)
        return packed if self._keyring is None else self._keyring.seal(packed, _PAYLOAD + digest)


def packed_of(piece: bytes) -> bytes:
    """Compressed if that pays: a sample from the middle says whether it is worth a try."""
    middle = max(0, len(piece) // 2 - _SAMPLE // 2)
    sample = piece[middle : middle + _SAMPLE]
    if len(zlib.compress(sample, _LEVEL)) <= _WORTH * len(sample):
        smaller = zlib.compress(piece, _LEVEL)
        if len(smaller) <= _WORTH * len(piece):
            return _ZLIB + smaller
    return _RAW + piece


def _values(commit: Commit) -> list[bytes]:
    changes = (commit.run, *commit.tasks, *commit.hooks)
    return [value for each in changes_with_values(changes) for value in values_of(each)]


def _changed(change: Any, cell: Callable[[bytes], bytes]) -> Any:
    """A copy with cells for values, or the same if it has none."""
    copied = None
    for field in PAYLOADS[type(change)]:
        value = getattr(change, field)
        if isinstance(value, bytes):
            told = cell(value)
            if told is not value:
                if copied is None:
                    copied = copy(change)
                setattr(copied, field, told)
    return change if copied is None else copied


class Unpacking:
    """With `blind` and no keyring, what is sealed stays as it is."""

    def __init__(self, keyring: Keyring | None, blind: bool) -> None:
        self._keyring = keyring
        self._blind = blind

    def keys_of(self, cells: Iterable[bytes]) -> set[str]:
        return {key_of(cell) for cell in cells if is_ciphered(cell)}

    def opened(self, cells: Collection[bytes], context: bytes) -> dict[bytes, bytes]:
        """Each cell without its seal."""
        return {cell: self._open(cell, context) for cell in set(cells)}

    def _open(self, cell: bytes, context: bytes) -> bytes:
        if not is_ciphered(cell):
            return cell
        if self._keyring is not None:
            return self._keyring.unseal(cell, context)
        if self._blind:
            return cell
        raise key_missing(key_of(cell), "no key was named")

    def references(self, opened: Iterable[bytes]) -> dict[bytes, int]:
        """Digests of the payloads that these cells refer to, with the sizes of the values."""
        return {each.digest: each.size for cell in opened for each in references_in(cell)}

    def payloads(
        self, found: Mapping[bytes, bytes], sizes: Mapping[bytes, int]
    ) -> dict[bytes, bytes]:
        return {
            digest: self._unpacked(digest, data, sizes[digest]) for digest, data in found.items()
        }

    def _unpacked(self, digest: bytes, data: bytes, size: int) -> bytes:
        packed = self._open(data, _PAYLOAD + digest)
        value = packed[1:]
        if packed[:1] == _ZLIB:
            try:
                value = zlib.decompress(value, bufsize=max(1, size))
            except zlib.error as error:
                raise unreadable(f"payload {digest.hex()} was damaged: {error}") from error
        if len(value) != size:
            raise unreadable(f"payload {digest.hex()} was damaged: it has not its {size} bytes")
        return value

    def joined(self, opened: bytes, kept: Mapping[bytes, bytes]) -> bytes:
        """The value of a cell without its seal."""
        if is_ciphered(opened):
            return opened
        try:
            return value_of(opened, kept)
        except KeyError as error:
            raise _missing(error.args[0]) from None
        except (msgspec.DecodeError, ValueError) as error:
            raise unreadable(f"a reference to a payload was damaged: {error}") from error

    def cells_of(self, body: bytes) -> list[bytes]:
        """The cells in the body of a log entry."""
        if not is_entry(body):
            return [body]
        found: list[bytes] = []

        def look(payload: bytes) -> bytes:
            if is_cell(payload):
                found.append(payload)
            return payload

        entry_of_values(body, look)
        return found

    def entry(self, body: bytes, values: Mapping[bytes, bytes]) -> bytes:
        if not is_entry(body):
            return values[body]
        return entry_of_values(body, lambda cell: values.get(cell, cell))


def _missing(digest: bytes) -> InvalidState:
    return InvalidState(
        Problem(
            "payload-missing",
            f"payload {digest.hex()}, which a row refers to, is not in the store",
            fix="the database was damaged or changed by hand: restore a backup; `aether audit verify` "
            "tells which runs are touched",
        )
    )
