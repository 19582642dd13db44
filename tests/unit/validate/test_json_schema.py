"""The published JSON Schemas are current, and accept every document that the validator accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from aether.cli.schema import schema_text
from aether.document import KINDS, load
from aether.validate import json_schema

ROOT = Path(__file__).parents[3]
GOOD = sorted((ROOT / "tests/catalogue/good").iterdir())
CONFORMANCE = sorted((ROOT / "tests/conformance/examples").rglob("*.json"))


def failures(data: Any) -> list[str]:
    schema = jsonschema.Draft202012Validator(json_schema(data["kind"]))
    return [error.message for error in schema.iter_errors(data)]


@pytest.mark.parametrize("kind", KINDS)
def test_published_schema_is_current(kind: str) -> None:
    published = (ROOT / "docs/schema" / f"{kind}.json").read_text()
    assert published == schema_text(kind)
    jsonschema.Draft202012Validator.check_schema(json.loads(published))


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_good_documents_of_the_catalogue_fit_the_schema(file: Path) -> None:
    assert failures(load(file.read_bytes(), file.name).data) == []


@pytest.mark.parametrize("file", CONFORMANCE, ids=lambda file: file.stem)
def test_conformance_documents_fit_the_schema(file: Path) -> None:
    data = json.loads(file.read_bytes())
    if data.get("kind") in KINDS:
        assert failures(data) == []


@pytest.mark.parametrize(
    "change",
    [
        {"apiVersion": "aether/v2"},
        {"kind": "Job"},
        {"metadata": {"name": "Not A Name"}},
        {"spec": {"entrypoint": "t"}},
        {"spec": {"entrypoint": "t", "templates": [{}]}},
        {"spec": {"entrypoint": "t", "templates": [], "timeout": "1d12h"}},
        {"spec": {"entrypoint": "t", "templates": [], "limitz": []}},
        {"spec": {"entrypoint": "t", "templates": [], "parallelism": -1}},
    ],
)
def test_schema_refuses_what_an_editor_can_see(change: dict[str, Any]) -> None:
    good = {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "x"},
        "spec": {"entrypoint": "t", "templates": []},
    }
    schema = jsonschema.Draft202012Validator(json_schema("Workflow"))
    assert schema.is_valid(good)
    assert not schema.is_valid(good | change)


def test_every_member_says_what_it_is_for() -> None:
    for kind in KINDS:
        schema = json_schema(kind)
        for part in (schema, *schema["$defs"].values()):
            for name, member in part["properties"].items():
                assert member["description"], name
