"""Every line of docs/differences.md, tried."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aether.document import load
from aether.errors import InvalidDocument
from aether.expr import CelEvaluator
from aether.record import Field, Schema
from aether.validate import Known, check

PAGE = (Path(__file__).parents[3] / "docs/differences.md").read_text()
EVALUATOR = CelEvaluator()
Outcome = set[tuple[str, str]]


def outcome(source: Any, known: Known | None = None, evaluator: Any = EVALUATOR) -> Outcome:
    """(code, severity) of every problem."""
    try:
        problems = check(source, evaluator=evaluator, known=known or Known()).warnings
    except InvalidDocument as refused:
        problems = refused.problems
    return {(problem.code, problem.severity) for problem in problems}


def workflow(*templates: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "x"},
        "spec": {"entrypoint": "main", "templates": list(templates), **spec},
    }


def task(name: str = "main", **members: Any) -> dict[str, Any]:
    return {"task": {"name": name, "executor": {"type": "echo"}, **members}}


def dag(*nodes: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"dag": {"name": "main", "tasks": list(nodes), **members}}


def loop(**members: Any) -> dict[str, Any]:
    return {"loop": {"name": "main", "items": [1], "body": "t", **members}}


def inputs(*parameters: dict[str, Any]) -> dict[str, Any]:
    return task(inputs={"parameters": list(parameters)})


def cron(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "aether/v1",
        "kind": "CronWorkflow",
        "metadata": {"name": "x"},
        "spec": {
            "schedule": "@daily",
            "workflowSpec": {"entrypoint": "main", "templates": [task()]},
            **spec,
        },
    }


def artifact(**source: Any) -> dict[str, Any]:
    return workflow(task(inputs={"artifacts": [{"name": "a", "source": source}]}))


def loaded(text: str) -> Outcome:
    try:
        return outcome(load(text))
    except InvalidDocument as refused:
        return {(problem.code, problem.severity) for problem in refused.problems}


T = task("t")
NODE = {"name": "a", "template": "t"}
ALSO = {"name": "b", "template": "t"}
HTTP = {"main": Schema("http", inputs=(Field("url", "string", required=True),))}
CLOSED = Known(executors={"http": HTTP["main"]})


def error(code: str) -> Outcome:
    return {(code, "error")}


def warning(code: str) -> Outcome:
    return {(code, "warning")}


LINES: dict[str, tuple[Callable[[], Outcome], Outcome]] = {
    "bad-duration": (
        lambda: outcome(workflow(task(timeout="soon"))),
        error("bad-duration"),
    ),
    "literal-of-another-type": (
        lambda: outcome(workflow(inputs({"name": "a", "type": "int", "default": True}))),
        error("type-mismatch"),
    ),
    "literal-outside-enum": (
        lambda: outcome(workflow(inputs({"name": "a", "enum": ["x"], "value": "y"}))),
        error("not-in-enum"),
    ),
    "unknown-parameter-type": (
        lambda: outcome(workflow(inputs({"name": "a", "type": "date"}))),
        error("unknown-type"),
    ),
    "unknown-member": (lambda: outcome(workflow(task(colour="red"))), error("unknown-member")),
    "member-in-another-case": (
        lambda: outcome(workflow(task(Timeout="1s"))),
        error("unknown-member"),
    ),
    "bad-expression": (
        lambda: outcome(workflow(dag({**NODE, "when": "1 +"}), T)),
        error("bad-expression"),
    ),
    "duplicate-template": (
        lambda: outcome(workflow(task(), task())),
        error("duplicate-template"),
    ),
    "duplicate-parameter": (
        lambda: outcome(workflow(inputs({"name": "a"}, {"name": "a"}))),
        error("duplicate-parameter"),
    ),
    "task-without-executor": (
        lambda: (
            outcome(workflow({"task": {"name": "main"}}))
            | outcome(
                workflow(task(), {"task": {"name": "h"}}, hooks={"onExit": {"template": "h"}})
            )
        ),
        error("no-executor") | warning("no-executor"),
    ),
    "inline-executor-without-type": (
        lambda: outcome(workflow(dag({"name": "a", "executor": {"type": ""}}))),
        error("no-executor-type"),
    ),
    "empty-entrypoints": (
        lambda: outcome(workflow(dag(NODE, entrypoints=[]), T)),
        error("empty-entrypoints"),
    ),
    "negative-number": (
        lambda: outcome(workflow(loop(concurrency=-1, maxIterations=-1, retry={"limit": -1}), T)),
        error("out-of-range"),
    ),
    "expression-without-evaluator": (
        lambda: outcome(workflow(dag({**NODE, "when": "true"}), T), evaluator=None),
        error("no-evaluator"),
    ),
    "secret-without-provider": (
        lambda: outcome(
            workflow(
                inputs({"name": "a", "valueFrom": {"secretKeyRef": {"name": "n", "key": "k"}}})
            ),
            Known(has_secrets=False),
        ),
        error("no-secret-provider"),
    ),
    "artifact-without-repository": (
        lambda: outcome(artifact(type="git"), Known(artifact_types=frozenset({"local"}))),
        error("no-artifact-repository"),
    ),
    "incomplete-artifact-source": (
        lambda: outcome(artifact(type="oss", config={"bucket": "b"})),
        error("bad-artifact"),
    ),
    "input-the-executor-does-not-know": (
        lambda: outcome(
            workflow(
                task(executor={"type": "http"}, inputs={"parameters": [{"name": "uri"}]}),
            ),
            CLOSED,
        ),
        error("executor-input-unknown") | error("executor-input-missing"),
    ),
    "cron-fields": (lambda: outcome(cron(schedule="0 25 * * *")), error("bad-schedule")),
    "cron-date-that-never-comes": (
        lambda: outcome(cron(schedule="0 0 30 2 *")),
        error("schedule-never-fires"),
    ),
    "duplicate-key": (lambda: loaded('{"kind": 1, "kind": 2}'), error("duplicate-key")),
    "number-out-of-range": (lambda: loaded('{"kind": 1e999}'), error("number-out-of-range")),
    "too-large": (
        lambda: loaded('"' + "x" * 5_000_000 + '"') | loaded("[" * 101 + "]" * 101),
        error("document-too-large") | error("document-too-deep"),
    ),
    "unknown-executor": (
        lambda: outcome(workflow(task()), Known(executors={})),
        warning("unknown-executor"),
    ),
    "undeclared-argument": (
        lambda: outcome(
            workflow(dag({**NODE, "arguments": {"parameters": [{"name": "p", "value": 1}]}}), T)
        ),
        warning("undeclared-argument"),
    ),
    "unused-template": (lambda: outcome(workflow(task(), T)), warning("unused-template")),
    "unknown-reference": (
        lambda: outcome(
            workflow(inputs({"name": "a", "valueFrom": {"parameter": "workflow.parameters.p"}}))
        ),
        warning("unknown-reference"),
    ),
    "not-upstream": (
        lambda: outcome(workflow(dag(NODE, {**ALSO, "when": "tasks.a.code == 0"}), T)),
        warning("not-upstream"),
    ),
    "unknown-namespace": (
        lambda: outcome(
            workflow(dag({**NODE, "when": "system.os == 'linux'"}), T),
            Known(namespaces=frozenset()),
        ),
        warning("unknown-namespace"),
    ),
    "unknown-placeholder": (
        lambda: outcome(
            workflow(inputs({"name": "a", "value": "{{name}}"})), Known(namespaces=frozenset())
        ),
        warning("unknown-placeholder"),
    ),
    "ignored-member": (lambda: outcome(workflow(task(when="true"))), warning("ignored-member")),
    "node-never-runs": (
        lambda: outcome(workflow(dag(NODE, {**ALSO, "dependencies": ["a"]}, entrypoints="b"), T)),
        warning("node-never-runs"),
    ),
    "timeouts-without-watcher": (
        lambda: outcome(workflow(task(timeout="1s")), Known(has_timeouts=False)),
        warning("no-timeout-watcher"),
    ),
    "history-limit-zero": (
        lambda: outcome(cron(successfulJobsHistoryLimit=0, failedJobsHistoryLimit=0)),
        set(),
    ),
    "yaml": (
        lambda: loaded(
            "apiVersion: aether/v1\nkind: Workflow\nmetadata: {name: x}\n"
            "spec: {entrypoint: t, templates: [{task: {name: t, executor: {type: e}}}]}\n"
        ),
        set(),
    ),
    "null-is-absent": (
        lambda: outcome(workflow(task(timeout=None, inputs=None, retry={"limit": None}))),
        set(),
    ),
    "empty-hook": (lambda: outcome(workflow(task(), hooks={"onExit": {"template": ""}})), set()),
    "labels-are-free": (
        lambda: outcome(
            workflow(task()) | {"metadata": {"name": "x", "labels": {"A b": "{{x}} {{ 1 +"}}}
        ),
        set(),
    ),
    "outputs-are-free": (
        lambda: outcome(workflow(task(outputs={"parameters": [{"name": "Never Comes"}]}))),
        set(),
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_difference(line: str) -> None:
    tried, expected = LINES[line]
    assert tried() == expected


def test_every_line_of_the_page_is_tried() -> None:
    assert re.findall(r"^\* \*\*([a-z-]+)\*\*:", PAGE, re.MULTILINE) == list(LINES)


def test_lenient_makes_unknown_members_warnings() -> None:
    checked = check(workflow(task(colour="red")), lenient=True)
    assert [warning.code for warning in checked.warnings] == ["unknown-member"]
    assert b"colour" not in checked.text
