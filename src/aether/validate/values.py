"""Parameters and artifacts: names, declared types, literals, and where values come from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..document import Artifact, Outputs, Parameter, Path, Values
from .context import Context
from .expressions import check_placeholders, check_reference, check_value_from
from .known import ARTIFACT_TYPES
from .names import is_name, shown
from .sight import Sight
from .types import TYPES, fits, in_enum, type_name

_CONFIG = {"oss": ("bucket", "key", "endpoint"), "local": ("path",), "http": ("url",)}
_NO_NAME_FIX = "give it a name"


def check_values(
    ctx: Context,
    values: Values | Outputs | None,
    at: Path,
    sight: Sight,
    *,
    strict_names: bool = False,
    bare: frozenset[str] | None = frozenset(),
) -> None:
    if values is None:
        return
    if values.parameters:
        _check_parameters(ctx, values.parameters, (*at, "parameters"), sight, strict_names, bare)
    if values.artifacts:
        _check_artifacts(ctx, values.artifacts, (*at, "artifacts"), sight)


def _check_parameters(
    ctx: Context,
    parameters: tuple[Parameter, ...],
    at: Path,
    sight: Sight,
    strict_names: bool,
    bare: frozenset[str] | None,
) -> None:
    seen: set[str] = set()
    for index, parameter in enumerate(parameters):
        name = parameter.name
        if not name:
            ctx.report.missing((*at, index), "name", "this parameter has no name", _NO_NAME_FIX)
        elif name in seen:
            _duplicate(ctx, "parameter", name, (*at, index, "name"))
        elif strict_names and not is_name(name):
            bad_name(ctx, "parameter", name, (*at, index, "name"))
        seen.add(name)
        if parameter.type or parameter.enum:
            _check_declared(ctx, parameter, (*at, index))
        if parameter.value_from is not None:
            check_value_from(ctx, parameter.value_from, (*at, index, "valueFrom"), sight)
        if parameter.value is not None:
            check_placeholders(ctx, parameter.value, (*at, index, "value"), sight, bare)
            if parameter.value_from is not None:
                what = f"'{shown(name)}' has a value, so its valueFrom has no effect"
                ctx.report.warn(
                    "ignored-member", (*at, index, "valueFrom"), what, "remove one of the two"
                )
        if parameter.default is not None:
            check_placeholders(ctx, parameter.default, (*at, index, "default"), sight, bare)


def bad_name(ctx: Context, of: str, name: str, path: Path) -> None:
    what = f"'{shown(name)}' is no name for a {of}"
    fix = "use lower case letters, digits and hyphens, at most 63, no hyphen at either end"
    ctx.report.error("bad-name", path, what, fix)


def _duplicate(ctx: Context, of: str, name: str, path: Path) -> None:
    what = f"there are two {of}s named '{shown(name)}'"
    ctx.report.error("duplicate-parameter", path, what, "rename or remove one of them")


def _check_declared(ctx: Context, parameter: Parameter, at: Path) -> None:
    """The declared type, and every literal against it and against the enum."""
    declared = parameter.type
    if declared and declared not in TYPES:
        options = ", ".join(TYPES)
        fix = ctx.report.speller.did_you_mean(declared, TYPES, f"write one of {options}")
        what = f"'{shown(declared)}' is no parameter type"
        ctx.report.error("unknown-type", (*at, "type"), what, fix)
    check_literal(ctx, parameter.value, parameter, (*at, "value"))
    check_literal(ctx, parameter.default, parameter, (*at, "default"))
    for index, member in enumerate(parameter.enum):
        if not fits(declared, member):
            _mismatch(ctx, member, parameter, (*at, "enum", index))


def check_literal(ctx: Context, value: Any, declared: Parameter, path: Path) -> None:
    """A literal against the declaration of the parameter it is for. Text with `{{ }}` can only be
    judged when it has been filled in."""
    if value is None or (type(value) is str and "{{" in value):
        return
    if not fits(declared.type, value):
        _mismatch(ctx, value, declared, path)
    elif declared.enum and not in_enum(declared.enum, value):
        members = ", ".join(shown(member) for member in declared.enum[:10])
        what = f"{shown(repr(value))} is not among the values of '{shown(declared.name)}'"
        ctx.report.error("not-in-enum", path, what, f"write one of {members}")


def _mismatch(ctx: Context, value: Any, declared: Parameter, path: Path) -> None:
    what = f"'{shown(declared.name)}' is of type {declared.type}, and this is {type_name(value)}"
    fix = f"write a value of type {declared.type}, or declare another type"
    ctx.report.error("type-mismatch", path, what, fix)


def _check_artifacts(ctx: Context, artifacts: Iterable[Artifact], at: Path, sight: Sight) -> None:
    seen: set[str] = set()
    for index, artifact in enumerate(artifacts):
        here = (*at, index)
        if not artifact.name:
            ctx.report.missing(here, "name", "this artifact has no name", _NO_NAME_FIX)
        elif artifact.name in seen:
            _duplicate(ctx, "artifact", artifact.name, (*here, "name"))
        seen.add(artifact.name)
        if artifact.archive is not None:
            ctx.members(artifact.archive, (*here, "archive"))
        if artifact.from_:
            check_reference(ctx, artifact.from_, (*here, "from"), sight)
        if artifact.source is not None:
            _check_source(ctx, artifact, here)


def _check_source(ctx: Context, artifact: Artifact, at: Path) -> None:
    source = artifact.source
    assert source is not None, "the caller looked"
    kind, here = source.type, (*at, "source")
    if not kind:
        ctx.report.missing(here, "type", "the artifact's source has no type", "write oss or local")
        return
    for member in _CONFIG.get(kind, ()):
        value = source.config.get(member)
        if not isinstance(value, str) or not value:
            what = f"the {kind} source of '{shown(artifact.name)}' needs '{member}' as text"
            ctx.report.error(
                "bad-artifact", (*here, "config"), what, f"add '{member}: ...' to its config"
            )
    known = ctx.known.artifact_types
    if known is not None and kind not in known:
        what = f"no artifact repository is registered for the source type '{shown(kind)}'"
        fix = f"give Engine(...) a repository whose type is '{shown(kind)}'"
        if kind not in ARTIFACT_TYPES:
            fix = ctx.report.speller.did_you_mean(kind, known | ARTIFACT_TYPES, fix)
        ctx.report.error("no-artifact-repository", (*here, "type"), what, fix)
