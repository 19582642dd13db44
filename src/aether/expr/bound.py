"""Expressions with `{{ }}` in them: what a placeholder holds is a value, never more text.

In: the text of a `valueFrom.expression`. Out: a program. Outside of quotes `{{ x }}` means `(x)`.
Inside of a string it adds the printed value to the string, so that `'{{ x }}-1'` is text whatever x is.
Columns of problems are those of the text as written.
"""

from __future__ import annotations

import re

from ..errors import InvalidExpression
from .evaluator import Env, Evaluator, Program
from .limits import MAX_PLACEHOLDERS, MAX_SOURCE
from .placeholders import closing, has_braces
from .reference import is_key
from .site import Site
from .template import ANY_ROOT, Template, compile_template
from .tokens import LITERAL, string_value
from .values import printed

_ROOT = "__."  # keys of strings with placeholders; no document can define such a name
_MARK = re.compile(r"(?<![\w.-])[rR](?=['\"])|['\"]|\{\{")


def compile_expression(text: str, evaluator: Evaluator) -> Program:
    """A program for `text`, in which `{{ }}` may occur. Raises InvalidExpression.

    A key that does not exist is null outside of quotes, and an error inside of a string.
    """
    if not has_braces(text):
        return evaluator.compile(text)
    if len(text) > MAX_SOURCE:
        what = f"the expression has {len(text)} characters; at most {MAX_SOURCE} are allowed"
        raise Site("", 0).exhausted(what)
    templates: list[tuple[Template, Site]] = []
    written: list[str] = []
    done = 0
    while (mark := _MARK.search(text, done)) is not None:
        at = mark.start()
        written.append(text[done:at])
        site = Site(text, at)
        if len(written) > 2 * MAX_PLACEHOLDERS:
            raise site.exhausted(f"at most {MAX_PLACEHOLDERS} strings and placeholders are read")
        if mark.group() == "{{":
            done, part = _placeholder(site, "".join(written[-2:]), evaluator)
        else:
            literal = LITERAL.match(text, at)
            if literal is None:
                raise site.syntax("this string has no closing quote", f"close it with {text[at]}")
            done, part = literal.end(), _string(literal.group(), site, evaluator, templates)
        written.append(part)
    written.append(text[done:])
    return BoundProgram(text, evaluator.compile("".join(written)), templates)


def _string(
    literal: str, site: Site, evaluator: Evaluator, templates: list[tuple[Template, Site]]
) -> str:
    """A literal without placeholders stays; one with them becomes a key that holds its template."""
    if not has_braces(literal):
        return literal
    template = compile_template(string_value(literal, site), evaluator, ANY_ROOT)
    if template is None:
        return literal
    if template.warnings:
        raise site.syntax(template.warnings[0].what, template.warnings[0].fix)
    templates.append((template, site))
    return f"{_ROOT}{len(templates) - 1}".ljust(len(literal))


def _placeholder(site: Site, before: str, evaluator: Evaluator) -> tuple[int, str]:
    """The place behind a placeholder, and what the evaluator reads instead, just as long."""
    text, start = site.text, site.at + 2
    end = text.find("}}", start)
    if end < 0:
        raise site.syntax("this placeholder has no end", "close it with }}")
    end = closing(text, start, end)
    content = text[start:end]
    if before.rstrip().endswith("."):
        raise site.syntax(
            "a placeholder gives a value, not a part of a name", "write map[{{ key }}] to look up"
        )
    if is_key(content.strip()):
        return end + 2, f"  {content}  "
    _alone(content.strip(), site, evaluator)
    return end + 2, f" ({content}) "


def _alone(content: str, site: Site, evaluator: Evaluator) -> None:
    """Each placeholder is an expression of its own: `{{ 1) + (2 }}` is none."""
    try:
        evaluator.compile(content)
    except InvalidExpression as error:
        problem = error.problems[0]
        raise site.syntax(f"in the placeholder: {problem.what}", problem.fix) from error


class _BoundEnv:
    """The environment, and behind `__.` the strings of the expression."""

    __slots__ = ("_env", "_templates")

    def __init__(self, env: Env, templates: list[tuple[Template, Site]]) -> None:
        self._env = env
        self._templates = templates

    def get(self, key: str, default: object = None, /) -> object:
        if not key.startswith(_ROOT):
            return self._env.get(key, default)
        number = key[len(_ROOT) :]
        if not number.isdigit() or int(number) >= len(self._templates):
            return default
        template, site = self._templates[int(number)]
        problems: list[str] = []
        text = template.render(self._env, problems.append)
        if problems:
            raise site.fails(problems[0], "give the key a value, or a default where it is declared")
        try:
            return printed(text)
        except ValueError as exc:
            raise site.fails(f"the value cannot be part of a string: {exc}") from exc


class BoundProgram:
    """A program whose strings are templates; see `Program`."""

    __slots__ = ("_program", "_templates", "references", "text")

    references: tuple[str, ...]
    text: str

    def __init__(self, text: str, program: Program, templates: list[tuple[Template, Site]]) -> None:
        self.text = text
        self._program = program
        self._templates = templates
        names: list[str] = []
        for name in program.references:
            if name.startswith(_ROOT):
                names += templates[int(name[len(_ROOT) :])][0].references
            else:
                names.append(name)
        self.references = tuple(names)

    def evaluate(self, env: Env, /) -> object:
        return self._program.evaluate(_BoundEnv(env, self._templates) if self._templates else env)
