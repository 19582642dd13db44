"""`check`: a document in, `Checked` out, or every problem at once."""

from __future__ import annotations

from contextlib import suppress
from hashlib import blake2b
from typing import Any

import msgspec

from ..document import (
    API_VERSION,
    KINDS,
    AnyDocument,
    CronWorkflow,
    Metadata,
    Source,
    Workflow,
    encode,
)
from ..errors import InvalidDocument, Problem
from ..expr import Evaluator
from .context import Context
from .cron import check_cron
from .known import Known
from .names import is_name, shown
from .report import Enough, Report
from .shape import Mender
from .values import bad_name
from .workflow import check_spec

_ANYTHING = Known()
_ABSENT = {
    "metadata": ("name",),
    "spec": ("entrypoint", "templates", "schedule", "workflowSpec"),
}
"""What is not missed a second time when the object it belongs into is not there."""


class Checked(msgspec.Struct, frozen=True):
    """A document that may be run, and the text that is stored for it."""

    document: AnyDocument
    warnings: tuple[Problem, ...]
    text: bytes
    digest: bytes


def check(
    source: Source | AnyDocument | dict[str, Any],
    *,
    evaluator: Evaluator | None = None,
    known: Known = _ANYTHING,
    lenient: bool = False,
) -> Checked:
    """Raises InvalidDocument with every problem, warnings included, if one of them is an error."""
    if not isinstance(source, Source):
        source = Source.of(source)
    report = Report()
    document: AnyDocument | None = None
    with suppress(Enough):  # the report says so itself
        document = _check(report, source.data, evaluator, known, lenient)
    problems = report.problems(source)
    if document is None or report.has_errors:
        raise InvalidDocument(problems)
    return seal(document, tuple(problems))


def seal(document: AnyDocument, warnings: tuple[Problem, ...] = ()) -> Checked:
    """A document that is known to be good, such as one that `resolve` made, ready to be stored."""
    text = encode(document)
    return Checked(document, warnings, text, blake2b(text, digest_size=16).digest())


def _check(
    report: Report, data: Any, evaluator: Evaluator | None, known: Known, lenient: bool
) -> AnyDocument | None:
    if not isinstance(data, dict):
        what = "a document is an object, and this is none"
        report.error("wrong-type", (), what, "begin with 'apiVersion: aether/v1'")
        return None
    kind = _check_envelope(report, data)
    document = _convert(report, data, kind, lenient)
    ctx = Context(report, evaluator, known)
    _check_metadata(ctx, document.metadata)
    if isinstance(document, CronWorkflow):
        check_cron(ctx, document.spec, ("spec",))
        raw = data.get("spec")
        if isinstance(raw, dict) and raw.get("workflowSpec") is not None:
            check_spec(ctx, document.spec.workflow_spec, ("spec", "workflowSpec"))
        else:
            what = "'workflowSpec' is missing: there is nothing to run"
            fix = "add 'workflowSpec' with entrypoint and templates"
            report.missing(("spec",), "workflowSpec", what, fix)
    else:
        check_spec(ctx, document.spec, ("spec",))
    return document


def _check_envelope(report: Report, data: dict[str, Any]) -> type[AnyDocument]:
    """The kind to judge the document as: the nearest when it names none that exists."""
    version, kind = data.get("apiVersion"), data.get("kind")
    if not version:
        what = "'apiVersion' is missing"
        report.missing((), "apiVersion", what, f"add 'apiVersion: {API_VERSION}'")
    elif isinstance(version, str) and version != API_VERSION:
        what = f"'{shown(version)}' is no version of the protocol that is served here"
        report.error("api-version", ("apiVersion",), what, f"write '{API_VERSION}'")
    for member in ("metadata", "spec"):
        if data.get(member) is None:
            report.missing((), member, f"'{member}' is missing", f"add '{member}: ...'")
            for inner in _ABSENT[member]:
                report.damage((member, inner))
    if isinstance(kind, str) and kind in KINDS:
        return KINDS[kind]
    if not kind:
        report.missing((), "kind", "'kind' is missing", "add for example 'kind: Workflow'")
    elif isinstance(kind, str):
        fix = report.speller.did_you_mean(kind, KINDS, "write Workflow")
        report.error("unknown-kind", ("kind",), f"there is no kind '{shown(kind)}'", fix)
    spec = data.get("spec")
    is_cron = isinstance(spec, dict) and ("schedule" in spec or "workflowSpec" in spec)
    return CronWorkflow if is_cron else Workflow


def _convert(
    report: Report, data: dict[str, Any], kind: type[AnyDocument], lenient: bool
) -> AnyDocument:
    try:
        return msgspec.convert(data, kind)
    except (msgspec.ValidationError, RecursionError):
        clean = Mender(report, lenient).struct(kind, data, ())
    return msgspec.convert(clean, kind)


def _check_metadata(ctx: Context, metadata: Metadata) -> None:
    name = metadata.name
    if not name:
        what = "the document has no name"
        ctx.report.missing(("metadata",), "name", what, "add 'name: ...' to metadata")
    elif not is_name(name):
        bad_name(ctx, "document", name, ("metadata", "name"))
