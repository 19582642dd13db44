"""`aether serve`: one process with the engine, REST, events, pages and metrics, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable
from functools import partial
from importlib.metadata import version as version_of
from typing import Any

import click

from ..record import TIERS
from ..server import logs
from ..server.settings import Settings
from . import configuration, exits
from .configuration import config_option
from .inspection import ENCRYPTION
from .serving import Serving, serve, shown_url

_KEYS = {
    "host": "server.host",
    "http_port": "server.http_port",
    "metrics_port": "metrics.port",
    "metrics": "metrics.enabled",
    "db": "server.db_path",
    "persistence": "persistence.mode",
    "grace": "server.grace",
    "tokens": "security.tokens",
    "allow_host": "security.hosts",
    "json_logs": "logs.json",
}


@click.command(short_help="Serve runs over HTTP, with pages and metrics.")
@click.option("--host", metavar="ADDRESS", help="Where to listen.  [default: 127.0.0.1]")
@click.option("--http-port", type=int, metavar="PORT", help="REST and pages.  [default: 7234]")
@click.option("--metrics-port", type=int, metavar="PORT", help="Prometheus.  [default: 9090]")
@click.option("--metrics/--no-metrics", default=None, help="Whether there are metrics.")
@click.option("--db", metavar="URL|PATH", help="Where runs are kept.  [default: ./data/aether.db]")
@click.option(
    "--persistence", type=click.Choice(TIERS), default=None,
    help="How much of a run outlives the server.  [default: state-action-log]",
)  # fmt: skip
@click.option("--grace", metavar="DURATION", help="For running tasks at the end.  [default: 10s]")
@click.option("--tokens", metavar="FILE", help="Who may come in.  [default: beside the database]")
@click.option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    help="A name that browsers may use for the server.",
)
@click.option("--json-logs/--text-logs", "json_logs", default=None, help="How log lines look.")
@config_option
def command(config: str | None, **given: Any) -> int:
    """Serve until SIGTERM or Ctrl-C: running tasks then get their time, everything else stays stored.

    A flag counts before the environment, that before aether.toml, that before the default; `aether config
    show` says what came from where.
    """
    given["allow_host"] = given["allow_host"] or None
    flags = {_KEYS[name]: value for name, value in given.items()}
    settings = configuration.load(flags, config)
    logs.set_up(as_json=settings.is_on("logs.json"))
    version = version_of("aether-workflows")
    told = partial(_tell, settings, version)
    encryption = os.environ.get(ENCRYPTION, "")
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(settings, told, encryption=encryption, version=version))
    return exits.OK


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The faster loop, where there is one for this system."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    return new_event_loop


def _settle() -> None:
    """What lives as long as the process is not looked at again by the collector of garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _tell(settings: Settings, version: str, server: Serving) -> None:
    _settle()
    host = f"[{server.host}]" if ":" in server.host else server.host
    click.echo(f"aether {version}  {shown_url(server.url)}  {settings.text('persistence.mode')}")
    ports = server.ports
    click.echo(f"  pages and REST  http://{host}:{ports['http']}")
    if "metrics" in ports:
        click.echo(f"  metrics         http://{host}:{ports['metrics']}/metrics")
    if not server.tokens.exist():
        click.echo("  no token is needed: it can be reached from this machine alone")
