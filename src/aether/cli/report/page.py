"""Puts data, style and scripts into one page, and a content security policy that fits them exactly."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from importlib import resources
from typing import Any

import msgspec

from ...ports import Execution, LogEntry
from .data import report_data

SCRIPTS = ("state.js", "graph.js", "timeline.js", "table.js", "main.js")


def report_page(
    execution: Execution,
    text: bytes | str,
    document: Any = None,
    history: Sequence[LogEntry] = (),
) -> str:
    """`text` is the document as written, `document` the same as a plain tree."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    data = report_data(execution, text, document, history)
    style = _asset("page.css")
    script = "\n".join(["'use strict';", *(_asset(name) for name in SCRIPTS)])
    parts = {
        "TITLE": html.escape(f"{execution.name}: {execution.status}"),
        "POLICY": _policy(style, script),
        "STYLE": style,
        "DATA": embedded_json(data),
        "SCRIPT": script,
    }
    # Split first, fill in afterwards: what is filled in is never looked at again.
    pieces = _asset("page.html").split("@@")
    return "".join(parts[piece] if index % 2 else piece for index, piece in enumerate(pieces))


def embedded_json(data: Any) -> str:
    """JSON that is safe inside a script element, whatever the values hold."""
    text = msgspec.json.encode(data).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src {_digest(style)}; script-src {_digest(script)}"
    )


def _digest(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")
