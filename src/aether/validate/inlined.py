"""The templates of a stored document, made fit to stand in another one.

A node's or loop's reference brings them in under `name@version/template`. What they read as
`workflow.parameters.x` is the reference's argument x: it is handed down to their containers as an
input named `workflow.x`, a name no document can declare.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec.structs import replace

from ..document import Parameter, Template, WorkflowSpec
from .context import parameters_of

_WORKFLOW = re.compile(r"(?<![\w.-])workflow\.(?:arguments\.)?parameters\.")
_TEXTS = frozenset({"parameter", "path", "expression", "when", "itemsFrom"})
_LITERALS = frozenset({"value", "default", "items", "limits"})


class Inlined:
    """The templates of one stored spec under internal names, cut loose from its workflow arguments."""

    def __init__(self, spec: WorkflowSpec, title: str) -> None:
        self._spec = spec
        self._title = title
        self._arguments = parameters_of(spec.arguments)
        self._kinds = {template.body.name: template.kind for template in spec.templates}

    def templates(self) -> list[Template]:
        made: list[Template] = []
        for template in self._spec.templates:
            if "@" in template.body.name:
                made.append(template)  # brought by a reference further in, and named already
                continue
            tree = msgspec.json.decode(msgspec.json.encode(template))
            body = tree[template.kind]
            if self._arguments:
                self._cut_loose(tree)
            self._rename(body, template.kind)
            made.append(msgspec.convert(tree, Template))
        if self._arguments and self._kinds.get(self._spec.entrypoint) == "task":
            made = self._wrapped(made)
        return made

    def _name(self, name: str) -> str:
        return f"{self._title}/{name}" if name in self._kinds and "@" not in name else name

    def _rename(self, body: dict[str, Any], kind: str) -> None:
        body["name"] = self._name(body["name"])
        if kind == "dag":
            for node in body["tasks"]:
                self._call(node, "template")
                for hook in node.get("hooks", {}).values():
                    if hook.get("template"):
                        hook["template"] = self._name(hook["template"])
        elif kind == "loop":
            self._call(body, "body")
        if kind != "task" and self._arguments:
            body.setdefault("inputs", {}).setdefault("parameters", []).extend(self._inputs())

    def _call(self, caller: dict[str, Any], member: str) -> None:
        target = caller.get(member, "")
        if not target:
            return
        caller[member] = self._name(target)
        if self._arguments and "@" not in target and self._kinds.get(target) in ("dag", "loop"):
            passed = caller.setdefault("arguments", {}).setdefault("parameters", [])
            passed += [
                {"name": name, "valueFrom": {"parameter": f"inputs.parameters.{name}"}}
                for name in (f"workflow.{argument.name}" for argument in self._arguments)
            ]

    def _inputs(self) -> list[dict[str, Any]]:
        return [
            msgspec.to_builtins(
                Parameter(
                    name=f"workflow.{argument.name}",
                    type=argument.type,
                    default=argument.value if argument.value is not None else argument.default,
                )
            )
            for argument in self._arguments
        ]

    def _cut_loose(self, tree: Any) -> None:
        """`workflow.parameters.x` becomes `inputs.parameters.workflow.x`, wherever it is read."""
        waiting = [tree]
        while waiting:
            here = waiting.pop()
            for key, inner in here.items() if isinstance(here, dict) else enumerate(here):
                if key in _TEXTS and isinstance(inner, str):
                    here[key] = _WORKFLOW.sub("inputs.parameters.workflow.", inner)
                elif key in _LITERALS:
                    here[key] = _cut_literal(inner)
                elif isinstance(inner, (dict, list)):
                    waiting.append(inner)

    def _wrapped(self, made: list[Template]) -> list[Template]:
        """A task has no inputs that its own bindings could read, so it gets a DAG around it, which gives
        out whatever the task gives."""
        entry = f"{self._title}/{self._spec.entrypoint}"
        inner = f"{entry}.task"
        task = next(t.task for t in made if t.task is not None and t.task.name == entry)
        dag = {
            "name": entry,
            "inputs": {"parameters": self._inputs()},
            "tasks": [{"name": self._spec.entrypoint, "template": inner}],
        }
        kept = [t for t in made if t.task is not task]
        renamed = Template(task=replace(task, name=inner))
        return [msgspec.convert({"dag": dag}, Template), renamed, *kept]


def _cut_literal(value: Any) -> Any:
    if isinstance(value, str):
        return _WORKFLOW.sub("inputs.parameters.workflow.", value) if "{{" in value else value
    if isinstance(value, dict):
        return {key: _cut_literal(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cut_literal(inner) for inner in value]
    return value
