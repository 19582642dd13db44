"""How much one document may hold. Each limit is refused with a Problem that names it."""

from __future__ import annotations

from ..errors import InvalidDocument, Problem, Where

JSON_BYTES = 4 * 1024 * 1024
YAML_BYTES = 512 * 1024  # YAML takes about ten times as long to read as JSON
VALUES = 110_000  # in JSON text, so that 1 MiB of anything is answered within 50 ms
TREE_VALUES = 1_000_000  # in a tree of Python objects, which its maker paid for already
YAML_VALUES = 40_000
DEPTH = 100
DIGITS = 4_300
FINDINGS = 20  # duplicate keys reported for one text


def too_large(what: str, fix: str, where: Where) -> InvalidDocument:
    return InvalidDocument(Problem("document-too-large", what, where, fix))


def too_deep(where: Where) -> InvalidDocument:
    return InvalidDocument(
        Problem(
            "document-too-deep",
            f"the document is nested deeper than {DEPTH} levels",
            where,
            "flatten the value, or pass it as text",
        )
    )


def too_many_values(limit: int, where: Where) -> InvalidDocument:
    return too_large(
        f"the document holds more than {limit:,} values",
        "pass large data by reference, for example through an artifact or itemsFrom",
        where,
    )
