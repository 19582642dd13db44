"""JSON Schema of the document kinds, for editors: made of the structs and the table of members.

A schema says less than `check`: it knows shapes and values, not what leads where.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

from .. import document as doc
from .members import RULES, Rule
from .names import LONGEST_NAME, NAME_PATTERN
from .shape import alternatives, members_of
from .types import TYPES

DURATION_PATTERN = r"^(0|[0-9]{1,6}d|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+)?$"
_TITLES = {
    "Workflow": "A workflow: templates, and the one to start with.",
    "CronWorkflow": "A workflow that runs by a schedule.",
    "WorkflowTemplate": "A workflow that is stored under name@version and referred to.",
}
_NAME: dict[str, Any] = {"pattern": NAME_PATTERN, "maxLength": LONGEST_NAME}
_EXTRA: dict[tuple[type[msgspec.Struct], str], dict[str, Any]] = {
    (doc.Metadata, "name"): _NAME,
    (doc.Task, "name"): _NAME,
    (doc.Dag, "name"): _NAME,
    (doc.Loop, "name"): _NAME,
    (doc.Dag, "tasks"): {"minItems": 1},
    (doc.Parameter, "name"): {"minLength": 1},
    (doc.Parameter, "type"): {"enum": ["", *TYPES]},
}
_WHOLE: dict[type[msgspec.Struct], dict[str, Any]] = {
    doc.Metadata: {"required": ["name"]},
    doc.Template: {"minProperties": 1, "maxProperties": 1},
    doc.Task: {"required": ["name"]},
    doc.Dag: {"required": ["name", "tasks"]},
    doc.Loop: {"required": ["name"]},
    doc.CronSpec: {"required": ["schedule", "workflowSpec"]},
    doc.WorkflowSpec: {
        "anyOf": [
            {"required": ["entrypoint", "templates"]},
            {"required": ["workflowTemplateRef"]},
        ]
    },
}


def json_schema(kind: str) -> dict[str, Any]:
    """The schema (draft 2020-12) of Workflow, CronWorkflow or WorkflowTemplate."""
    struct = doc.KINDS[kind]
    definitions: dict[str, Any] = {}
    envelope = _struct(struct, definitions)
    envelope["properties"]["kind"] = {"const": kind, "description": f"Always {kind}."}
    envelope["required"] = ["apiVersion", "kind", "metadata", "spec"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{doc.API_VERSION} {kind}",
        "description": _TITLES[kind],
        **envelope,
        "$defs": dict(sorted(definitions.items())),
    }


def _struct(struct: type[msgspec.Struct], definitions: dict[str, Any]) -> dict[str, Any]:
    rules = RULES[struct]
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, member in members_of(struct).items():
        schema = _types(member.type, definitions)
        schema |= _rule(rules[member.attribute])
        schema |= _EXTRA.get((struct, member.attribute), {})
        properties[name] = schema
        if member.required:
            required.append(name)
    made: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    if required:
        made["required"] = required
    return made | _WHOLE.get(struct, {})


def _rule(rule: Rule) -> dict[str, Any]:
    made: dict[str, Any] = {"description": rule.meaning}
    if rule.choices:
        made["enum"] = list(rule.choices)
    if rule.least is not None:
        made["minimum"] = rule.least
    if rule.most is not None:
        made["maximum"] = rule.most
    if rule.duration:
        made["pattern"] = DURATION_PATTERN
    return made


def _types(kind: inspect.Type, definitions: dict[str, Any]) -> dict[str, Any]:
    options = [_type(option, definitions) for option in alternatives(kind)]
    return options[0] if len(options) == 1 else {"anyOf": options}


def _type(kind: inspect.Type, definitions: dict[str, Any]) -> dict[str, Any]:
    match kind:
        case inspect.StrType():
            return {"type": "string"}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType():
            return {"type": "integer"}
        case inspect.FloatType():
            return {"type": "number"}
        case inspect.VarTupleType():
            return {"type": "array", "items": _types(kind.item_type, definitions)}
        case inspect.DictType():
            return {
                "type": "object",
                "additionalProperties": _types(kind.value_type, definitions),
            }
        case inspect.StructType():
            name = kind.cls.__name__
            if name not in definitions:
                definitions[name] = {}
                definitions[name] = _struct(kind.cls, definitions)
            return {"$ref": f"#/$defs/{name}"}
        case _:
            return {}
