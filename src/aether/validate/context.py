"""What the rules of one document share: the report, the templates by name, compiled expressions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..document import Dag, Loop, Parameter, Path, Task, Values, WorkflowSpec, parse_micros
from ..errors import InvalidExpression, Problem
from ..expr import ANY_ROOT, Evaluator, Program, compile_expression
from .known import ROOTS, Known
from .members import ENFORCED
from .names import shown
from .report import Report


class Entry:
    """One template, as others see it."""

    __slots__ = ("at", "body", "inputs", "kind", "name", "passed", "roles")

    def __init__(self, kind: str, body: Task | Dag | Loop, at: Path) -> None:
        self.kind = kind
        self.body = body
        self.at = at
        self.name = body.name
        self.inputs: dict[str, Parameter] = {
            parameter.name: parameter
            for parameter in (body.inputs.parameters if body.inputs else ())
        }
        self.passed: set[str] | None = set()  # names that callers pass; None: anything
        self.roles: set[str] = set()  # "work", "hook"


class Context:
    def __init__(self, report: Report, evaluator: Evaluator | None, known: Known) -> None:
        self.report = report
        self.evaluator = evaluator
        self.known = known
        self.spec = WorkflowSpec()
        self.at: Path = ()
        self.templates: dict[str, Entry] = {}
        self.entries: list[Entry] = []
        self.arguments: frozenset[str] = frozenset()
        self.roots: Collection[str] = (
            ANY_ROOT if known.namespaces is None else ROOTS | known.namespaces
        )
        self.good_references: set[str] = set()  # workflow.* that were looked at already
        self._durations: set[str] = set()
        self._programs: dict[str, Program] = {}
        self._said: set[str] = set()

    def once(self, key: str) -> bool:
        """True the first time: for warnings that one place stands for."""
        if key in self._said:
            return False
        self._said.add(key)
        return True

    def compile(self, text: str, *, bound: bool = False) -> Program | Problem | None:
        """None when there is no evaluator. `bound`: the text may hold placeholders."""
        found = self._programs.get(text)
        if found is None:
            if self.evaluator is None:
                return None
            try:
                if bound and "{{" in text:
                    return compile_expression(text, self.evaluator)
                found = self.evaluator.compile(text)
            except InvalidExpression as exc:
                return exc.problems[0]
            self._programs[text] = found
        return found

    def members(self, part: Any, at: Path) -> None:
        """Choices, ranges and durations of one struct, from the table of members."""
        for attribute, member, rule in ENFORCED[type(part)]:
            value = getattr(part, attribute)
            if not value and value is not None and rule.least is None:
                continue
            if rule.duration:
                self._duration(value, (*at, member))
            elif rule.choices:
                if value not in rule.choices:
                    self._choice(value, rule.choices, (*at, member))
            elif value is not None and rule.least is not None and rule.most is not None:
                if not rule.least <= value <= rule.most:
                    what = f"{shown(value)} is out of range"
                    fix = f"write a number from {rule.least:,g} to {rule.most:,g}"
                    self.report.error("out-of-range", (*at, member), what, fix)

    def _choice(self, value: str, choices: tuple[str, ...], path: Path) -> None:
        options = ", ".join(choices[:-1]) + " or " + choices[-1]
        fix = self.report.speller.did_you_mean(value, choices, f"write {options}")
        self.report.error("bad-choice", path, f"'{shown(value)}' is none of {options}", fix)

    def _duration(self, value: str, path: Path) -> None:
        if value in self._durations:
            return
        micros = parse_micros(value)
        if micros is None:
            what = f"'{shown(value)}' is no duration"
            fix = "write for example 300ms, 90s, 1h30m or 2d"
            self.report.error("bad-duration", path, what, fix)
        elif micros and path[-1] == "timeout" and not self.known.has_timeouts:
            if self.once("timeouts"):
                what = "timeouts are not enforced: the engine has no timeout watcher"
                fix = "give Engine(...) a timeout_watcher"
                self.report.warn("no-timeout-watcher", path, what, fix)
        else:
            self._durations.add(value)


def parameters_of(values: Values | None) -> tuple[Parameter, ...]:
    return values.parameters if values is not None else ()
