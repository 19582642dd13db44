"""Documents that refer to stored templates become self-contained."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from aether.document import CronWorkflow, TemplateRef, Workflow, WorkflowTemplate
from aether.errors import InvalidDocument
from aether.expr import CelEvaluator
from aether.validate import check, references, resolve


def document(kind: str, spec: dict[str, Any], name: str = "doc", version: str = "") -> Any:
    metadata = {"name": name} | ({"version": version} if version else {})
    tree = {"apiVersion": "aether/v1", "kind": kind, "metadata": metadata, "spec": spec}
    return check(tree, evaluator=CelEvaluator()).document


def stored(*templates: WorkflowTemplate) -> dict[tuple[str, str], WorkflowTemplate]:
    found = {}
    for template in templates:
        found[template.metadata.name, template.metadata.version] = template
        found[template.metadata.name, ""] = template
    return found


def workflow(*nodes: dict[str, Any], **spec: Any) -> Any:
    main = {"dag": {"name": "main", "tasks": list(nodes)}}
    return document("Workflow", {"entrypoint": "main", "templates": [main], **spec})


def plain(part: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(part))


TASK = {"task": {"name": "t", "executor": {"type": "e"}}}
SIMPLE = document("WorkflowTemplate", {"entrypoint": "t", "templates": [TASK]}, "simple", "1")
PIPE = document(
    "WorkflowTemplate",
    {
        "entrypoint": "main",
        "timeout": "5m",
        "priority": 7,
        "arguments": {"parameters": [{"name": "day", "type": "string", "value": "mon"}]},
        "templates": [
            {
                "dag": {
                    "name": "main",
                    "tasks": [
                        {
                            "name": "a",
                            "template": "inner",
                            "when": "workflow.parameters.day != 'sun'",
                            "hooks": {"onExit": {"template": "note"}},
                        }
                    ],
                }
            },
            {
                "loop": {
                    "name": "inner",
                    "items": ["{{workflow.arguments.parameters.day}}"],
                    "body": "note",
                }
            },
            {"task": {"name": "note", "executor": {"type": "e"}}},
        ],
    },
    "pipe",
    "2",
)


def test_references_are_found_once_each_in_the_order_of_the_text() -> None:
    document_ = workflow(
        {"name": "a", "templateRef": {"name": "x"}},
        {"name": "b", "templateRef": {"name": "y", "version": "1"}},
        {"name": "c", "templateRef": {"name": "x"}},
    )
    assert references(document_) == [TemplateRef(name="x"), TemplateRef(name="y", version="1")]


def test_document_without_references_stays_as_it_is() -> None:
    document_ = workflow({"name": "a", "executor": {"type": "e"}})
    assert resolve(document_, {}) is document_


def test_node_calls_the_copy_under_its_internal_name() -> None:
    resolved = resolve(workflow({"name": "a", "templateRef": {"name": "simple"}}), stored(SIMPLE))
    assert plain(resolved.spec.templates) == [
        {"dag": {"name": "main", "tasks": [{"name": "a", "template": "simple@1/t"}]}},
        {"task": {"name": "simple@1/t", "executor": {"type": "e"}}},
    ]
    assert references(resolved) == []


def test_template_referred_to_twice_is_copied_once() -> None:
    resolved = resolve(
        workflow(
            {"name": "a", "templateRef": {"name": "simple"}},
            {"name": "b", "templateRef": {"name": "simple", "version": "1"}},
        ),
        stored(SIMPLE),
    )
    assert [t.body.name for t in resolved.spec.templates] == ["main", "simple@1/t"]


def test_arguments_of_a_stored_document_are_handed_down_as_inputs() -> None:
    call = {"parameters": [{"name": "day", "value": "tue"}]}
    resolved = resolve(
        workflow({"name": "a", "templateRef": {"name": "pipe"}, "arguments": call}), stored(PIPE)
    )
    caller, main, inner, note = plain(resolved.spec.templates)
    given = {"name": "workflow.day", "value": "tue"}
    declared = {"name": "workflow.day", "type": "string", "default": "mon"}
    passed = {
        "name": "workflow.day",
        "valueFrom": {"parameter": "inputs.parameters.workflow.day"},
    }
    assert caller["dag"]["tasks"][0]["arguments"]["parameters"] == [given]
    assert main["dag"]["inputs"]["parameters"] == [declared]
    node = main["dag"]["tasks"][0]
    assert node["when"] == "inputs.parameters.workflow.day != 'sun'"
    assert node["template"] == "pipe@2/inner"
    assert node["hooks"] == {"onExit": {"template": "pipe@2/note"}}
    assert node["arguments"]["parameters"] == [passed]
    assert inner["loop"]["items"] == ["{{inputs.parameters.workflow.day}}"]
    assert inner["loop"]["body"] == "pipe@2/note"
    assert note == {"task": {"name": "pipe@2/note", "executor": {"type": "e"}}}


def test_whole_spec_takes_the_stored_one_with_its_own_settings_over_it() -> None:
    spec = {
        "workflowTemplateRef": {"name": "pipe"},
        "priority": 9,
        "arguments": {"parameters": [{"name": "day", "value": "wed"}]},
    }
    resolved = resolve(document("Workflow", spec), stored(PIPE)).spec
    assert (resolved.entrypoint, resolved.priority, resolved.timeout) == ("main", 9, "5m")
    assert resolved.templates == PIPE.spec.templates
    assert plain(resolved.arguments) == {
        "parameters": [{"name": "day", "type": "string", "value": "wed", "default": "mon"}]
    }


def test_cron_and_loop_references_are_resolved_too() -> None:
    loop = {"loop": {"name": "main", "items": [1], "bodyRef": {"name": "simple"}}}
    spec = {"entrypoint": "main", "templates": [loop]}
    cron = document("CronWorkflow", {"schedule": "@daily", "workflowSpec": spec})
    resolved = resolve(cron, stored(SIMPLE))
    assert isinstance(resolved, CronWorkflow)
    assert plain(resolved.spec.workflow_spec.templates[0])["loop"]["body"] == "simple@1/t"


def test_stored_templates_may_refer_to_others() -> None:
    outer = document(
        "WorkflowTemplate",
        {
            "entrypoint": "m",
            "templates": [
                {"dag": {"name": "m", "tasks": [{"name": "x", "templateRef": {"name": "simple"}}]}}
            ],
        },
        "outer",
        "3",
    )
    resolved = resolve(
        workflow({"name": "a", "templateRef": {"name": "outer"}}), stored(outer, SIMPLE)
    )
    names = {t.body.name for t in resolved.spec.templates}
    assert names == {"main", "outer@3/m", "simple@1/t"}


def test_nesting_is_judged_with_everything_together() -> None:
    document_ = workflow({"name": "a", "templateRef": {"name": "pipe"}}, maxNestedDepth=2)
    with pytest.raises(InvalidDocument) as caught:
        resolve(document_, stored(PIPE))
    assert caught.value.code == "nesting-too-deep"


def test_resolving_is_repeatable_and_changes_nothing_that_is_stored() -> None:
    before = plain(PIPE)
    document_ = workflow({"name": "a", "templateRef": {"name": "pipe"}})
    assert isinstance(document_, Workflow)
    assert resolve(document_, stored(PIPE)) == resolve(document_, stored(PIPE))
    assert plain(PIPE) == before
