"""The OpenAPI 3.1 document, made from the table of routes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from .messages import PROBLEM, ProblemView

if TYPE_CHECKING:
    from .table import Route

_REF = "#/components/schemas/{name}"
_OPEN = re.compile(r"{(\w+)}")


def openapi(routes: Iterable[Route]) -> dict[str, Any]:
    """Pages are for people and stay out."""
    shown = [route for route in routes if route.group != "pages"]
    types: list[Any] = [ProblemView]
    for route in shown:
        types += [each for each in (route.query, route.body, route.answers) if each is not None]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    by_type = {id(each): schema for each, schema in zip(types, schemas, strict=True)}
    _mend(components)
    paths: dict[str, Any] = {}
    for route in shown:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(
            route, by_type, components
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Aether",
            "version": "1",
            "summary": "Durable workflows: submit documents, start functions, follow and steer runs.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, by_type: dict[int, Any], components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.about,
        "tags": [route.group],
        "x-right": route.needs,
    }
    if route.needs == "open":
        operation["security"] = []
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _OPEN.findall(route.path)
    ]
    if route.query is not None:
        parameters += _query(components[route.query.__name__])
    if route.keyed:
        parameters.append(_header("Idempotency-Key", "Requests with the same key make one run."))
    if route.media == "text/event-stream":
        parameters.append(_header("Last-Event-ID", "Go on behind this event."))
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = _body(route, by_type[id(route.body)])
    operation["responses"] = _responses(route, by_type)
    return operation


def _query(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": False, "schema": each}
        for name, each in schema.get("properties", {}).items()
    ]


def _header(name: str, about: str) -> dict[str, Any]:
    return {
        "name": name, "in": "header", "required": False, "description": about,
        "schema": {"type": "string"},
    }  # fmt: skip


def _body(route: Route, schema: Any) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if route.takes_document:
        document = {
            "type": "object",
            "required": ["apiVersion", "kind"],
            "description": "a document of aether/v1",
        }
        content["application/json"] = {"schema": {"anyOf": [schema, document]}}
        content["application/yaml"] = {"schema": {"type": "string"}}
    required = bool(route.body is not None and _required(route.body))
    return {"required": required, "content": content}


def _required(body: type[msgspec.Struct]) -> bool:
    return any(field.required for field in msgspec.structs.fields(body))


def _responses(route: Route, by_type: dict[int, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "done"}
    if route.answers is not None:
        good["content"] = {route.media: {"schema": by_type[id(route.answers)]}}
    elif route.status != 204:
        good["content"] = {route.media: {}}
    responses = {str(route.status): good}
    if route.name == "getRunResult":
        responses["202"] = {**good, "description": "not over yet, and why"}
    if route.keyed:
        responses["200"] = {**good, "description": "made before, by a request with the same key"}
    problem = {"content": {PROBLEM: {"schema": {"$ref": _REF.format(name="ProblemView")}}}}
    responses["default"] = {"description": "a problem", **problem}
    return responses


def _mend(schemas: dict[str, Any]) -> None:
    """Descriptions are docstrings; lines of source mean nothing there."""
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = " ".join(schema["description"].split())
