"""The command group. Commands are loaded when they are called, so that help costs no engine."""

from __future__ import annotations

import importlib
import sys
from difflib import get_close_matches
from typing import Any

import click

from ..errors import EngineBug, NotFound, ProblemError, StoreError
from . import exits
from .failures import Denied, Unreachable

# Name -> what help says about it. The module of that name, or of the name in MODULES, holds the click
# command as `command`.
COMMANDS = {
    "run": "Run a document and show how it goes.",
    "validate": "Check documents and report every problem of them.",
    "list": "List runs, newest first, and why they wait.",
    "status": "Say how a run stands, and why it waits.",
    "show": "Show a run's tasks with their values, now or at any step.",
    "log": "Tell a run's past, step by step.",
    "diff": "Show what two runs, or one run at two steps, differ in.",
    "continue": "Go on with runs that were left unfinished.",
    "cancel": "End a run that is under way.",
    "pause": "Hand out nothing more of a run.",
    "unpause": "Go on with a paused run.",
    "resume": "Go on with a suspended task.",
    "fork": "Begin a run from a task or step of another.",
    "retry": "Do again what did not succeed in a run.",
    "demo": "Serve, run a first workflow, and say where to look.",
    "serve": "Serve runs over HTTP, with pages and metrics.",
    "token": "Create, list and revoke the tokens of a server.",
    "sim": "Run a workflow under crashes at every step, in virtual time.",
    "config": "Show the settings of a server, and where each came from.",
    "submit": "Begin a run of a document on a server.",
    "check-deploy": "Check that code fits the runs that are under way.",
    "audit": "Verify the action log, export it, import it.",
    "db": "Look after the database: migrate, check, copy, clean up.",
    "schema": "Print the JSON Schema of a document kind, for editors.",
}

MODULES = {  # Python has other uses for these names
    "list": "runs",
    "continue": "continuation",
    "check-deploy": "deploy",
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = MODULES.get(cmd_name, cmd_name)
        command = importlib.import_module(f".{module}", __package__).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and (near := get_close_matches(args[0], COMMANDS, 1)):
            ctx.fail(f"There is no command '{args[0]}': did you mean '{near[0]}'?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"aether {version('aether-workflows')}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Durable workflows, as documents or plain Python."""


def run_cli(arguments: list[str] | None = None) -> int:
    """Runs one command line; answers the exit code. Shows problems as problems, never as tracebacks."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")  # a terminal that cannot show ✔ is no reason to fail
    try:
        code: Any = cli.main(arguments, prog_name="aether", standalone_mode=False)
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except click.ClickException as exc:
        exc.show()
        return exits.USAGE
    except click.Abort:
        click.echo("interrupted", err=True)
        return exits.INTERRUPTED
    except NotFound as exc:
        click.echo(str(exc), err=True)
        return exits.NOT_FOUND
    except Unreachable as exc:
        click.echo(str(exc), err=True)
        return exits.UNREACHABLE
    except Denied as exc:
        click.echo(str(exc), err=True)
        return exits.DENIED
    except ProblemError as exc:
        click.echo(str(exc), err=True)
        return exits.INVALID
    except StoreError as exc:
        click.echo(f"error[store]: {exc}", err=True)
        return exits.USAGE
    except EngineBug as exc:
        click.echo(f"error[bug]: {exc}", err=True)
        return exits.BUG
    return code if isinstance(code, int) else exits.OK
