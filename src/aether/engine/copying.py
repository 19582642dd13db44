"""Everything in one store brought into another: runs with their logs, documents, templates, crons, schemas.

In: two open stores. Out: the second holds what the first does, and what does not hold is told. Never: a
change in the first, a run overwritten that is not an earlier copy, or a rule about phases.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec
from msgspec.structs import replace

from ..errors import TokenMismatch
from ..ports import LogEntry, RunQuery, Store
from ..record import RunRow, RunRows, head_of
from .chain_check import read_log, verify_run
from .transfer import Moving, is_half, write_runs

_TOGETHER = 64
"""Runs that are written side by side: their entries share transactions."""

Advance = Callable[[int], None]


class Copied(msgspec.Struct, kw_only=True):
    """`skipped` runs were there already. `faults` is empty when everything was copied and holds."""

    runs: int = 0
    copied: int = 0
    skipped: int = 0
    verified: int = 0
    templates: int = 0
    crons: int = 0
    schemas: int = 0
    faults: list[str] = []


def _quietly(n: int) -> None:
    """Nobody watches."""


async def copy_store(source: Store, target: Store, advance: Advance = _quietly) -> Copied:
    """Bring all of `source` into `target`, which may hold a part of it already: what is there is left,
    what was left half written or has gone on since is written anew. No engine may serve `target`."""
    copied = Copied()
    async for page in _pages(source):
        await _copy_runs(source, target, page, copied)
        copied.runs += len(page)
        advance(len(page))
    for template in await source.templates():
        copied.templates += 1
        there = await target.template(template.name, template.version)
        if there is None:
            await target.put_template(template)
    for schema in await source.schemas():
        copied.schemas += 1
        await target.put_schema(schema)
    for cron in await source.crons():
        copied.crons += 1
        held = await target.cron(cron.cron_id)
        if held is None or replace(held, token=0) != replace(cron, token=0):
            try:
                await target.put_cron(cron, None if held is None else held.token)
            except TokenMismatch:
                copied.faults.append(f"cron {cron.cron_id}: somebody else writes it in the target")
    return copied


async def verify_copy(
    source: Store, target: Store, copied: Copied, advance: Advance = _quietly
) -> None:
    """Hold every row of `target` against `source`, and verify the log of each run; what does not hold
    joins the faults."""
    logged = source.keeps_log and target.keeps_log
    async for page in _pages(source):
        ids = [run.run_id for run in page]
        for run_id, a, b in zip(ids, await source.load(ids), await target.load(ids), strict=True):
            if a is None:
                continue  # it was deleted since
            fault = _difference(a, b)
            if not fault and logged and a.run.head:  # without a head, no log was kept of it
                fault = "; ".join((await verify_run(target, run_id)).faults[:3])
            if fault:
                copied.faults.append(f"run {run_id}: {fault}")
            else:
                copied.verified += 1
        advance(len(page))
    copied.faults += await _compare_definitions(source, target)


async def _pages(store: Store) -> AsyncIterator[Sequence[RunRow]]:
    query = RunQuery(newest_first=False, limit=_TOGETHER)
    while True:
        page = await store.runs(query)
        yield page.runs
        if not page.cursor:
            return
        query = msgspec.structs.replace(query, after=page.cursor)


async def _copy_runs(source: Store, target: Store, page: Sequence[RunRow], copied: Copied) -> None:
    ids = [run.run_id for run in page]
    held = await asyncio.gather(*(target.run(run_id) for run_id in ids))
    wanted: list[str] = []
    for run, there in zip(page, held, strict=True):
        if there is None:
            wanted.append(run.run_id)
        elif _same_point(run, there):
            copied.skipped += 1
        elif is_half(there) or await _is_earlier(source, run, there):
            await target.delete(run.run_id)
            wanted.append(run.run_id)
        else:
            copied.faults.append(f"run {run.run_id}: the target holds another run of that id")
    moving = await _read(source, wanted, copied)
    while moving:
        # A fork follows its origin, whose log it shares, into the target.
        left = {each.rows.run.run_id for each in moving}
        now = [each for each in moving if _origin_id(each) not in left]
        now = now or moving
        for each in now:
            await _share(source, target, each)
        failed = await write_runs(target, now)
        copied.copied += len(now) - len(failed)
        copied.faults += [f"run {run_id}: {why}" for run_id, why in failed.items()]
        moving = [each for each in moving if each not in now]


def _origin_id(moving: Moving) -> str:
    origin = moving.rows.run.origin
    return "" if origin is None else origin.run_id


async def _share(source: Store, target: Store, moving: Moving) -> None:
    """Write only the fork's own entries, if those before are the ones that its origin has in the target."""
    run = moving.rows.run
    if run.origin is None or not (source.keeps_log and target.keeps_log):
        return
    seq = run.origin.seq
    there = await target.history(run.origin.run_id, seq - 1, 1) if seq else ()
    here = await source.history(run.run_id, seq - 1, 1) if seq else ()
    if there and here and there[0].seq == seq and there[0] == here[0]:
        moving.shares = True
        moving.entries = read_log(source, run.run_id, run.seq, after=seq)


def _same_point(run: RunRow, there: RunRow) -> bool:
    return (run.seq, run.head, run.created_at, run.phase) == (
        there.seq,
        there.head,
        there.created_at,
        there.phase,
    )


async def _is_earlier(source: Store, run: RunRow, there: RunRow) -> bool:
    """Whether `there` is the run as it once was in the source, and not another one of that id."""
    if there.created_at != run.created_at or there.seq >= run.seq:
        return False
    if not there.head:
        return not run.head
    entries = await source.history(run.run_id, there.seq - 1, 1)
    return bool(entries) and entries[0].seq == there.seq and _head(entries[0]) == there.head


def _head(entry: LogEntry) -> bytes:
    try:
        return head_of(entry.body)
    except (msgspec.DecodeError, ValueError):
        return b""


async def _read(source: Store, ids: Sequence[str], copied: Copied) -> list[Moving]:
    moving: list[Moving] = []
    texts: dict[bytes, bytes | None] = {}
    for rows in await source.load(ids) if ids else ():
        if rows is None:
            continue  # it was deleted since the page was read
        digest = rows.run.document
        if digest not in texts:
            texts[digest] = await source.document(digest)
        text = texts[digest]
        if text is None:
            copied.faults.append(f"run {rows.run.run_id}: its document is missing in the source")
            continue
        moving.append(Moving(rows, text, read_log(source, rows.run.run_id, rows.run.seq)))
    return moving


def _difference(a: RunRows, b: RunRows | None) -> str:
    if b is None:
        return "it is not in the target"
    if a.run.seq > b.run.seq:
        return "it has gone on in the source since it was copied; copy again"
    if (a.run.seq, a.run.head) != (b.run.seq, b.run.head):
        return f"the source is at step {a.run.seq}, the target at {b.run.seq} with another head"
    a.run.token = b.run.token
    a.run.owner, a.run.claimed = b.run.owner, b.run.claimed
    return "" if a == b else "its rows in the target differ from those in the source"


async def _compare_definitions(source: Store, target: Store) -> list[str]:
    templates = {(each.name, each.version): each for each in await target.templates()}
    crons = {each.cron_id: replace(each, token=0) for each in await target.crons()}
    schemas = list(await target.schemas())
    return [
        *(
            f"template {each.name} {each.version} differs in the target"
            for each in await source.templates()
            if templates.get((each.name, each.version)) != each
        ),
        *(
            f"cron {each.cron_id} differs in the target"
            for each in await source.crons()
            if crons.get(each.cron_id) != replace(each, token=0)
        ),
        *(
            f"schema {each.type} of '{each.worker_id}' differs in the target"
            for each in await source.schemas()
            if each not in schemas
        ),
    ]
