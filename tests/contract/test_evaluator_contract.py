"""The Evaluator port: both evaluators keep its promises, and the suite notices who does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aether.adapters.evaluator import SimpleEvaluator
from aether.errors import InvalidExpression, Problem, Where
from aether.expr import CelEvaluator, Env, Evaluator, Program
from aether.testing.evaluator_contract import EvaluatorContract


class TestCelEvaluator(EvaluatorContract):
    def make(self) -> Evaluator:
        return CelEvaluator()


class TestSimpleEvaluator(EvaluatorContract):
    def make(self) -> Evaluator:
        return SimpleEvaluator()


class Wrapped:
    """A program that behaves like another one; the broken ones below change one thing."""

    def __init__(self, inner: Program) -> None:
        self.inner = inner

    @property
    def text(self) -> str:
        return self.inner.text

    @property
    def references(self) -> tuple[str, ...]:
        return self.inner.references

    def evaluate(self, env: Env, /) -> object:
        return self.inner.evaluate(env)


class Broken:
    name = "broken"

    def compile(self, text: str, /) -> Program:
        return Wrapped(CelEvaluator().compile(text))


class KeepsItsFirstAnswer(Broken):
    def compile(self, text: str, /) -> Program:
        class Kept(Wrapped):
            answers: list[object]

            def evaluate(self, env: Env, /) -> object:
                self.answers.append(self.inner.evaluate(env))
                return self.answers[0]

        kept = Kept(CelEvaluator().compile(text))
        kept.answers = []
        return kept


class WritesIntoTheEnvironment(Broken):
    def compile(self, text: str, /) -> Program:
        class Writing(Wrapped):
            def evaluate(self, env: Env, /) -> object:
                if isinstance(env, dict):
                    env["last"] = self.text
                return self.inner.evaluate(env)

        return Writing(CelEvaluator().compile(text))


class RaisesValueError(Broken):
    def compile(self, text: str, /) -> Program:
        try:
            return CelEvaluator().compile(text)
        except InvalidExpression as error:
            raise ValueError(str(error)) from error


class ForgetsTheColumn(Broken):
    def compile(self, text: str, /) -> Program:
        try:
            return CelEvaluator().compile(text)
        except InvalidExpression as error:
            first = error.problems[0]
            raise InvalidExpression(Problem(first.code, first.what, fix=first.fix)) from error


class AlwaysSaysColumnOne(Broken):
    def compile(self, text: str, /) -> Program:
        try:
            return CelEvaluator().compile(text)
        except InvalidExpression as error:
            first = error.problems[0]
            raise InvalidExpression(Problem(first.code, first.what, Where(column=1))) from error


class SortsItsReferences(Broken):
    def compile(self, text: str, /) -> Program:
        class Sorted(Wrapped):
            @property
            def references(self) -> tuple[str, ...]:
                return tuple(sorted(self.inner.references))

        return Sorted(CelEvaluator().compile(text))


class WantsADict(Broken):
    def compile(self, text: str, /) -> Program:
        class Copying(Wrapped):
            def evaluate(self, env: Env, /) -> object:
                if not isinstance(env, dict):
                    raise TypeError("a dict, please")
                return self.inner.evaluate(dict(env))

        return Copying(CelEvaluator().compile(text))


class NestsWithoutEnd(Broken):
    def compile(self, text: str, /) -> Program:
        def nest(at: int) -> int:
            return nest(at + 1) if text[at : at + 1] in ("(", "[", "!") else at

        nest(0)
        return CelEvaluator().compile(text)


class KnowsNoAlias(Broken):
    def compile(self, text: str, /) -> Program:
        return Wrapped(CelEvaluator().compile(text.replace("workflow.arguments", "workflow.other")))


class AnswersWithText(Broken):
    def compile(self, text: str, /) -> Program:
        class Text(Wrapped):
            def evaluate(self, env: Env, /) -> object:
                return str(self.inner.evaluate(env)).lower()

        return Text(CelEvaluator().compile(text))


BROKEN: list[tuple[Callable[[], Evaluator], str]] = [
    (KeepsItsFirstAnswer, "test_a_program_keeps_nothing_of_an_earlier_environment"),
    (WritesIntoTheEnvironment, "test_evaluation_changes_nothing_in_the_environment"),
    (RaisesValueError, "test_bad_text_is_refused_with_code_words_and_column"),
    (ForgetsTheColumn, "test_bad_text_is_refused_with_code_words_and_column"),
    (AlwaysSaysColumnOne, "test_the_column_is_where_the_mistake_is"),
    (SortsItsReferences, "test_the_program_shows_its_text_and_references_as_written"),
    (WantsADict, "test_an_environment_needs_no_more_than_get"),
    (NestsWithoutEnd, "test_hostile_text_is_answered_at_once_and_only_with_invalid_expression"),
    (KnowsNoAlias, "test_workflow_arguments_is_an_alias"),
    (AnswersWithText, "test_true_and_false_are_constants"),
]


@pytest.mark.parametrize(("make", "test"), BROKEN, ids=[make.__name__ for make, _ in BROKEN])
def test_the_suite_rejects_a_broken_evaluator(make: Callable[[], Evaluator], test: str) -> None:
    class Contract(EvaluatorContract):
        def make(self) -> Evaluator:
            return make()

    with pytest.raises((AssertionError, ValueError, TypeError, RecursionError)):
        getattr(Contract(), test)()


def test_the_unbroken_wrapper_passes_every_test_that_rejects_a_broken_one() -> None:
    class Contract(EvaluatorContract):
        def make(self) -> Evaluator:
            return Broken()

    for _, test in BROKEN:
        getattr(Contract(), test)()
