"""Workflow, Dag, Node: a document in the making.

Whoever reads a node's outputs depends on it: dependencies follow from the references, and `after` adds
what no value says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self

import msgspec

from ..document import (
    Aggregate,
    ContinueOn,
    CronSpec,
    CronWorkflow,
    ExecutorRef,
    Hook,
    Hooks,
    Loop,
    Metadata,
    Outputs,
    Parameter,
    Retry,
    Task,
    Template,
    TemplateRef,
    Values,
    WorkflowSpec,
    WorkflowTemplate,
    dump,
)
from ..document import Dag as DagPart
from ..document import Workflow as Document
from ..errors import Problem, Refused
from .expressions import Expression, parameter, value_of

_TYPES: dict[Any, str] = {
    str: "string",
    int: "int",
    float: "float",
    bool: "bool",
    list: "list",
    dict: "json",
}
_NODE = re.compile(r"\btasks\.([A-Za-z0-9][-A-Za-z0-9]*)\.")
_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_TOLERANCES = ("failed", "error", "timeout")


class Node:
    """A node of a DAG. `outputs["name"]` is a value that it will have given, `phase` how it will have ended."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.outputs = _Outputs(name)

    @property
    def phase(self) -> Expression:
        return Expression(f"tasks.{self.name}.phase", frozenset({self.name}), bare=True)

    def __repr__(self) -> str:
        return f"<node {self.name}>"


class _Outputs:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getitem__(self, key: str) -> Expression:
        text = f"tasks.{self._name}.outputs.parameters.{key}"
        return Expression(text, frozenset({self._name}), bare=True)


class Body:
    """A template by its name: what a loop repeats, a node calls, or a hook runs."""

    def __init__(self, name: str) -> None:
        self.name = name


class Dag:
    """Nodes that run as soon as what they depend on has ended."""

    def __init__(
        self,
        workflow: Workflow,
        name: str,
        *,
        inputs: Mapping[str, Any] | None = None,
        fail_fast: bool = False,
        parallelism: int = 0,
        timeout: str = "",
    ) -> None:
        self.name = name
        self.inputs = {each: parameter(each) for each in inputs or {}}
        self._workflow = workflow
        self._declared = _declared(inputs)
        self._nodes: dict[str, Task] = {}
        self._outputs: list[Parameter] = []
        self._fail_fast = fail_fast
        self._parallelism = parallelism
        self._timeout = timeout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def task(
        self,
        name: str,
        executor: str = "",
        inputs: Mapping[str, Any] | None = None,
        *,
        call: Body | Dag | str | None = None,
        outputs: Mapping[str, Any] | None = None,
        after: Iterable[Node] = (),
        when: Expression | str = "",
        timeout: str = "",
        retry: Retry | int | None = None,
        continue_on: Sequence[Literal["failed", "error", "timeout"]] = (),
        hooks: Mapping[str, Body] | None = None,
    ) -> Node:
        """A node that runs `executor`, or calls a template: `call=` a body, a nested Dag, or the text
        `name@version` of a stored one. `outputs` declares what it gives, by name and type."""
        if bool(executor) == (call is not None):
            raise _refuse(
                f"the node '{name}' needs either an executor or something to call", "call=…"
            )
        filled = [value_of(each, value) for each, value in (inputs or {}).items()]
        values = Values(parameters=tuple(filled)) if filled else None
        node = Task(
            name=name,
            executor=ExecutorRef(type=executor) if executor else None,
            template="" if call is None or isinstance(call, str) else call.name,
            template_ref=_stored(call) if isinstance(call, str) else None,
            inputs=values if executor else None,
            arguments=None if executor else values,
            outputs=_output_types(outputs),
            dependencies=self._dependencies(name, (inputs or {}).values(), when, after),
            when=when.text if isinstance(when, Expression) else when,
            timeout=timeout,
            retry=Retry(limit=retry) if isinstance(retry, int) else retry,
            continue_on=ContinueOn(**{t: t in continue_on for t in _TOLERANCES})
            if continue_on
            else None,
            hooks=_hooks(hooks),
        )
        return self._add(node)

    def loop(
        self,
        name: str,
        body: Body | Dag,
        *,
        items: Sequence[Any] | Expression | None = None,
        repeat: Expression | str = "",
        arguments: Mapping[str, Any] | None = None,
        gather: Literal["list", "last", "merge"] = "list",
        concurrency: int = 0,
        max_iterations: int = 0,
        after: Iterable[Node] = (),
        when: Expression | str = "",
        fail_fast: bool = False,
        timeout: str = "",
        retry: Retry | int | None = None,
    ) -> Node:
        """A node that runs `body` once for each of `items`, or again as long as `repeat` holds."""
        source = items if isinstance(items, Expression) else None
        filled = [value_of(each, value) for each, value in (arguments or {}).items()]
        template = f"{self.name}-{name}" if self.name != name else f"{name}-loop"
        given: tuple[Parameter, ...] = ()
        items_from = ""
        if source is not None:
            # A loop sees its own inputs alone: the items are handed in.
            given, items_from = (value_of("items", source),), "inputs.parameters.items"
        self._workflow.add(
            Template(
                loop=Loop(
                    name=template,
                    inputs=Values(parameters=(Parameter(name="items", type="list"),))
                    if given
                    else None,
                    items=() if items is None or isinstance(items, Expression) else tuple(items),
                    items_from=items_from,
                    repeat_condition=repeat.text if isinstance(repeat, Expression) else repeat,
                    body=body.name,
                    arguments=Values(parameters=tuple(filled)) if filled else None,
                    aggregate=Aggregate(strategy=gather),
                    concurrency=concurrency,
                    max_iterations=max_iterations,
                    fail_fast=fail_fast,
                    timeout=timeout,
                    retry=Retry(limit=retry) if isinstance(retry, int) else retry,
                )
            )
        )
        node = Task(
            name=name,
            template=template,
            arguments=Values(parameters=given) if given else None,
            dependencies=self._dependencies(
                name, [source, *(arguments or {}).values()], when, after
            ),
            when=when.text if isinstance(when, Expression) else when,
        )
        return self._add(node)

    def output(self, name: str, value: Any, type: type | str = "") -> None:  # noqa: A002 - the protocol's word
        """What the DAG gives; of the entry, what the run gives."""
        filled = value_of(name, value)
        self._outputs.append(msgspec.structs.replace(filled, type=_type_name(type)))

    def part(self) -> DagPart:
        return DagPart(
            name=self.name,
            inputs=self._declared,
            tasks=tuple(self._nodes.values()),
            outputs=Outputs(parameters=tuple(self._outputs)) if self._outputs else None,
            fail_fast=self._fail_fast,
            parallelism=self._parallelism,
            timeout=self._timeout,
        )

    def _add(self, node: Task) -> Node:
        if node.name in self._nodes:
            raise _refuse(
                f"there are two nodes '{node.name}' in '{self.name}'", "rename one of them"
            )
        self._nodes[node.name] = node
        return Node(node.name)

    def _dependencies(
        self, name: str, values: Iterable[Any], when: Expression | str, after: Iterable[Node]
    ) -> tuple[str, ...]:
        """The nodes that have to end first, in the order in which they were added."""
        wanted = {node.name for node in after}.union(*map(_reads, values))
        wanted |= when.reads if isinstance(when, Expression) else set(_NODE.findall(when))
        if strange := sorted(wanted - self._nodes.keys()):
            raise _refuse(
                f"the node '{name}' reads '{strange[0]}', which is no node of '{self.name}' before it",
                "pass the value in through an input",
            )
        return tuple(each for each in self._nodes if each in wanted)


class Workflow(Dag):
    """A document. Its own nodes are those of the entry, `main`."""

    def __init__(
        self,
        name: str,
        *,
        namespace: str = "default",
        version: str = "",
        labels: Mapping[str, str] | None = None,
        timeout: str = "",
        parallelism: int = 0,
        priority: int = 0,
        fail_fast: bool = False,
        hooks: Mapping[str, Body] | None = None,
    ) -> None:
        super().__init__(self, "main", fail_fast=fail_fast)
        self._metadata = Metadata(
            name=name, namespace=namespace, version=version, labels=dict(labels or {})
        )
        self._limits = {"timeout": timeout, "parallelism": parallelism, "priority": priority}
        self._arguments: list[Parameter] = []
        self._templates: list[Template | Dag] = []
        self._run_hooks = _hooks(hooks)

    def argument(
        self,
        name: str,
        type: type | str = "",  # noqa: A002 - the protocol's word
        default: Any = None,
        *,
        enum: Sequence[Any] = (),
        description: str = "",
    ) -> Expression:
        """Declare a value that a submit may give; the answer reads it."""
        self._arguments.append(
            Parameter(
                name=name,
                type=_type_name(type),
                value=default,
                enum=tuple(enum),
                description=description,
            )
        )
        return Expression(f"workflow.parameters.{name}", bare=True)

    def body(
        self,
        name: str,
        executor: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        outputs: Mapping[str, Any] | None = None,
        timeout: str = "",
        retry: Retry | int | None = None,
    ) -> Body:
        """A task template. `inputs` are declared by type (`str`), or filled with a value."""
        task = Task(
            name=name,
            executor=ExecutorRef(type=executor),
            inputs=_declared(inputs),
            outputs=_output_types(outputs),
            timeout=timeout,
            retry=Retry(limit=retry) if isinstance(retry, int) else retry,
        )
        self.add(Template(task=task))
        return Body(name)

    def dag(
        self,
        name: str,
        *,
        inputs: Mapping[str, Any] | None = None,
        fail_fast: bool = False,
        parallelism: int = 0,
        timeout: str = "",
    ) -> Dag:
        """A DAG of its own, for a node to call: `with wf.dag("sub", inputs={"n": int}) as sub:`."""
        made = Dag(
            self, name, inputs=inputs, fail_fast=fail_fast, parallelism=parallelism, timeout=timeout
        )
        self._templates.append(made)
        return made

    def add(self, template: Template) -> None:
        """A template written by hand."""
        self._templates.append(template)

    # Out

    def document(self) -> Document:
        """For `app.submit`."""
        return Document(metadata=self._metadata, spec=self._spec())

    def template(self) -> WorkflowTemplate:
        """For `app.put_template`: runs refer to it as `name@version`."""
        return WorkflowTemplate(metadata=self._metadata, spec=self._spec())

    def cron(self, schedule: str, *, timezone: str = "UTC", **members: Any) -> CronWorkflow:
        """For `app.submit_cron`. `members` are those of the protocol's cron spec, in snake case."""
        spec = CronSpec(schedule=schedule, timezone=timezone, workflow_spec=self._spec(), **members)
        return CronWorkflow(metadata=self._metadata, spec=spec)

    def to_dict(self) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.json.decode(self.to_json())
        return plain

    def to_json(self) -> str:
        return dump(self.document())

    def to_yaml(self) -> str:
        return dump(self.document(), "yaml")

    def _spec(self) -> WorkflowSpec:
        rest = [t if isinstance(t, Template) else Template(dag=t.part()) for t in self._templates]
        return WorkflowSpec(
            entrypoint=self.name,
            arguments=Values(parameters=tuple(self._arguments)) if self._arguments else None,
            templates=(Template(dag=self.part()), *rest),
            hooks=self._run_hooks,
            **self._limits,  # type: ignore[arg-type]  # timeout is text, the others are numbers
        )


def _reads(value: Any) -> set[str]:
    """The nodes whose outputs `value` is made of."""
    if isinstance(value, Expression):
        return set(value.reads)
    if isinstance(value, str):
        return {name for text in _PLACEHOLDER.findall(value) for name in _NODE.findall(text)}
    if isinstance(value, Mapping):
        return set().union(*map(_reads, value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(_reads, value))
    return set()


def _declared(inputs: Mapping[str, Any] | None) -> Values | None:
    if not inputs:
        return None
    declared = [
        Parameter(name=name, type=_type_name(value))
        if isinstance(value, type)
        else value_of(name, value)
        for name, value in inputs.items()
    ]
    return Values(parameters=tuple(declared))


def _output_types(outputs: Mapping[str, Any] | None) -> Outputs | None:
    if not outputs:
        return None
    found = tuple(Parameter(name=name, type=_type_name(kind)) for name, kind in outputs.items())
    return Outputs(parameters=found)


def _type_name(kind: Any) -> str:
    if isinstance(kind, str):
        return kind
    name = _TYPES.get(kind)
    if name is None:
        raise _refuse(
            f"{kind!r} is no type of documents", "use str, int, float, bool, list or dict"
        )
    return name


def _hooks(hooks: Mapping[str, Body] | None) -> Hooks | None:
    if not hooks:
        return None
    known = Hooks.__struct_fields__
    for name in hooks:
        if name not in known:
            raise _refuse(f"there is no hook '{name}'", f"use one of {', '.join(known)}")
    return Hooks(**{name: Hook(template=body.name) for name, body in hooks.items()})


def _stored(reference: str) -> TemplateRef:
    name, _, version = reference.partition("@")
    return TemplateRef(name=name, version=version)


def _refuse(what: str, fix: str) -> Refused:
    return Refused(Problem("graph", what, fix=fix))
