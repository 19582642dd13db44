"""The committed OpenAPI document is the one that the routes make."""

from __future__ import annotations

import json
from pathlib import Path

from aether.server.http import ROUTES, openapi

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_committed_document_is_that_of_the_routes() -> None:
    made = json.dumps(openapi(ROUTES), indent=1, ensure_ascii=False) + "\n"
    assert COMMITTED.read_text("utf-8") == made, (
        "write it anew: python -m aether.server.http > docs/openapi.json"
    )


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = json.loads(COMMITTED.read_text("utf-8"))
    schemas = document["components"]["schemas"]

    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [each for value in node.values() for each in references(value)]
        return (
            [each for value in node for each in references(value)] if isinstance(node, list) else []
        )

    lost = {each for each in references(document) if each.rpartition("/")[2] not in schemas}
    assert not lost


def test_operations_have_names_of_their_own() -> None:
    names = [route.name for route in ROUTES]
    assert len(set(names)) == len(names)


def test_every_route_is_on_the_page_about_rest() -> None:
    page = (COMMITTED.parent / "rest.md").read_text("utf-8")
    missing = [
        f"{route.method} {route.path}"
        for route in ROUTES
        if route.group != "pages" and f"| `{route.method} {route.path}` |" not in page
    ]
    assert not missing
