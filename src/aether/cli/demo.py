"""`aether demo`: a server, a first workflow on it, its result, and the address to look at."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import click

from ..document import load
from ..errors import Problem, Refused, Where
from ..ports import Execution
from ..server.settings import Settings
from . import configuration, drive, exits, output
from .progress import progress
from .serving import Serving, serve

_PORT = 7234


@click.command(short_help="Serve, run a first workflow, and say where to look.")
@click.argument("file", required=False)
@click.option(
    "--http-port", type=int, metavar="PORT", help="[default: 7234, or another that is free]"
)
@click.option("--db", metavar="URL|PATH", help="Where runs are kept.  [default: ./data/aether.db]")
@click.option(
    "--stay/--no-stay", default=None,
    help="Serve on until Ctrl-C.  [default: if the output is a terminal]",
)  # fmt: skip
def command(file: str | None, http_port: int | None, db: str | None, stay: bool | None) -> int:
    """Start a server, run FILE on it (a small workflow of our own unless one is given), print the result
    and the address of its page."""
    text = _read(file)
    stays = sys.stdout.isatty() if stay is None else stay
    ended: list[Execution] = []
    asyncio.run(_demo(_settings(http_port, db), text, file, stays, ended))
    return exits.of_phase(ended[0].status) if ended else exits.INVALID


async def _demo(
    settings: Callable[[int], Settings],
    text: bytes,
    file: str | None,
    stays: bool,
    ended: list[Execution],
) -> None:
    """On the usual port, or on any that is free."""
    over = asyncio.Event()
    shown: list[asyncio.Task[None]] = []

    def ready(server: Serving) -> None:
        shown.append(asyncio.create_task(_show(server, text, file, ended, over, stays)))

    try:
        await serve(settings(_PORT), ready, until=None if stays else over)
    except Refused as refused:
        if refused.code != "port-taken" or settings(0).number("server.http_port"):
            raise
        await serve(settings(0), ready, until=None if stays else over)
    for task in shown:
        await task


async def _show(
    server: Serving,
    text: bytes,
    file: str | None,
    ended: list[Execution],
    over: asyncio.Event,
    stays: bool,
) -> None:
    address = f"http://{server.host}:{server.ports['http']}"
    try:
        run_id = await server.app.submit(load(text, file or "demo.yaml"))
        with progress() as show:
            execution = await drive.follow(server.app.engine, run_id, show=show)
        ended.append(execution)
        output.print_run(execution)
        click.echo(f"look at it    {address}/pages/runs/{run_id}")
        click.echo(f"all runs      {address}")
        if stays:
            click.echo("Ctrl-C stops the server; what it has run stays stored.")
        else:
            click.echo("The server stops now; `aether serve` starts it again over the same runs.")
    except Refused as refused:
        click.echo(str(refused), err=True)
    finally:
        over.set()


def _settings(http_port: int | None, db: str | None) -> Callable[[int], Settings]:
    def make(usual: int) -> Settings:
        flags = {
            "server.http_port": usual if http_port is None else http_port,
            "server.db_path": db,
            "metrics.enabled": False,
        }
        return configuration.load(flags, None)

    return make


def _read(file: str | None) -> bytes:
    path = Path(__file__).with_name("demo.yaml") if file is None else Path(file)
    try:
        return path.read_bytes()
    except OSError as exc:
        raise Refused(
            Problem(
                "file-unreadable",
                f"cannot read the file: {exc.strerror or exc}",
                Where(file=str(path)),
                "give the path of a file that exists and can be read",
            )
        ) from exc
