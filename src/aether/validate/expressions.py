"""Expressions, references and placeholders: do they compile, and is what they name in sight?"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..document import Path, PhaseConditions, Retry, ValueFrom
from ..errors import Problem
from ..expr import ANY_ROOT, Program, compile_template, lone_reference
from .codes import CODES
from .context import Context
from .sight import Sight


def check_expression(
    ctx: Context, text: str, path: Path, sight: Sight, *, bound: bool = False
) -> None:
    """`bound`: placeholders stand for values, as in valueFrom.expression and itemsFrom."""
    program = ctx.compile(text, bound=bound)
    if program is None:
        _no_evaluator(ctx, path)
    elif isinstance(program, Problem):
        code = program.code if program.code in CODES else "bad-expression"
        where = program.where
        within = where.column - 1 if where.column and where.line <= 1 else None
        fix = program.fix or "correct the expression; docs/expressions.md shows the language"
        ctx.report.error(code, path, program.what, fix, within=within)
    else:
        _check_references(ctx, program, text, path, sight)


def _check_references(ctx: Context, program: Program, text: str, path: Path, sight: Sight) -> None:
    for reference in program.references:
        if complaint := sight.complaint(reference):
            at = text.find(reference)
            ctx.report.warn(
                complaint[0], path, complaint[1], complaint[2], within=at if at >= 0 else None
            )


def _no_evaluator(ctx: Context, path: Path) -> None:
    what = "this is an expression, and the engine has no evaluator"
    ctx.report.error("no-evaluator", path, what, "give Engine(...) evaluator=CelEvaluator()")


def check_reference(ctx: Context, key: str, path: Path, sight: Sight) -> None:
    """`valueFrom.parameter`, or the key in a lone placeholder."""
    if complaint := sight.complaint(key.strip()):
        ctx.report.warn(complaint[0], path, complaint[1], complaint[2])


def check_value_from(ctx: Context, source: ValueFrom, path: Path, sight: Sight) -> None:
    if source.path:
        check_reference(ctx, source.path, (*path, "path"), sight)
    elif source.parameter:
        check_reference(ctx, source.parameter, (*path, "parameter"), sight)
    elif source.expression:
        check_expression(ctx, source.expression, (*path, "expression"), sight, bound=True)
    elif source.secret_key_ref is not None:
        _check_secret(ctx, source, (*path, "secretKeyRef"))
    else:
        what = "'valueFrom' names nothing, so there is no value"
        fix = "give it parameter, expression or secretKeyRef"
        ctx.report.warn("empty-value-from", path, what, fix)


def _check_secret(ctx: Context, source: ValueFrom, path: Path) -> None:
    secret = source.secret_key_ref
    for member in ("name", "key"):
        if not getattr(secret, member):
            ctx.report.missing(path, member, f"the secret has no {member}", f"add its {member}")
    if not ctx.known.has_secrets:
        what = "the document reads a secret, and the engine has no secret provider"
        ctx.report.error(
            "no-secret-provider", path, what, "give Engine(...) secret_provider=EnvSecrets()"
        )


def check_list_source(ctx: Context, text: str, path: Path, sight: Sight) -> None:
    """`itemsFrom`: a lone `{{key}}`, else an expression."""
    if key := lone_reference(text):
        if complaint := sight.complaint(key):
            code, what, fix = complaint
            ctx.report.warn(code, path, what, fix, within=text.find(key))
    else:
        check_expression(ctx, text, path, sight, bound=True)


def check_retry(ctx: Context, retry: Retry, path: Path, sight: Sight) -> None:
    ctx.members(retry, path)
    if retry.backoff is not None:
        ctx.members(retry.backoff, (*path, "backoff"))
    if retry.expression:
        check_expression(ctx, retry.expression, (*path, "expression"), sight)


def check_conditions(ctx: Context, conditions: PhaseConditions, path: Path, sight: Sight) -> None:
    for member in ("succeeded", "failed", "error"):
        if text := getattr(conditions, member):
            check_expression(ctx, text, (*path, member), sight)


def check_placeholders(
    ctx: Context, value: Any, path: Path, sight: Sight, bare: frozenset[str] | None = frozenset()
) -> None:
    """Every `{{ }}` in the strings of a literal, at any depth. `bare` are further first words that
    stand for something here; None: any word may."""
    waiting: list[tuple[Any, Path]] = [(value, path)]
    while waiting:
        here, at = waiting.pop()
        kind = type(here)
        if kind is str:
            if "{{" in here:
                _check_text(ctx, here, at, sight, bare)
        elif kind is dict or kind is list or kind is tuple:
            for key, inner in here.items() if kind is dict else enumerate(here):
                kind = type(inner)
                if kind is dict or kind is list or (kind is str and "{{" in inner):
                    waiting.append((inner, (*at, key)))


def _check_text(
    ctx: Context, text: str, path: Path, sight: Sight, bare: frozenset[str] | None
) -> None:
    roots: Collection[str] = ANY_ROOT if bare is None else ctx.roots
    if bare and roots is not ANY_ROOT:
        roots = {*roots, *bare}
    template = compile_template(text, ctx.evaluator, roots)
    if template is None:
        return
    for warning in template.warnings:
        where = warning.where
        within = where.column - 1 if where.column and where.line <= 1 else None
        ctx.report.warn(warning.code, path, warning.what, warning.fix, within=within)
    for reference in template.references:
        if bare and reference.partition(".")[0] in bare:
            continue
        if complaint := sight.complaint(reference):
            code, what, fix = complaint
            ctx.report.warn(code, path, what, fix, within=text.find(reference))
