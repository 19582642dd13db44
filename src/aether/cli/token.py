"""`aether token`: who may use a server, as what, and until when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ..adapters.chance import SystemChance
from ..adapters.clock import SystemClock
from ..document import parse_micros
from ..engine import moment
from ..errors import Problem, Refused
from ..server.http import ROLES
from ..server.tokens import Token, Tokens
from . import configuration, exits
from .configuration import config_option
from .inspection import echo_json
from .result import instant_text
from .serving import token_file


def token_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Which file of tokens."""
    function = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)
    function = config_option(function)
    function = click.option("--tokens", metavar="FILE", help="The file of tokens.")(function)
    return click.option(
        "--db", metavar="URL|PATH", help="The server's database; its tokens lie beside it."
    )(function)


def _opened(db: str | None, tokens: str | None, config: str | None) -> Tokens:
    flags = {"server.db_path": db, "security.tokens": tokens}
    return Tokens(token_file(configuration.load(flags, config)))


@click.group(short_help="Create, list and revoke the tokens of a server.")
def command() -> None:
    """The tokens of a server. From the first one on nobody comes in without."""


@command.command()
@click.argument("name", default="admin")
@click.option(
    "--role",
    type=click.Choice(list(ROLES)),
    required=True,
    help="What it may do; see docs/server.md.",
)
@click.option(
    "--expires", metavar="DURATION", help="How long it is good: 90d, 12h.  [default: for ever]"
)
@click.option(
    "--namespace", "namespaces", multiple=True, metavar="NAME", help="Only this namespace."
)
@click.option("--values", is_flag=True, help="May see inputs and outputs, whatever its role.")
@token_options
def create(
    name: str,
    role: str,
    expires: str | None,
    namespaces: tuple[str, ...],
    values: bool,
    db: str | None,
    tokens: str | None,
    config: str | None,
    as_json: bool,
) -> int:
    """Make a token and print it, this once: only its hash is kept."""
    now = SystemClock().now()
    ends = None
    if expires:
        length = parse_micros(expires)
        if not length:
            raise Refused(
                Problem(
                    "bad-argument",
                    f"`--expires {expires}` is no duration",
                    fix="write --expires 90d",
                )
            )
        ends = now + length
    opened = _opened(db, tokens, config)
    token, text = opened.create(
        SystemChance(),
        name=name,
        role=role,
        now=now,
        namespaces=namespaces,
        values=values,
        expires_at=ends,
    )
    if as_json:
        echo_json({"token": text, "tokenId": token.token_id, "file": str(opened.path)})
    else:
        click.echo(text)
        click.echo(f"{token.token_id}: {role} '{name}', kept as a hash in {opened.path}", err=True)
    return exits.OK


@command.command(name="list")
@token_options
def show(db: str | None, tokens: str | None, config: str | None, as_json: bool) -> int:
    """List tokens, without their secrets."""
    now = SystemClock().now()
    found = _opened(db, tokens, config).all()
    if as_json:
        echo_json([_plain(token, now) for token in found])
        return exits.OK
    for token in found:
        row = _plain(token, now)
        where = ", ".join(token.namespaces) or "all namespaces"
        click.echo(
            f"{token.token_id}  {token.role:<9}  {row['state']:<8}  {token.name}  ({where})"
            + (f"  until {row['expiresAt']}" if row["expiresAt"] else "")
        )
    if not found:
        click.echo("no tokens: nobody needs one")
    return exits.OK


@command.command()
@click.argument("which")
@token_options
def revoke(
    which: str, db: str | None, tokens: str | None, config: str | None, as_json: bool
) -> int:
    """Revoke the token with this id or name. It opens nothing from now on."""
    token = _opened(db, tokens, config).revoke(which, SystemClock().now())
    if as_json:
        echo_json({"tokenId": token.token_id})
    else:
        click.echo(f"revoked {token.token_id} '{token.name}'")
    return exits.OK


def _plain(token: Token, now: int) -> dict[str, Any]:
    state = (
        "revoked" if token.revoked_at is not None else "good" if token.is_good(now) else "expired"
    )
    return {
        "tokenId": token.token_id,
        "name": token.name,
        "role": token.role,
        "namespaces": token.namespaces,
        "values": token.values,
        "state": state,
        "createdAt": instant_text(moment(token.created_at)),
        "expiresAt": "" if token.expires_at is None else instant_text(moment(token.expires_at)),
    }
