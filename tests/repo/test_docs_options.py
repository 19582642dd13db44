"""The page about `aether run` names every option that the command has."""

from __future__ import annotations

import click
from pages import ROOT

from aether.cli.run import command


def test_every_option_of_run_is_on_its_page() -> None:
    page = (ROOT / "docs" / "running-documents.md").read_text("utf-8")
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert len(options) > 10
    assert [option.opts[-1] for option in options if f"`{option.opts[0]}" not in page] == []
