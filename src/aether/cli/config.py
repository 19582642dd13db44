"""`aether config show`: every setting of a server, and where its value came from."""

from __future__ import annotations

from typing import Any

import click

from ..server.settings import SETTINGS
from . import configuration, exits
from .configuration import config_option
from .inspection import echo_json
from .serving import shown_url


@click.group(short_help="Show the settings of a server, and where each came from.")
def command() -> None:
    """What `aether serve` would go by here."""


@command.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(config: str | None, as_json: bool) -> int:
    """Show each setting with its value and where that came from."""
    settings = configuration.load({}, config)
    rows: list[dict[str, Any]] = []
    for setting in SETTINGS:
        chosen = settings.chosen[setting.key]
        value = shown_url(chosen.value) if setting.key == "server.db_path" else chosen.value
        rows.append(
            {
                "key": setting.key,
                "value": value,
                "from": chosen.origin,
                "variable": setting.variable,
            }
        )
    if as_json:
        echo_json(rows)
        return exits.OK
    for row in rows:
        value = ", ".join(row["value"]) if isinstance(row["value"], list) else str(row["value"])
        if isinstance(row["value"], bool):
            value = value.lower()
        click.echo(f"{row['key']:<20}  {value or '-':<24}  {row['from']}")
    return exits.OK
