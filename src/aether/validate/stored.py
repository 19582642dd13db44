"""References to stored WorkflowTemplates: finding them, and putting them into the document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from ..document import (
    AnyDocument,
    CronWorkflow,
    Parameter,
    Path,
    Source,
    Task,
    Template,
    TemplateRef,
    Values,
    WorkflowSpec,
    WorkflowTemplate,
)
from ..errors import InvalidDocument
from .context import Context, Entry, parameters_of
from .dag import check_hooks
from .inlined import Inlined
from .known import Known
from .names import shown
from .report import Report
from .values import check_literal
from .workflow import check_nesting

D = TypeVar("D", bound=AnyDocument)
Stored = Mapping[tuple[str, str], WorkflowTemplate]

_DEEPEST = 10


def spec_of(document: AnyDocument) -> tuple[WorkflowSpec, Path]:
    """The workflow spec in a document, and where it stands."""
    if isinstance(document, CronWorkflow):
        return document.spec.workflow_spec, ("spec", "workflowSpec")
    return document.spec, ("spec",)


def references(document: AnyDocument) -> list[TemplateRef]:
    """Every WorkflowTemplate that `document` refers to, in the order of the text, once each."""
    spec, _ = spec_of(document)
    found = [spec.workflow_template_ref] if spec.workflow_template_ref is not None else []
    for template in spec.templates:
        if template.dag is not None:
            found += [node.template_ref for node in template.dag.tasks if node.template_ref]
        elif template.loop is not None and template.loop.body_ref is not None:
            found.append(template.loop.body_ref)
    return list(dict.fromkeys(found))


def resolve(document: D, templates: Stored, source: Source | None = None) -> D:
    """`document` with everything it refers to inside it: nothing outside can change it any more.

    `templates` is keyed as references are written, version "" being the latest. Raises InvalidDocument
    for references that cannot be followed and for arguments the other side does not declare; `source`
    gives the problems their lines.
    """
    if not references(document):
        return document
    report = Report()
    spec, at = spec_of(document)
    resolver = _Resolver(report, templates)
    resolved = resolver.spec(spec, at, (document.metadata.name,))
    if not report.has_errors:
        _check_whole(report, resolved, at)
    if report.has_errors:
        raise InvalidDocument(report.problems(source or Source(msgspec.to_builtins(document))))
    if isinstance(document, CronWorkflow):
        return replace(document, spec=replace(document.spec, workflow_spec=resolved))
    return replace(document, spec=resolved)


def _check_whole(report: Report, spec: WorkflowSpec, at: Path) -> None:
    """What can only be judged when all templates are together."""
    ctx = Context(report, None, Known())
    for template in spec.templates:
        entry = Entry(template.kind, template.body, at)
        ctx.templates.setdefault(entry.name, entry)
    if spec.hooks is not None:
        check_hooks(ctx, spec.hooks, (*at, "hooks"), "workflow")
    if (start := ctx.templates.get(spec.entrypoint)) is not None:
        check_nesting(ctx, spec, start)


class _Resolver:
    """`outside` is the reference through which a stored document is looked at: its problems are told
    there, as its own text is not at hand."""

    def __init__(self, report: Report, templates: Stored, outside: Path | None = None) -> None:
        self._report = report
        self._templates = templates
        self._outside = outside
        self._inlined: dict[tuple[str, str], tuple[str, WorkflowSpec] | None] = {}
        self._ctx = Context(report, None, Known())
        self.brought: list[Template] = []

    def spec(self, spec: WorkflowSpec, at: Path, trail: tuple[str, ...]) -> WorkflowSpec:
        """A spec without references; its brought templates follow its own."""
        if spec.workflow_template_ref is not None:
            spec = self._replaced(spec, at, trail)
        own = tuple(
            self._template(template, (*at, "templates", index), trail)
            for index, template in enumerate(spec.templates)
        )
        brought, self.brought = tuple(self.brought), []
        return replace(spec, templates=own + brought)

    def _replaced(self, spec: WorkflowSpec, at: Path, trail: tuple[str, ...]) -> WorkflowSpec:
        """A spec that is a reference: the stored one, with this one's settings over it."""
        ref = spec.workflow_template_ref
        assert ref is not None, "the caller looked"
        here = self._outside or (*at, "workflowTemplateRef")
        found = self._find(ref, here, trail)
        if found is None:
            return replace(spec, workflow_template_ref=None)
        base = found.spec
        if base.workflow_template_ref is not None:
            inner = _Resolver(self._report, self._templates, self._outside or here)
            base = inner._replaced(base, here, (*trail, _title(ref, found)))
        arguments = self._overridden(spec.arguments, base.arguments, ref, (*at, "arguments"))
        return replace(
            base,
            workflow_template_ref=None,
            arguments=arguments,
            timeout=spec.timeout or base.timeout,
            priority=spec.priority or base.priority,
            max_nested_depth=spec.max_nested_depth or base.max_nested_depth,
            parallelism=spec.parallelism or base.parallelism,
            limits=spec.limits or base.limits,
            hooks=spec.hooks or base.hooks,
        )

    def _find(self, ref: TemplateRef, at: Path, trail: tuple[str, ...]) -> WorkflowTemplate | None:
        found = self._templates.get((ref.name, ref.version))
        if found is None:
            title = f"{ref.name}@{ref.version}" if ref.version else ref.name
            what = f"there is no stored template '{shown(title)}'"
            names = {name for name, _ in self._templates}
            fix = self._report.speller.did_you_mean(ref.name, names - {ref.name}, "store it first")
            self._report.error("unknown-workflow-template", at, what, fix)
            return None
        title = _title(ref, found)
        if title in trail:
            what = f"templates refer to each other: {' → '.join((*trail, title))}"
            self._report.error("template-ref-cycle", at, what, "remove one of the references")
            return None
        if len(trail) > _DEEPEST:
            what = f"references are nested deeper than {_DEEPEST}"
            self._report.error("template-ref-depth", at, what, "bring the templates together")
            return None
        return found

    def _overridden(
        self, given: Values | None, declared: Values | None, ref: TemplateRef, at: Path
    ) -> Values | None:
        if given is None:
            return declared
        known = {parameter.name: parameter for parameter in parameters_of(declared)}
        self._check_given(given, known, ref, at)
        values = {parameter.name: parameter for parameter in given.parameters}
        parameters = tuple(
            replace(
                parameter,
                value=values[name].value,
                value_from=values[name].value_from,
                default=parameter.value if parameter.value is not None else parameter.default,
            )
            if name in values
            else parameter
            for name, parameter in known.items()
        )
        artifacts = {a.name: a for a in (declared.artifacts if declared else ())}
        artifacts |= {artifact.name: artifact for artifact in given.artifacts}
        return Values(parameters=parameters, artifacts=tuple(artifacts.values()))

    def _check_given(
        self, given: Values, known: dict[str, Parameter], ref: TemplateRef, at: Path
    ) -> None:
        for index, argument in enumerate(given.parameters):
            declared = known.get(argument.name)
            here = self._outside or (*at, "parameters", index)
            if declared is None:
                what = f"the template '{ref.name}' declares no argument '{shown(argument.name)}'"
                fix = self._report.speller.did_you_mean(argument.name, known, "remove it")
                self._report.error("override-not-declared", here, what, fix)
            else:
                place = self._outside or (*here, "value")
                check_literal(self._ctx, argument.value, declared, place)

    def _template(self, template: Template, at: Path, trail: tuple[str, ...]) -> Template:
        if template.dag is not None:
            dag = template.dag
            tasks = tuple(
                node
                if node.template_ref is None
                else self._node(node, node.template_ref, (*at, "dag", "tasks", index), trail)
                for index, node in enumerate(dag.tasks)
            )
            return replace(template, dag=replace(dag, tasks=tasks))
        if template.loop is not None and template.loop.body_ref is not None:
            loop = template.loop
            return replace(
                template, loop=self._node(loop, template.loop.body_ref, (*at, "loop"), trail)
            )
        return template

    def _node(self, caller: Any, ref: TemplateRef, at: Path, trail: tuple[str, ...]) -> Any:
        """A node or loop that calls a stored template, made to call the copy that is brought in."""
        is_loop = hasattr(caller, "body_ref")
        here = self._outside or (*at, "bodyRef" if is_loop else "templateRef")
        brought = self._bring(ref, here, trail)
        if brought is None:
            return caller
        name, spec = brought
        declared = {parameter.name: parameter for parameter in parameters_of(spec.arguments)}
        entry = next(t.body for t in spec.templates if t.body.name == spec.entrypoint)
        inputs = {parameter.name: parameter for parameter in parameters_of(entry.inputs)}
        if declared and isinstance(entry, Task):
            inputs = {}  # its bindings are its own business; only the arguments are offered
        given = caller.arguments
        if given is not None:
            self._check_given(given, declared | inputs, ref, (*at, "arguments"))
            extra = tuple(
                replace(argument, name=f"workflow.{argument.name}")
                for argument in given.parameters
                if argument.name in declared
            )
            own = tuple(a for a in given.parameters if a.name in inputs or a.name not in declared)
            given = replace(given, parameters=own + extra)
        if is_loop:
            return replace(caller, body=name, body_ref=None, arguments=given)
        return replace(caller, template=name, template_ref=None, arguments=given)

    def _bring(
        self, ref: TemplateRef, at: Path, trail: tuple[str, ...]
    ) -> tuple[str, WorkflowSpec] | None:
        """The internal name of the stored template's entry, and its spec; None after a problem."""
        found = self._find(ref, at, trail)
        if found is None:
            return None
        title = _title(ref, found)
        key = (found.metadata.name, title)
        if key not in self._inlined:
            before = len(self._report)
            inner = _Resolver(self._report, self._templates, at)
            inner._inlined = self._inlined
            spec = inner.spec(found.spec, at, (*trail, title))
            entries = {template.body.name for template in spec.templates}
            if len(self._report) > before or spec.entrypoint not in entries:
                return None
            self._inlined[key] = (f"{title}/{spec.entrypoint}", spec)
            self.brought += Inlined(spec, title).templates()
        return self._inlined[key]


def _title(ref: TemplateRef, found: WorkflowTemplate) -> str:
    return f"{ref.name}@{found.metadata.version or ref.version or 'latest'}"
