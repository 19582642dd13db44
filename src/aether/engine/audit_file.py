"""A run as a file of JSON lines: its log, to be kept elsewhere or read into another store.

In: a store, or lines. Out: lines, or the run in another store, row for row as it was. Never: a file that
was changed taken for whole: the chain is verified on the way out and on the way in.

The first line tells format, run and document, every other one an entry of the log: its body in base64,
which is what counts, and its changes for people and programs to read.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET

from ..errors import InvalidState, NotFound, Problem, Refused, Where
from ..ports import LogEntry, Store
from ..record import Change, Link, RunRows, apply, check_entry, check_head, decode_changes
from .chain_check import Verdict, digest_of, read_log, verify_run
from .transfer import Moving, is_half, write_runs

VERSION = 1


class Header(msgspec.Struct, kw_only=True, rename="camel"):
    """The first line. Hashes are hexadecimal."""

    format: str = "aether-audit"
    version: int = VERSION
    run_id: str
    seq: int
    head: str
    signature: str = ""
    document: str
    """The text of the document, byte for byte: its hash stands in the first entry."""


class Line(msgspec.Struct, kw_only=True):
    """`changes` are for reading; an import looks at `body` alone."""

    seq: int
    at: int
    body: str
    changes: list[dict[str, Any]] = []


async def export_lines(store: Store, run_id: str) -> AsyncIterator[bytes]:
    """The lines of a run. Raises NotFound, `no-log`, and `audit-broken` when its log does not hold."""
    verdict = await verify_run(store, run_id)
    if not verdict.holds:
        raise _broken(verdict)
    assert verdict.document is not None, "a log that holds has a run that names its document"
    text = await store.document(verdict.document)
    if text is None:
        raise NotFound(Problem("run-not-found", f"run {run_id} was deleted meanwhile"))
    header = Header(
        run_id=run_id,
        seq=verdict.seq,
        head=verdict.head.hex(),
        signature=verdict.signature.hex(),
        document=text.decode(),
    )
    yield msgspec.json.encode(header)
    async for entry in read_log(store, run_id, verdict.seq):
        yield msgspec.json.encode(
            Line(
                seq=entry.seq,
                at=entry.at,
                body=base64.b64encode(entry.body).decode(),
                changes=[_readable(change) for change in decode_changes(entry.body)],
            )
        )


async def import_lines(store: Store, lines: Iterable[bytes], file: str = "") -> Header:
    """Bring the run of an exported file into `store`, whole or not at all; a run that is there at the
    same head already stays as it is.

    Raises Refused `bad-audit-file` for what is no such file or was changed, `run-exists` for a run of
    that id at another head, and `run-active` for one that is not over: two engines would go on with it.
    """
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    header = _header(numbered, file)
    head, signature = _hex(header.head, file), _hex(header.signature, file)
    there = await store.run(header.run_id)
    if there is not None and (there.seq, there.head) == (header.seq, head):
        return header
    rows, entries = _verified(header, head, numbered, file)
    _must_be_over(rows, file)
    rows.run.head, rows.run.signature = head, signature
    if there is not None and not is_half(there):
        raise _exists(header, f"at step {there.seq} with another head", file)
    if there is not None:
        await store.delete(header.run_id)
    failed = await write_runs(store, [Moving(rows, header.document.encode(), _one_by_one(entries))])
    if failed:
        raise _exists(header, failed[header.run_id], file)
    return header


def read_lines(lines: Iterable[bytes], file: str = "") -> RunRows:
    """The run in an exported file, as it stood. Raises Refused `bad-audit-file` for what was changed."""
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    header = _header(numbered, file)
    return _verified(header, _hex(header.head, file), numbered, file)[0]


def _header(numbered: Iterator[tuple[int, bytes]], file: str) -> Header:
    number, line = next(numbered, (1, b""))
    try:
        header = msgspec.json.decode(line, type=Header)
    except msgspec.DecodeError as error:
        raise _bad(f"it does not begin with a header: {error}", file, number) from error
    if header.format != "aether-audit" or header.version != VERSION:
        what = f"it says {header.format} {header.version}, and aether-audit {VERSION} is known here"
        raise _bad(what, file, number)
    return header


def _verified(
    header: Header, head: bytes, numbered: Iterator[tuple[int, bytes]], file: str
) -> tuple[RunRows, list[LogEntry]]:
    """The rows and the log in the file, once everything about them holds."""
    link = Link()
    rows: RunRows | None = None
    entries: list[LogEntry] = []
    for number, text in numbered:
        try:
            line = msgspec.json.decode(text, type=Line)
            entry = LogEntry(line.seq, line.at, base64.b64decode(line.body, validate=True))
        except (msgspec.DecodeError, binascii.Error) as error:
            raise _bad(f"it is no entry of a log: {error}", file, number) from error
        link, fault = check_entry(link, entry.seq, entry.at, entry.body)
        if fault:
            raise _bad(fault, file, number)
        try:
            for change in decode_changes(entry.body):
                rows = apply(rows, change)
        except (KeyError, AssertionError) as error:
            raise _bad(f"entry {entry.seq} cannot be followed", file, number) from error
        entries.append(entry)
    if fault := check_head(link, header.seq, head):
        raise _bad(fault, file)
    if rows is None or rows.run.run_id != header.run_id:
        raise _bad("its entries are those of another run, or there are none", file)
    if digest_of(header.document.encode()) != rows.run.document:
        raise _bad("the document was changed", file, 1)
    return rows, entries


def _must_be_over(rows: RunRows, file: str) -> None:
    run = rows.run
    if run.phase.is_terminal and all(hook.phase.is_terminal for hook in rows.hooks.values()):
        return
    state = f"is {run.phase}" if not run.phase.is_terminal else "has hooks that are not over"
    raise Refused(
        Problem(
            "run-active",
            f"run {run.run_id} {state}: an engine on this store would go on with it too",
            Where(file=file),
            "export it when it is over; whole stores move with `aether db export`",
        )
    )


async def _one_by_one(entries: Iterable[LogEntry]) -> AsyncIterator[LogEntry]:
    for entry in entries:
        yield entry


def _readable(change: Change) -> dict[str, Any]:
    """A change as JSON. Payloads that are JSON stand there as such, other bytes as hexadecimal."""
    told: dict[str, Any] = {"change": change.__struct_config__.tag}
    for name in change.__struct_fields__:
        value = getattr(change, name)
        if value is UNSET or value == _default(type(change), name):
            continue
        told[name] = _plain(value) if isinstance(value, bytes) else value
    return told


def _default(kind: type, name: str) -> Any:
    field = next(each for each in msgspec.structs.fields(kind) if each.name == name)
    return field.default


def _plain(value: bytes) -> Any:
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return value.hex()


def _hex(text: str, file: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise _bad("a hash is no hexadecimal number", file, 1) from error


def _bad(what: str, file: str, line: int = 0) -> Refused:
    return Refused(
        Problem(
            "bad-audit-file",
            f"this file cannot be taken for the log of a run: {what}",
            Where(file=file, line=line),
            "export the run again with `aether audit export`; nothing was imported",
        )
    )


def _exists(header: Header, why: str, file: str) -> Refused:
    return Refused(
        Problem(
            "run-exists",
            f"there is a run {header.run_id} in this store already: {why}",
            Where(file=file),
            "import into another store, or delete that run first",
        )
    )


def _broken(verdict: Verdict) -> InvalidState:
    return InvalidState(
        Problem(
            "audit-broken",
            f"the log of run {verdict.run_id} does not hold: {'; '.join(verdict.faults[:3])}",
            fix="look with `aether audit verify`, and restore a backup; to keep what there is, copy "
            "the database",
        )
    )
