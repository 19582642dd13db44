"""`aether audit`: whether the action log is as it was written, and runs as files."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import click

from ..engine import Verdict, export_lines, import_lines, run_ids, verify_run
from ..errors import NotSupported, Problem, Refused
from ..ports import Store
from . import exits
from .counting import bar, count_runs
from .inspection import (
    ENCRYPTION,
    CannotOpen,
    database_options,
    echo_json,
    find_run,
    reading,
    writable,
)


@click.group(short_help="Verify the action log, export it, import it.")
def command() -> None:
    """Look after the action log: every decision of a run, chained by hash."""


@command.command(short_help="Find what was changed, cut or taken.")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--all", "every", is_flag=True, help="Every run; the same as naming none.")
@click.option(
    "--key", "key_file", metavar="FILE",
    help="The file with the key that heads are signed with: each head must be signed by it.",
)  # fmt: skip
@database_options
def verify(
    runs: tuple[str, ...], every: bool, key_file: str | None, url: str | None, as_json: bool
) -> int:
    """Read the log of each RUN (or of all) and hold it against itself, the rows of the run and its
    document. Works beside a running engine.

    Exit code 0 if everything holds, 7 if anything does not.
    """
    if runs and every:
        raise click.UsageError("name runs or write --all, not both")
    key = read_key(key_file) if key_file is not None else None

    async def look(store: Store) -> int:
        seen = broken = silent = sealed = 0
        total = len(runs) or await count_runs(store)
        with bar("verify", total) as advance:
            async for run_id in _chosen(store, runs):
                advance(1)
                try:
                    verdict = await verify_run(store, run_id, key)
                except NotSupported:
                    if runs:
                        raise
                    silent += 1
                    continue
                seen += 1
                broken += not verdict.holds
                sealed += verdict.sealed > 0
                _tell(verdict, as_json, named=bool(runs))
        if not as_json:
            bad = f"{broken:,} of them do not hold" if broken else "every log holds"
            click.echo(f"{seen:,} {'run' if seen == 1 else 'runs'} read: {bad}")
            if sealed:
                click.echo(
                    f"of {sealed:,} the values are sealed, and {ENCRYPTION} names no key: "
                    "the chain was read, the values were not"
                )
            if silent:
                click.echo(f"{silent:,} more of another tier keep no log")
        return exits.VERIFY if broken else exits.OK

    return reading(url, look, blind=True)


async def _chosen(store: Store, runs: tuple[str, ...]) -> AsyncIterator[str]:
    for text in runs:
        yield (await find_run(store, text)).run_id
    if not runs:
        async for page in run_ids(store):
            for run_id in page:
                if await store.run(run_id) is not None:  # it may have been deleted since the page
                    yield run_id


def _tell(verdict: Verdict, as_json: bool, *, named: bool) -> None:
    if as_json:
        echo_json(
            {
                "runID": verdict.run_id,
                "seq": verdict.seq,
                "head": verdict.head.hex(),
                "holds": verdict.holds,
                "sealed": verdict.sealed,
                "faults": verdict.faults,
            }
        )
        return
    if verdict.holds:
        if named:
            sealed = f", values of {verdict.sealed} sealed" if verdict.sealed else ""
            click.echo(
                f"{verdict.run_id}: {verdict.seq} entries{sealed}, head {verdict.head.hex()}"
            )
        return
    for fault in verdict.faults:
        click.echo(click.style(f"{verdict.run_id}: ", fg="red") + fault)


@command.command(short_help="Write a run's log as JSON lines.")
@click.argument("run")
@click.option("--out", metavar="FILE", help="Where to; standard output without it.")
@database_options
def export(run: str, out: str | None, url: str | None, as_json: bool) -> int:
    """Write the log of RUN as JSON lines, for `aether audit import` and for programs of your own. A log
    that does not hold is refused. The output is JSON with and without --json."""

    async def look(store: Store) -> int:
        lines = export_lines(store, (await find_run(store, run)).run_id)
        if out is None:
            async for line in lines:
                sys.stdout.write(line.decode() + "\n")
        else:
            await _write(Path(out), lines)
        return exits.OK

    return reading(url, look)


async def _write(path: Path, lines: AsyncIterator[bytes]) -> None:
    """All of it or nothing: half a file would look like a log whose tail was cut."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            async for line in lines:
                file.write(line + b"\n")
        os.replace(part, path)
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise Refused(
            Problem(
                "file-unwritable", f"{path} cannot be written: {exc.strerror}", fix="check the path"
            )
        ) from exc
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@command.command("import", short_help="Read an exported run into a database.")
@click.argument("file")
@database_options
def import_run(file: str, url: str | None, as_json: bool) -> int:
    """Read the run in FILE into a database, row for row as it was. Nothing is written before the whole
    file was verified; a run that is there already, at the same head, stays as it is.

    No engine may have a SQLite database open meanwhile.
    """

    async def work(lines: BinaryIO) -> int:
        async with writable(url) as store:
            header = await import_lines(store, lines, file)
        if as_json:
            echo_json({"runID": header.run_id, "seq": header.seq, "head": header.head})
        else:
            click.echo(f"{header.run_id}: {header.seq} entries, head {header.head}")
        return exits.OK

    try:
        with Path(file).open("rb") as lines:
            return asyncio.run(work(lines))
    except OSError as exc:
        raise click.UsageError(f"{file} cannot be read: {exc.strerror}") from exc
    except CannotOpen as exc:
        click.echo(str(exc), err=True)
        return exits.USAGE


def read_key(file: str) -> bytes:
    """The key in a file, without the newline that editors leave at its end."""
    try:
        key = Path(file).read_bytes().rstrip(b"\r\n")
    except OSError as exc:
        raise click.UsageError(f"{file} cannot be read: {exc.strerror}") from exc
    if not key:
        raise click.UsageError(f"{file} is empty, and an empty key signs nothing")
    return key
