"""`aether schema`: the JSON Schema of a document kind, on standard output."""

from __future__ import annotations

import json

import click

from ..document import KINDS
from ..validate import json_schema
from . import exits


@click.command(short_help="Print the JSON Schema of a document kind, for editors.")
@click.argument("kind", type=click.Choice(list(KINDS), case_sensitive=False), default="Workflow")
def command(kind: str) -> int:
    """Print the JSON Schema (draft 2020-12) of KIND, which is Workflow when left out.

    Editors use it to complete and check documents while they are written.
    """
    click.echo(schema_text(kind), nl=False)
    return exits.OK


def schema_text(kind: str) -> str:
    """The text that is published under `docs/schema/`."""
    return json.dumps(json_schema(kind), indent=2, ensure_ascii=False) + "\n"
