"""The contract suite of the Evaluator port.

In: an evaluator, from `make`. Out: failing tests for every promise it does not keep. Subclass
EvaluatorContract in a test file, name the class Test…, and return a fresh evaluator from `make`.
The forms below are those that every document may use, whatever the language can do beyond them.
"""

from __future__ import annotations

import copy
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from ..errors import InvalidExpression, Problem
from ..expr import Env, Evaluator, Program

_CPU_SECONDS = 1.0  # the promise is milliseconds; the rest is for slow machines

_HOSTILE = {
    "open parentheses": "(" * 200_000,
    "open brackets": "[" * 200_000,
    "negations": "!" * 200_000 + "a.b",
    "a long chain": " == ".join(["a.b"] * 50_000),
    "a long name": "a" + ".a" * 200_000,
    "a long string": "'" + "x" * 1_048_576,
    "escaped quotes": "'" + "\\'" * 200_000,
    "quotes": "'\"" * 200_000,
    "blanks": " " * 1_048_576,
    "braces": "{{" * 200_000,
    "hyphens": "a" + "-" * 200_000,
}


def _code_of(attempt: Callable[[], object]) -> str:
    """The problem code with which an attempt is refused; "" when it is not."""
    try:
        attempt()
    except InvalidExpression as error:
        return error.code
    return ""


def _as_json(program: Program, env: Env) -> str:
    return json.dumps(program.evaluate(env))


class OnlyGet:
    """The least that an environment may be."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def get(self, key: str, default: object = None, /) -> object:
        return self._values.get(key, default)


class EvaluatorContract(ABC):
    """Every sentence of the port's docstrings as a test."""

    @abstractmethod
    def make(self) -> Evaluator:
        """A fresh evaluator."""

    def answer(self, text: str, env: Env | None = None) -> object:
        return self.make().compile(text).evaluate(OnlyGet({}) if env is None else env)

    def refusal(self, text: str) -> Problem:
        """The problem with which `text` is refused; a failing test if it is not."""
        try:
            self.make().compile(text)
        except InvalidExpression as error:
            return error.problems[0]
        raise AssertionError(f"{text[:80]!r} was accepted")

    def test_it_has_a_name(self) -> None:
        assert self.make().name

    def test_a_key_equals_a_quoted_string(self) -> None:
        env = {"tasks.detect-os.outputs.parameters.os": "linux"}
        assert self.answer("tasks.detect-os.outputs.parameters.os == 'linux'", env) is True
        assert self.answer('tasks.detect-os.outputs.parameters.os == "linux"', env) is True
        assert self.answer("tasks.detect-os.outputs.parameters.os == 'darwin'", env) is False

    def test_a_key_differs_from_a_quoted_string(self) -> None:
        assert self.answer("tasks.a.phase != 'Succeeded'", {"tasks.a.phase": "Failed"}) is True
        assert self.answer("tasks.a.phase != 'Succeeded'", {"tasks.a.phase": "Succeeded"}) is False

    def test_a_number_equals_a_bare_number_and_its_own_printed_text(self) -> None:
        assert self.answer("loop_iter.index != 2", {"loop_iter.index": 2}) is False
        assert self.answer("loop_iter.index == 2", {"loop_iter.index": 2.0}) is True
        assert self.answer("loop_iter.index == 2", {"loop_iter.index": "2"}) is True
        assert self.answer("loop_iter.index == '1.5'", {"loop_iter.index": 1.5}) is True
        assert self.answer("loop_iter.index == 2", {"loop_iter.index": 3}) is False

    def test_two_keys_are_compared_by_their_values(self) -> None:
        assert self.answer("tasks.a.code == tasks.b.code", {"tasks.a.code": 1, "tasks.b.code": 1})
        assert not self.answer(
            "tasks.a.code == tasks.b.code", {"tasks.a.code": 1, "tasks.b.code": 2}
        )

    def test_true_and_false_are_constants(self) -> None:
        assert self.answer("true") is True
        assert self.answer("false") is False

    def test_any_word_may_follow_a_dot(self) -> None:
        for word in ("in", "true", "null", "import", "2nd", "a-b-c", "if"):
            assert self.answer(f"tasks.{word}.phase == 'x'", {f"tasks.{word}.phase": "x"}) is True

    def test_workflow_arguments_is_an_alias(self) -> None:
        env = {"workflow.parameters.env": "prod"}
        assert self.answer("workflow.arguments.parameters.env == 'prod'", env) is True

    def test_the_longest_flat_key_wins_over_members(self) -> None:
        env = {"inputs.parameters.a": {"b": "member"}, "inputs.parameters.a.b": "key"}
        assert self.answer("inputs.parameters.a.b == 'key'", env) is True
        del env["inputs.parameters.a.b"]
        assert self.answer("inputs.parameters.a.b == 'member'", env) is True

    def test_a_missing_key_equals_no_string(self) -> None:
        assert self.answer("tasks.gone.phase == 'Succeeded'") is False
        assert self.answer("tasks.gone.phase != 'Succeeded'") is True

    def test_the_program_shows_its_text_and_references_as_written(self) -> None:
        text = "workflow.arguments.parameters.b == tasks.a.phase"
        program = self.make().compile(text)
        assert program.text == text
        assert program.references == ("workflow.arguments.parameters.b", "tasks.a.phase")
        assert self.make().compile("'tasks.a.phase' == tasks.b.phase").references == (
            "tasks.b.phase",
        )

    def test_an_environment_needs_no_more_than_get(self) -> None:
        env = OnlyGet({"tasks.a.phase": "Failed"})
        assert self.answer("tasks.a.phase == 'Failed'", env) is True
        assert self.answer("tasks.b.phase == 'Failed'", env) is False

    def test_evaluation_changes_nothing_in_the_environment(self) -> None:
        env = {"tasks.a.code": {"list": [1, {"x": None}]}, "tasks.b.code": [1, 2]}
        before = copy.deepcopy(env)
        self.answer("tasks.a.code == tasks.b.code", env)
        assert env == before

    def test_a_program_keeps_nothing_of_an_earlier_environment(self) -> None:
        program = self.make().compile("tasks.a.phase == 'Failed'")
        answers = [
            program.evaluate({"tasks.a.phase": phase}) for phase in ("Failed", "Error", "Failed")
        ]
        assert answers == [True, False, True]
        assert program.evaluate({}) is False

    def test_programs_of_one_evaluator_do_not_know_each_other(self) -> None:
        evaluator = self.make()
        first = evaluator.compile("tasks.a.phase == 'x'")
        second = evaluator.compile("tasks.b.phase == 'y'")
        env = {"tasks.a.phase": "x", "tasks.b.phase": "x"}
        assert (first.evaluate(env), second.evaluate(env)) == (True, False)
        assert (first.text, second.text) == ("tasks.a.phase == 'x'", "tasks.b.phase == 'y'")

    def test_threads_may_share_a_program(self) -> None:
        program = self.make().compile("tasks.a.code == 7")

        def ask(code: int) -> object:
            return program.evaluate({"tasks.a.code": code})

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(ask, [7, 8] * 500))
        assert answers == [True, False] * 500

    def test_bad_text_is_refused_with_code_words_and_column(self) -> None:
        for text in (
            "",
            "   ",
            "==",
            "a.b ==",
            "== 'x'",
            "a.b == 'x",
            "a.b = 'x'",
            "a.b == 'x' 'y'",
        ):
            problem = self.refusal(text)
            assert problem.code == "bad-expression", text
            assert problem.what, text
            assert problem.where.column >= 1, text
            assert problem.fix or problem.what, text

    def test_the_column_is_where_the_mistake_is(self) -> None:
        assert self.refusal("tasks.a.phase = 'x'").where.column in (14, 15)
        assert self.refusal("tasks.a.phase == 'x' )").where.column in (21, 22)

    def test_hostile_text_is_answered_at_once_and_only_with_invalid_expression(self) -> None:
        for what, text in _HOSTILE.items():
            before = time.process_time()
            code = _code_of(partial(self.make().compile, text))
            assert code in ("", "bad-expression", "expression-budget"), what
            assert time.process_time() - before < _CPU_SECONDS, what

    def test_values_of_every_shape_give_a_json_value_or_invalid_expression(self) -> None:
        deep: list[Any] = []
        for _ in range(500):
            deep = [deep]
        values = [None, True, 0, -0.0, 1e300, 2**70, "", "é", [], {}, deep, {"a": {"b": [None]}}]
        program = self.make().compile("tasks.a.code == tasks.b.code")
        for left in values:
            for right in values:
                env = {"tasks.a.code": left, "tasks.b.code": right}
                code = _code_of(partial(_as_json, program, env))
                assert code in ("", "expression-error", "expression-budget")

    def test_equal_values_are_equal_and_answers_are_repeatable(self) -> None:
        program = self.make().compile("tasks.a.code == tasks.b.code")
        for value in (True, 3, 1.5, "x", [1, "a"], {"k": [1]}):
            env = {"tasks.a.code": value, "tasks.b.code": copy.deepcopy(value)}
            assert [program.evaluate(env) for _ in range(3)] == [True] * 3
