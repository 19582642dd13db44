"""The pieces of documents in the how-to are what the validator takes, once they stand in a document."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pages import ROOT, Block, blocks

from aether.errors import InvalidDocument
from aether.expr import CelEvaluator
from aether.validate import check

PAGE = ROOT / "docs" / "writing-documents.md"
PIECES = [block for block in blocks(PAGE) if block.language == "yaml"]
# A piece may speak of things that stand elsewhere in the document.
ELSEWHERE = {"unknown-dependency", "unknown-template", "unknown-entrypoint", "no-templates"}


def whole(piece: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"entrypoint": "main", "templates": []}
    if isinstance(piece, dict):
        spec |= piece
    elif "name" in piece[0]:
        spec["templates"] = [{"dag": {"name": "main", "tasks": piece}}]
    else:
        spec["templates"] = piece
    return {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "piece"},
        "spec": spec,
    }


def codes(piece: Any) -> set[str]:
    try:
        check(whole(piece), evaluator=CelEvaluator())
    except InvalidDocument as refused:
        return {problem.code for problem in refused.problems if problem.severity == "error"}
    return set()


@pytest.mark.parametrize("block", PIECES, ids=lambda block: block.place)
def test_the_piece_is_valid_where_it_belongs(block: Block) -> None:
    assert codes(yaml.safe_load(block.code)) <= ELSEWHERE


def test_a_wrong_piece_would_be_found() -> None:
    assert "unknown-member" in codes([{"name": "a", "executor": {"type": "echo"}, "retries": 3}])
