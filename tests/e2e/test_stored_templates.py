"""Stored templates inside documents: arguments go in, outputs come out."""

from __future__ import annotations

from typing import Any

import pytest

from aether import Aether, InvalidDocument


def template(entry: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "aether/v1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": "greeting", "version": "1"},
        "spec": {"entrypoint": "greet", "templates": [entry], **spec},
    }


def caller(**arguments: Any) -> dict[str, Any]:
    parameters = [{"name": name, "value": value} for name, value in arguments.items()]
    node = {
        "name": "hello",
        "templateRef": {"name": "greeting"},
        "arguments": {"parameters": parameters},
    }
    return {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "caller"},
        "spec": {"entrypoint": "main", "templates": [{"dag": {"name": "main", "tasks": [node]}}]},
    }


NAMED = {"parameters": [{"name": "name", "type": "string", "default": "World"}]}
TEXT = {"parameters": [{"name": "text", "value": "Hello, {{workflow.parameters.name}}!"}]}
TASK = {"task": {"name": "greet", "executor": {"type": "echo"}, "inputs": TEXT}}
DAG = {
    "dag": {
        "name": "greet",
        "tasks": [{"name": "say", "executor": {"type": "echo"}, "inputs": TEXT}],
        "outputs": {
            "parameters": [
                {"name": "text", "valueFrom": {"parameter": "tasks.say.outputs.parameters.text"}},
                {"name": "who", "valueFrom": {"parameter": "workflow.parameters.name"}},
            ]
        },
    }
}


async def outputs_of_hello(stored: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    async with Aether("memory:") as app:
        await app.put_template(stored)
        execution = await app.submit_and_wait(document, timeout=10)
        assert execution.status == "Succeeded", execution.message
        return execution.task("hello").output_values


async def test_a_task_gives_all_its_outputs_to_the_node_that_refers_to_it() -> None:
    found = await outputs_of_hello(template(TASK, arguments=NAMED), caller(name="Ada"))
    assert found == {"text": "Hello, Ada!"}


async def test_an_argument_that_is_not_given_takes_the_templates_default() -> None:
    found = await outputs_of_hello(template(TASK, arguments=NAMED), caller())
    assert found == {"text": "Hello, World!"}


async def test_a_dag_reads_its_arguments_everywhere_outputs_included() -> None:
    found = await outputs_of_hello(template(DAG, arguments=NAMED), caller(name="Ada"))
    assert found == {"text": "Hello, Ada!", "who": "Ada"}


async def test_only_declared_arguments_may_be_given() -> None:
    async with Aether("memory:") as app:
        await app.put_template(template(TASK, arguments=NAMED))
        with pytest.raises(InvalidDocument) as refusal:
            await app.submit(caller(text="mine"))
    assert refusal.value.code == "override-not-declared"


async def test_a_run_keeps_the_version_it_began_with() -> None:
    async with Aether("memory:") as app:
        await app.put_template(template(TASK, arguments=NAMED))
        first = await app.submit_and_wait(caller(), timeout=10)
        newer = template(TASK, arguments={"parameters": [{"name": "name", "default": "Moon"}]})
        newer["metadata"]["version"] = "2"
        await app.put_template(newer)
        second = await app.submit_and_wait(caller(), timeout=10)
    assert first.task("hello").template_name == "greeting@1/greet"
    assert second.task("hello").output_values == {"text": "Hello, Moon!"}


async def test_name_and_version_can_be_run_as_they_are() -> None:
    async with Aether("memory:") as app:
        title = await app.put_template(template(TASK, arguments=NAMED))
        execution = await app.submit_and_wait(title, {"name": "Ada"}, timeout=10)
    assert title == "greeting@1"
    assert execution.output_values == {"text": "Hello, Ada!"}
