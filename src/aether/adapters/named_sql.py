"""Statements that stand in .sql files under names: `-- name: what it is for` begins one.

In: the text of a file. Out: statements by name. Never: text made from values, or a dialect.
"""

from __future__ import annotations

import re

_HEAD = re.compile(r"-- (\w+): .+")


def read_statements(text: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if head := _HEAD.fullmatch(line):
            lines = found.setdefault(head[1], [])
        elif line:
            lines.append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}
