"""Documents on their way in: checked, made self-contained, compiled, and kept for the next submit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from ..document import (
    AnyDocument,
    CronWorkflow,
    Metadata,
    Source,
    TemplateRef,
    Workflow,
    WorkflowSpec,
    WorkflowTemplate,
    load,
)
from ..errors import InvalidDocument, Problem, Refused
from ..expr import Evaluator
from ..plan import AnyPlan, FunctionPlan, Plan, compile_plan, function_plan, function_text
from ..record import NamedValue, encode_values
from ..validate import Checked, Known, check, fits, in_enum, references, resolve, type_name
from .templates import Templates, parse_name_version

Submittable = AnyDocument | Source | Mapping[str, Any] | str | bytes
"""A document as a struct, a loaded source, a plain tree, JSON or YAML text, or `name@version`."""

Stored = Mapping[tuple[str, str], WorkflowTemplate]

_STORED_NAME = re.compile(r"[a-z0-9][-a-z0-9]{0,62}(@[\w.+-]{1,64})?")
_FILE_NAME = re.compile(r"[^\n:{]*\.(ya?ml|json)")
_KEPT = 256


class Prepared(msgspec.Struct):
    """One document, ready to be run any number of times. `text` is self-contained."""

    document: Workflow
    plan: Plan
    digest: bytes
    text: bytes
    warnings: tuple[str, ...] = ()

    @property
    def stored(self) -> tuple[bytes, bytes]:
        """As a store keeps it."""
        return self.digest, self.text


class Documents:
    """`known` says what this engine can serve; `version` of it changes with every change of that."""

    def __init__(
        self,
        templates: Templates,
        evaluator: Evaluator | None,
        namespaces: frozenset[str],
        known: Callable[[], Known],
        *,
        notifies: bool,
        notify_all: bool,
    ) -> None:
        self._templates = templates
        self._evaluator = evaluator
        self._namespaces = namespaces
        self._known = known
        self._notifies = notifies
        self._notify_all = notify_all
        self._prepared: dict[object, Prepared] = {}
        self._forgotten = 0  # times; what was looked up before the last one is not kept
        self._plans: dict[bytes, AnyPlan] = {}
        self._functions: dict[tuple[str, str], tuple[FunctionPlan, tuple[bytes, bytes]]] = {}

    def forget(self) -> None:
        """What can be served has changed: the next submit of each document is checked again."""
        self._forgotten += 1
        self._prepared.clear()

    async def prepare(self, document: Submittable, *, lenient: bool = False) -> Prepared:
        """Raises InvalidDocument with every problem, templates that are not stored among them."""
        key = _key_of(document)
        if key is not None:
            prepared = self._prepared.get((lenient, key))
            if prepared is not None:
                return prepared
        forgotten = self._forgotten
        checked, found = await self._checked(document, lenient)
        workflow = checked.document
        if not isinstance(workflow, Workflow):
            raise InvalidDocument(_wrong_kind(workflow))
        prepared = self._compile(workflow, checked, found)
        if key is not None and forgotten == self._forgotten:
            _keep(self._prepared, (lenient, key), prepared)
        return prepared

    async def check(self, document: Submittable, *, lenient: bool = False) -> Checked:
        """The document with its references looked up, judged against what this engine serves."""
        checked, _ = await self._checked(document, lenient)
        return checked

    async def _checked(self, document: Submittable, lenient: bool) -> tuple[Checked, Stored]:
        """Also the stored templates it was judged with: they are what the run is pinned to."""
        source = self._source(document)
        known = self._known()
        found: Stored = {}
        parsed = _parse_for_references(source)
        if parsed is not None and references(parsed):
            found = await self._templates.load_references(parsed)
            known = msgspec.structs.replace(known, templates=found)
        checked = check(source, evaluator=self._evaluator, known=known, lenient=lenient)
        if not isinstance(checked.document, WorkflowTemplate):
            # A reference to nothing is told now, with its line, and not when a run or a fire begins.
            resolve(checked.document, found, source)
        return checked, found

    def function(self, name: str, version: str) -> tuple[FunctionPlan, tuple[bytes, bytes]]:
        """The plan of one version of a function, and its document: digest and text."""
        found = self._functions.get((name, version))
        if found is None:
            text = function_text(name, version)
            digest = blake2b(text, digest_size=16).digest()
            plan = self._plans.get(digest) or function_plan(text)
            assert isinstance(plan, FunctionPlan), "its text was just written as one"
            _keep(self._plans, digest, plan)
            found = plan, (digest, text)
            _keep(self._functions, (name, version), found)
        return found

    async def plan_of(self, digest: bytes, text: bytes) -> AnyPlan:
        """The plan of a document as a store keeps it."""
        plan = self._plans.get(digest) or function_plan(text)
        if plan is not None:
            _keep(self._plans, digest, plan)
        else:
            plan = self._plan(msgspec.json.decode(text, type=Workflow))
            _keep(self._plans, digest, plan)
        return plan

    def known_plan(self, digest: bytes) -> AnyPlan | None:
        return self._plans.get(digest)

    def _compile(self, workflow: Workflow, checked: Checked, found: Stored) -> Prepared:
        text, digest = checked.text, checked.digest
        if found:
            workflow = resolve(workflow, found)
            text = msgspec.json.encode(workflow)
            digest = blake2b(text, digest_size=16).digest()
        plan = self._plans.get(digest)
        if not isinstance(plan, Plan):
            plan = self._plan(workflow)
        _keep(self._plans, digest, plan)
        warnings = tuple(str(problem) for problem in checked.warnings)
        return Prepared(workflow, plan, digest, text, warnings)

    def _plan(self, workflow: Workflow) -> Plan:
        return compile_plan(
            workflow,
            self._evaluator,
            self._namespaces,
            notifies=self._notifies,
            notify_all=self._notify_all,
        )

    def _source(self, document: Submittable) -> Source:
        if isinstance(document, Source):
            return document
        if isinstance(document, str) and _STORED_NAME.fullmatch(document):
            name, version = parse_name_version(document)
            document = Workflow(
                metadata=Metadata(name=name),
                spec=WorkflowSpec(workflow_template_ref=TemplateRef(name=name, version=version)),
            )
        if isinstance(document, str | bytes):
            if isinstance(document, str) and _FILE_NAME.fullmatch(document):
                raise _not_a_document(f"'{document}' is the name of a file and")
            return load(document)
        if isinstance(document, Mapping):
            return Source.of(dict(document))
        if isinstance(document, Workflow | CronWorkflow | WorkflowTemplate):
            return Source.of(msgspec.to_builtins(document))
        raise _not_a_document(type(document).__name__)


def check_arguments(document: Workflow, arguments: Mapping[str, Any] | None) -> bytes | None:
    """The values of a submit, encoded. Raises Refused with every name and type that does not fit."""
    if not arguments:
        return None
    if not isinstance(arguments, Mapping):
        what = f"the arguments are {type_name(arguments)}, and should be an object"
        raise Refused(Problem("argument-type", what, fix='write {"name": value}'))
    declared = {
        p.name: p for p in (document.spec.arguments.parameters if document.spec.arguments else ())
    }
    problems: list[Problem] = []
    values: list[NamedValue] = []
    for name, value in arguments.items():
        parameter = declared.get(name)
        if parameter is None:
            known = ", ".join(declared) or "none"
            problems.append(
                Problem(
                    "unknown-argument",
                    f"the workflow declares no argument '{name}'",
                    fix=f"declared are: {known}",
                )
            )
        elif not fits(parameter.type, value):
            problems.append(
                Problem(
                    "argument-type",
                    f"argument '{name}' is {type_name(value)}, declared is {parameter.type}",
                    fix=f"give a value of type {parameter.type}",
                )
            )
        elif not in_enum(parameter.enum, value):
            allowed = ", ".join(str(member) for member in parameter.enum)
            problems.append(
                Problem(
                    "argument-enum",
                    f"argument '{name}' may not be {value!r}",
                    fix=f"allowed are: {allowed}",
                )
            )
        else:
            values.append(NamedValue(name, parameter.type, value))
    if problems:
        raise Refused(problems)
    return encode_values(values)


def _key_of(document: Submittable) -> object:
    """What makes two documents the same text, or None if it cannot be told cheaply."""
    if isinstance(document, str | bytes):
        return document
    if isinstance(document, Source):
        return None
    try:
        return msgspec.json.encode(document)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None  # validation will say what is wrong with it


def _parse_for_references(source: Source) -> AnyDocument | None:
    """A first look for references only: whatever is malformed is reported by the check."""
    data = source.data
    kinds: dict[Any, type[AnyDocument]] = {
        "Workflow": Workflow,
        "CronWorkflow": CronWorkflow,
        "WorkflowTemplate": WorkflowTemplate,
    }
    kind = kinds.get(data.get("kind")) if isinstance(data, dict) else None
    if kind is None:
        return None
    try:
        return msgspec.convert(data, kind)
    except (msgspec.ValidationError, RecursionError):
        return None


def _keep(cache: dict[Any, Any], key: object, value: object) -> None:
    """Into the cache; the oldest entry makes room."""
    if len(cache) >= _KEPT:
        del cache[next(iter(cache))]
    cache[key] = value


def _not_a_document(what: str) -> Refused:
    fix = (
        "give a dict, JSON or YAML text, a document struct, or 'name@version'; "
        "for a file its text: Path(…).read_text()"
    )
    return Refused(Problem("not-a-document", f"{what} is no document", fix=fix))


def _wrong_kind(document: AnyDocument) -> Problem:
    if isinstance(document, CronWorkflow):
        fix = "hand it to submit_cron(…)"
    else:
        fix = (
            "hand it to put_template(…), on the shell `--template FILE`, and run it as name@version"
        )
    return Problem("wrong-kind", f"a {document.kind} cannot be run by itself", fix=fix)
