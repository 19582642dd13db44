"""Who waits for whom: read from the document, because a run records only what happened."""

from __future__ import annotations

from typing import Any

from ...ports import Execution

KINDS = ("task", "dag", "loop")


def dependencies(
    execution: Execution, document: Any
) -> tuple[list[list[int]], list[dict[str, Any]]]:
    """For each task run, the places of those it waited for; and the nodes that were never reached.

    A template that the document does not hold (a stored one) has no edges; its task runs still show.
    """
    written = _nodes_by_dag(document)
    siblings: dict[str, dict[str, int]] = {}
    for place, task in enumerate(execution.tasks):
        siblings.setdefault(task.parent_run_id, {})[task.task_name] = place
    template_of = {
        task.task_run_id: task.template_name or task.task_name
        for task in execution.tasks
        if task.template_type == "dag"
    }
    edges = []
    for task in execution.tasks:
        nodes = written.get(template_of.get(task.parent_run_id, ""), {})
        beside = siblings[task.parent_run_id]
        edges.append([beside[name] for name in nodes.get(task.task_name, ()) if name in beside])
    return edges, _omitted(execution, written)


def _omitted(
    execution: Execution, written: dict[str, dict[str, list[str]]]
) -> list[dict[str, Any]]:
    dags: dict[str, tuple[int, str]] = {}
    for place, task in enumerate(execution.tasks):
        if task.template_type == "dag":
            dags.setdefault(f"{task.task_name}/", (place, task.template_name or task.task_name))
    found = []
    for node in execution.omitted:
        place, template = dags.get(node.scope, (-1, ""))
        names = written.get(template, {}).get(node.name, [])
        found.append(
            {
                "name": node.name,
                "scope": node.scope,
                "reason": node.reason,
                "parent": place,
                "dependencies": names,
            }
        )
    return found


def _nodes_by_dag(document: Any) -> dict[str, dict[str, list[str]]]:
    spec = _member(document, "spec")
    spec = _member(spec, "workflowSpec") or spec
    found: dict[str, dict[str, list[str]]] = {}
    for template in _items(_member(spec, "templates")):
        dag = _member(template, "dag")
        name = _member(dag, "name")
        if isinstance(name, str):
            nodes = {}
            for node in _items(_member(dag, "tasks")):
                if isinstance(node_name := _member(node, "name"), str):
                    nodes[node_name] = [
                        each
                        for each in _items(_member(node, "dependencies"))
                        if isinstance(each, str)
                    ]
            found.setdefault(name, nodes)
    return found


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
