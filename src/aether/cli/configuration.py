"""Finding the configuration file, and reading it with flags and environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from ..errors import Problem, Refused, Where
from ..server.settings import FILE, FILE_VARIABLE, Settings, resolve


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--config", metavar="FILE",
        help=f"The configuration.  [default: {FILE_VARIABLE}, else {FILE} if there is one]",
    )(function)  # fmt: skip


def load(flags: Mapping[str, Any], config: str | None) -> Settings:
    """Raises Refused with every problem of the file; also for one that was named and cannot be read."""
    named = config or os.environ.get(FILE_VARIABLE, "")
    path = Path(named or FILE)
    text = ""
    if named or path.exists():
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise Refused(
                Problem(
                    "file-unreadable",
                    f"cannot read the configuration: {exc}",
                    Where(file=str(path)),
                    "give the path of a file that exists and can be read",
                )
            ) from exc
    return resolve(flags, os.environ, text, str(path))
