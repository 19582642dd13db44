"""From a checked document to a Plan: every name resolved, every expression compiled, once."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from ..document import (
    Backoff,
    ContinueOn,
    Dag,
    Hooks,
    Loop,
    PhaseConditions,
    Resources,
    Retry,
    Task,
    Template,
    Workflow,
    parse_micros,
)
from ..errors import EngineBug
from ..expr import Evaluator, lone_reference
from ..record import Phase, SecretRef
from .sources import Sources, artifact_slots, parameter_value, parameters_of, without_alias
from .spec import (
    Binding,
    Conditions,
    ContinueSpec,
    DagSpec,
    HookSpec,
    LoopSpec,
    NodeSpec,
    OutputSlot,
    Plan,
    RetrySpec,
)

DEFAULT_TIMEOUT = 3_600_000_000
DEFAULT_PRIORITY = 500
_HOOKS = (
    "on_start",
    "on_success",
    "on_failure",
    "on_error",
    "on_suspend",
    "on_resume",
    "on_cancel",
    "on_exit",
)


def compile_plan(
    document: Workflow,
    evaluator: Evaluator | None = None,
    namespaces: Collection[str] = (),
    *,
    notifies: bool = True,
    notify_all: bool = False,
) -> Plan:
    """`document` must have passed validation and hold no references to stored templates."""
    return _Compiler(document, evaluator, namespaces).plan(notifies, notify_all)


class _Compiler:
    def __init__(
        self, document: Workflow, evaluator: Evaluator | None, namespaces: Collection[str]
    ) -> None:
        self._document = document
        self._evaluator = evaluator
        self._sources = Sources(evaluator, namespaces)
        self._templates: dict[str, Template] = {}
        for template in document.spec.templates:
            self._templates.setdefault(template.body.name, template)
        # A template used in many places is compiled once: nesting may otherwise multiply.
        self._bodies: dict[str, DagSpec | LoopSpec] = {}
        self._wants_starts = False
        self._limited = False

    def plan(self, notifies: bool, notify_all: bool) -> Plan:
        spec = self._document.spec
        entry = self._use(Task(name=spec.entrypoint, template=spec.entrypoint), 0, ContinueSpec())
        hooks = self._hooks(spec.hooks)
        parameters = {p.name: parameter_value(p) for p in parameters_of(spec.arguments)}
        has_secrets = any(isinstance(value, SecretRef) for value in parameters.values())
        return Plan(
            document=self._document,
            entry=entry,
            parameters=parameters,
            timeout=parse_micros(spec.timeout) or DEFAULT_TIMEOUT,
            priority=spec.priority or DEFAULT_PRIORITY,
            parallelism=max(spec.parallelism, 0),
            hooks=hooks,
            notifies=notifies,
            notify_all=notify_all and notifies,
            wants_starts=self._wants_starts or notify_all,
            has_secrets=has_secrets or self._sources.has_secrets,
            limits=self._sources.limits(spec.limits),
            limited=self._limited or bool(spec.limits),
        )

    # Nodes

    def _use(self, node: Task, index: int, default: ContinueSpec) -> NodeSpec:
        """`node` as it is called: a DAG node, or a stand-in for an entry or a loop body."""
        template = self._templates.get(node.template) if node.template else None
        if template is None:
            return self._leaf(node, node, index, default)
        if template.task is not None:
            return self._leaf(node, template.task, index, default)
        return self._container(node, template, index, default)

    def _leaf(self, node: Task, body: Task, index: int, default: ContinueSpec) -> NodeSpec:
        fails_when_lost = (node.on_worker_lost or body.on_worker_lost) == "fail"
        self._wants_starts |= fails_when_lost
        limits = body.limits if node is body else (*body.limits, *node.limits)
        self._limited |= bool(limits)
        return NodeSpec(
            name=node.name,
            template=node.template,
            kind="task",
            index=index,
            executor=body.executor.type if body.executor else "",
            binding=self._sources.binding(body.inputs, node.arguments),
            outputs=tuple(OutputSlot(p.name, p.type, p.value) for p in parameters_of(body.outputs)),
            output_artifacts=artifact_slots(body.outputs.artifacts if body.outputs else ()),
            timeout=parse_micros(node.timeout) or parse_micros(body.timeout) or 0,
            retry=self._retry(node.retry or body.retry),
            fails_when_lost=fails_when_lost,
            tolerance=_tolerance(node.continue_on, default),
            when=self._sources.program(node.when),
            when_text=node.when,
            conditions=self._conditions(body.phase_conditions),
            hooks=self._hooks(node.hooks),
            resources=_resources(body.resources),
            limits=self._sources.limits(limits),
        )

    def _container(
        self, node: Task, template: Template, index: int, default: ContinueSpec
    ) -> NodeSpec:
        body = template.dag or template.loop
        if body is None:
            raise EngineBug("a container template without a body passed validation")
        return NodeSpec(
            name=node.name,
            template=node.template,
            kind=template.kind,
            index=index,
            binding=self._sources.binding(body.inputs, node.arguments),
            timeout=parse_micros(node.timeout) or parse_micros(body.timeout) or 0,
            retry=self._retry(node.retry),
            tolerance=_tolerance(node.continue_on, default),
            when=self._sources.program(node.when),
            when_text=node.when,
            hooks=self._hooks(node.hooks),
            body=self._body(body),
        )

    def _body(self, body: Dag | Loop) -> DagSpec | LoopSpec:
        known = self._bodies.get(body.name)
        if known is None:
            known = self._dag(body) if isinstance(body, Dag) else self._loop(body)
            self._bodies[body.name] = known
        return known

    def _dag(self, dag: Dag) -> DagSpec:
        default = _tolerance(dag.continue_on, ContinueSpec())
        nodes = tuple(self._use(task, i, default) for i, task in enumerate(dag.tasks))
        by_name = {node.name: node.index for node in nodes}
        dependants: list[list[int]] = [[] for _ in nodes]
        waiting: list[int] = []
        for node, task in zip(nodes, dag.tasks, strict=True):
            wanted = tuple(dict.fromkeys(by_name[name] for name in task.dependencies))
            node.dependencies = wanted
            waiting.append(len(wanted))
            for dependency in wanted:
                dependants[dependency].append(node.index)
        for node in nodes:
            node.dependants = tuple(dependants[node.index])
        reachable = _reachable(dag.entrypoints, by_name, nodes)
        return DagSpec(
            nodes=nodes,
            by_name=by_name,
            waiting=tuple(n if i in reachable else -1 for i, n in enumerate(waiting)),
            outputs=tuple(self._sources.output(p) for p in parameters_of(dag.outputs)),
            output_artifacts=artifact_slots(dag.outputs.artifacts if dag.outputs else ()),
            conditions=self._conditions(dag.phase_conditions),
            fail_fast=dag.fail_fast,
            parallelism=max(dag.parallelism, 0),
            # Only a stored template that is a task is wrapped like this when it is brought in.
            passes_on="@" in dag.name and len(nodes) == 1 and dag.outputs is None,
        )

    def _loop(self, loop: Loop) -> LoopSpec:
        tolerance = _tolerance(loop.continue_on, ContinueSpec())
        body = self._use(Task(name=loop.body, template=loop.body, retry=loop.retry), 0, tolerance)
        declared, extra = self._sources.loop_slots(self._templates[loop.body], loop.arguments)
        body.binding = Binding(slots=declared, varies=True, artifacts=body.binding.artifacts)
        aggregate = loop.aggregate
        key = lone_reference(loop.items_from) if loop.items_from else None
        return LoopSpec(
            body=body,
            arguments=extra,
            items=loop.items,
            items_key=without_alias(key) if key else "",
            items_program=self._sources.expression(loop.items_from)
            if loop.items_from and not key
            else None,
            items_text=loop.items_from,
            repeat=self._sources.program(loop.repeat_condition),
            concurrency=max(loop.concurrency, 0),
            max_iterations=max(loop.max_iterations, 0),
            strategy=(aggregate.strategy if aggregate else "") or "last",
            keep=aggregate.parameters if aggregate else (),
            output_names=tuple(p.name for p in parameters_of(loop.outputs)),
            conditions=self._conditions(loop.phase_conditions),
            fail_fast=loop.fail_fast,
        )

    # Expressions

    def _conditions(self, conditions: PhaseConditions | None) -> Conditions | None:
        if conditions is None or self._evaluator is None:
            return None
        tried = (
            (Phase.SUCCEEDED, conditions.succeeded),
            (Phase.FAILED, conditions.failed),
            (Phase.ERROR, conditions.error),
        )
        programs = tuple((phase, self._evaluator.compile(text)) for phase, text in tried if text)
        return Conditions(programs) if programs else None

    def _retry(self, retry: Retry | None) -> RetrySpec | None:
        if retry is None or retry.limit <= 0:
            return None
        backoff = retry.backoff
        return RetrySpec(
            limit=retry.limit,
            expression=self._sources.program(retry.expression),
            unanswerable=bool(retry.expression) and self._evaluator is None,
            initial=_wait(backoff, "initial"),
            factor=backoff.factor if backoff else 1.0,
            max=_wait(backoff, "max"),
            jitter=backoff.jitter if backoff else 0.0,
            non_retryable=frozenset(retry.non_retryable),
        )

    def _hooks(self, hooks: Hooks | None) -> dict[str, HookSpec]:
        found: dict[str, HookSpec] = {}
        for member in _HOOKS if hooks else ():
            hook = getattr(hooks, member)
            if hook is None or not hook.template:
                continue
            task = self._templates[hook.template].task
            if task is None:
                raise EngineBug("a hook that names no task template passed validation")
            name = "on" + member[3:].title()
            self._wants_starts |= name == "onStart"
            found[name] = HookSpec(
                hook.template,
                task.executor.type if task.executor else "",
                self._sources.binding(task.inputs, None),
                _resources(task.resources),
            )
        return found


def _tolerance(own: ContinueOn | None, default: ContinueSpec) -> ContinueSpec:
    """A node's own object, even an empty one, replaces the default whole."""
    return default if own is None else ContinueSpec(own.failed, own.error, own.timeout)


def _resources(resources: Resources | None) -> bytes | None:
    return msgspec.json.encode(resources) if resources else None


def _wait(backoff: Backoff | None, member: str) -> int:
    return (parse_micros(getattr(backoff, member)) or 0) if backoff else 0


def _reachable(
    entrypoints: str | tuple[str, ...] | None, by_name: dict[str, int], nodes: tuple[NodeSpec, ...]
) -> set[int]:
    """The nodes downstream of the entrypoints, these included; all if there are none."""
    if not entrypoints:
        return set(by_name.values())
    names = (entrypoints,) if isinstance(entrypoints, str) else entrypoints
    todo = [by_name[name] for name in names]
    seen = set(todo)
    while todo:
        for index in nodes[todo.pop()].dependants:
            if index not in seen:
                seen.add(index)
                todo.append(index)
    return seen
