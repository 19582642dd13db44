"""The language as its users see it: names, values, equality, functions, messages."""

from __future__ import annotations

from typing import Any

import pytest

from aether.errors import InvalidExpression, Problem
from aether.expr import CelEvaluator
from aether.record import Phase

CEL = CelEvaluator()


def value(text: str, **env: Any) -> Any:
    return CEL.compile(text).evaluate(env)


def under(text: str, env: dict[str, Any]) -> Any:
    return CEL.compile(text).evaluate(env)


def problem(text: str, env: dict[str, Any] | None = None) -> Problem:
    with pytest.raises(InvalidExpression) as caught:
        CEL.compile(text).evaluate(env or {})
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


class TestNames:
    def test_names_inside_a_reference_may_contain_hyphens(self) -> None:
        env = {"tasks.detect-os.outputs.parameters.os-name": "linux"}
        assert under("tasks.detect-os.outputs.parameters.os-name == 'linux'", env) is True

    def test_subtraction_has_blanks_around_its_sign(self) -> None:
        assert under("x.n - 1", {"x.n": 3, "x.n-1": 9}) == 2
        assert under("x.n-1", {"x.n": 3, "x.n-1": 9}) == 9
        assert value("3-1") == 2
        assert value("size([1, 2])-1") == 1

    def test_a_bare_word_with_a_hyphen_is_refused_with_the_way_to_subtract(self) -> None:
        found = problem("a-b > 0")
        assert (found.code, found.where.column) == ("bad-expression", 1)
        assert "a - b" in found.fix

    @pytest.mark.parametrize(
        "word", ["import", "2nd", "in", "true", "null", "for", "a-b", "007", "has"]
    )
    def test_after_a_dot_every_word_is_a_name(self, word: str) -> None:
        assert under(f"tasks.{word}.phase", {f"tasks.{word}.phase": "x"}) == "x"
        assert value(f"{{'{word}': 5}}.{word}") == 5

    def test_the_longest_flat_key_wins_then_members(self) -> None:
        env: dict[str, Any] = {
            "tasks.a.outputs.parameters.x": {"y": {"z": "member"}},
            "tasks.a": {"outputs": {"parameters": {"x": "short"}}},
        }
        assert under("tasks.a.outputs.parameters.x.y.z", env) == "member"
        env["tasks.a.outputs.parameters.x.y"] = {"z": "longer"}
        assert under("tasks.a.outputs.parameters.x.y.z", env) == "longer"
        env["tasks.a.outputs.parameters.x.y.z"] = "whole"
        assert under("tasks.a.outputs.parameters.x.y.z", env) == "whole"

    def test_brackets_with_a_string_are_one_more_name(self) -> None:
        env = {"tasks.a b.phase": "x", "inputs.parameters.m": {"odd key": {"k": 1}}}
        assert under("tasks['a b'].phase", env) == "x"
        assert under("inputs.parameters.m['odd key'].k", env) == 1
        assert under("inputs.parameters.m['odd key'].k.size", {}) is None
        assert under("tasks['a b'].phase.startsWith('x')", env) is True

    def test_workflow_arguments_parameters_is_an_alias(self) -> None:
        env = {"workflow.parameters.p": {"k": 1}}
        assert under("workflow.arguments.parameters.p.k", env) == 1
        assert under("has(workflow.arguments.parameters.p)", env) is True
        assert CEL.compile("workflow.arguments.parameters.p").references == (
            "workflow.arguments.parameters.p",
        )

    def test_what_is_missing_is_null(self) -> None:
        assert value("tasks.gone.phase") is None
        assert value("tasks.gone.phase.deeper") is None
        assert value("x.gone", x={"k": 1}) is None
        assert value("x['gone']['deeper']", x={"k": 1}) is None
        assert value("x.k", x=None) is None
        assert value("nobody == linux") is True  # two unknown words are both null
        assert value("a == linux", a="linux") is False

    def test_has_tells_what_exists_even_if_it_is_null(self) -> None:
        env = {"a.b": None, "c": {"d": None}}
        assert under("has(a.b)", env) is True
        assert under("has(c.d)", env) is True
        assert under("has(c['d'])", env) is True
        assert under("has(a.c)", env) is False
        assert under("has(c.e)", env) is False
        assert under("has(a.b.c)", env) is False

    def test_references_are_listed_in_order_as_written_without_variables(self) -> None:
        text = "b.c == 'x.y' && a . b-c > 1 ? phase : l.m.map(x, x.y + z['q'].r)"
        assert CEL.compile(text).references == ("b.c", "a.b-c", "phase", "l.m", "z.q.r")

    def test_a_variable_hides_a_key_of_the_same_name(self) -> None:
        env = {"x": 1, "x.y": 2, "l": [{"y": 5}]}
        assert under("l.map(x, x.y)", env) == [5]
        assert under("l.map(x, x.y)[0] + x.y", env) == 7


class TestEquality:
    def test_the_forms_that_documents_use(self) -> None:
        assert under(
            "tasks.x.outputs.parameters.os == 'linux'", {"tasks.x.outputs.parameters.os": "linux"}
        )
        assert under("loop_iter.index != 2", {"loop_iter.index": 1}) is True
        assert (
            under("tasks.flaky.phase != 'Succeeded'", {"tasks.flaky.phase": Phase.FAILED}) is True
        )
        assert under("tasks.flaky.phase == 'Failed'", {"tasks.flaky.phase": Phase.FAILED}) is True

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2 == '2'", True),
            ("'2' == 2", True),
            ("2.0 == '2'", True),
            ("1.5 == '1.5'", True),
            ("1000000.0 == '1000000'", True),
            ("2 == '2.0'", False),
            ("2 == ' 2'", False),
            ("2 != '2'", False),
            ("'2' in [1, 2]", True),
            ("[2, [1.5]] == ['2', ['1.5']]", True),
            ("{'a': 1} == {'a': '1'}", True),
            ("true == 'true'", False),
            ("true == 1", False),
            ("null == 'null'", False),
            ("null == false", False),
            ("[] == {}", False),
            ("'a' == ['a']", False),
            ("9007199254740993 == 9007199254740992.0", False),
            ("9007199254740993 > 9007199254740992.0", True),
        ],
    )
    def test_unequal_kinds_are_unequal_but_a_number_equals_its_printed_text(
        self, text: str, expected: bool
    ) -> None:
        assert value(text) is expected

    def test_equality_never_fails_whatever_the_values_are(self) -> None:
        things: list[Any] = [None, True, 1, 2.5, "x", [], {}, 2**80, object(), Phase.READY]
        for a in things:
            for b in things:
                assert value("a == b", a=a, b=b) is not value("a != b", a=a, b=b)

    def test_ordering_needs_values_of_one_kind(self) -> None:
        assert value("1 < 1.5 && 'a' < 'b' && false < true")
        assert problem("'10' > 5").fix == "use int(x) or double(x) on the string"
        assert "has(x)" in problem("gone > 5").fix
        assert problem("[1] < [2]").code == "expression-error"


class TestTypes:
    @pytest.mark.parametrize(
        ("text", "name"),
        [("1", "int"), ("1.0", "double"), ("'a'", "string"), ("true", "bool"), ("null", "null_type"),
         ("[1]", "list"), ("{}", "map")],
    )  # fmt: skip
    def test_type_names_a_kind(self, text: str, name: str) -> None:
        assert value(f"type({text})") == name
        assert value(f"type({text}) == {name}") is True

    def test_a_key_may_be_called_like_a_type(self) -> None:
        assert value("string", string="mine") == "mine"

    def test_ints_are_64_bits_wide(self) -> None:
        assert value("9223372036854775807") == 2**63 - 1
        assert value("-9223372036854775808") == -(2**63)
        for text in (
            "9223372036854775807 + 1",
            "-9223372036854775808 - 1",
            "x * 2",
            "-x",
            "x / -1",
        ):
            assert problem(text, {"x": -(2**63)}).code == "expression-error", text
        assert problem("9223372036854775808").code == "bad-expression"
        assert problem("x + 1", {"x": 2**90}).fix == "use double(x)"

    def test_mixed_arithmetic_is_an_error_that_says_how(self) -> None:
        found = problem("1 + 1.5")
        assert (found.code, found.fix, found.where.column) == (
            "expression-error",
            "use double(x)",
            3,
        )
        assert problem("'a' + 1").fix == "use string(x)"

    def test_doubles_stay_finite(self) -> None:
        for text in ("1.0 / 0.0", "1e308 * 10.0", "double('1e999')", "double('inf')", "-0.0 / 0.0"):
            assert problem(text).code == "expression-error", text
        assert problem("1e999").code == "bad-expression"

    def test_values_come_back_as_they_are_in_the_environment(self) -> None:
        rows = [{"a": 1}]
        assert value("rows", rows=rows) is rows


class TestMessages:
    @pytest.mark.parametrize(
        ("text", "column", "fix"),
        [
            ("a and b", 3, "write &&, not 'and'"),
            ("a or b", 3, "write ||, not 'or'"),
            ("not a", 1, "write !x, not 'not x'"),
            ("a is b", 3, "write ==, not 'is'"),
            ("a = 'x'", 3, "to compare, write =="),
            ("a === 'x'", 3, "to compare, write =="),
            ("a <> 'x'", 3, "to compare, write !="),
            ("a & b", 3, "write &&"),
            ("a | b", 3, "write ||"),
            ("True", 1, "write true"),
            ("sizee(a)", 1, "did you mean size()?"),
            ("a.startswith('x')", 1, "did you mean startsWith()?"),
            ("contains(a, 'x')", 1, "write x.contains(…)"),
            ("a.int()", 1, "write int(x)"),
            ("map([1], x)", 1, "write list.map(x, …)"),
            (
                "{{a}} == 1",
                1,
                "write the key without the braces: an expression reads keys directly",
            ),
            ("a == 'x", 6, "close it with '"),
            ("a == .5", 6, "write 0.5, not .5"),
            ("a == 5u", 6, "write 5"),
            ("a == '\\d'", 6, "double the backslash, or put r before the opening quote"),
            ("a == 'x' 'y'", 10, "an operator is missing before it"),
            ("", 1, "write a condition or a value"),
            ("a ==", 5, "complete it"),
            ("a in 'abc'", 3, "use text.contains(part)"),
            ("a && 'x'", 3, "write bool(x), or compare it: x == 'true'"),
        ],
    )
    def test_each_mistake_has_a_column_and_a_fix(self, text: str, column: int, fix: str) -> None:
        found = problem(text, {"a": True})
        assert (found.where.column, found.fix) == (column, fix)

    def test_the_line_is_told_when_there_are_several(self) -> None:
        found = problem("a == 'x'\n  && b +\n")
        assert (found.where.line, found.where.column) == (3, 1)
        assert problem("1\n + 'x'").where.line == 2

    def test_codes_are_the_three_published_ones(self) -> None:
        assert problem("(").code == "bad-expression"
        assert problem("1 / 0").code == "expression-error"
        assert problem("[1].map(x, l)", {"l": [0] * 300_000}).code == "expression-budget"

    def test_a_constant_pattern_is_checked_when_it_is_compiled(self) -> None:
        with pytest.raises(InvalidExpression) as caught:
            CEL.compile("a.matches('(')")
        assert caught.value.problems[0].where.column == 11


class TestLogic:
    def test_a_side_that_decides_makes_up_for_an_error_on_the_other(self) -> None:
        assert value("1 / 0 == 0 || true") is True
        assert value("1 / 0 == 0 && false") is False
        assert value("false && 1 / 0 == 0") is False
        assert problem("1 / 0 == 0 && true").code == "expression-error"
        assert value("a > 1 || b > 1 || true") is True

    def test_an_exhausted_budget_is_never_made_up_for(self) -> None:
        text = "l.all(x, l.all(y, l.all(z, z >= 0))) || true"
        assert problem(text, {"l": list(range(100))}).code == "expression-budget"

    def test_the_first_error_is_the_one_that_is_told(self) -> None:
        assert problem("a > 1 && 1 / 0 == 0").where.column == 3

    def test_a_long_chain_costs_no_depth(self) -> None:
        assert value(" && ".join(["a == 'x'"] * 800), a="x") is True
        assert value(" || ".join(["a == 'y'"] * 800), a="x") is False


class TestFunctions:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("'Linux'.lowerAscii() + 'é'.upperAscii()", "linuxé"),
            ("'  a '.trim()", "a"),
            ("'a,b'.split(',')", ["a", "b"]),
            ("['a', 'b'].join('-')", "a-b"),
            ("'aXbX'.replace('X', '')", "ab"),
            ("'hello'.substring(1, 3)", "el"),
            ("'hello'.substring(0, 5) + 'hello'.substring(5)", "hello"),
            ("'hello'.indexOf('l')", 2),
            ("'hello'.indexOf('z')", -1),
            ("'release-1.2'.matches('^release-[0-9]+\\\\.[0-9]+$')", True),
            ("'a.b'.matches(r'a\\.b')", True),
            ("'xaby'.matches('ab')", True),
            ("matches('abc', 'a.c')", True),
            ("[1, 2, 3].filter(x, x > 1).map(x, x * 10)", [20, 30]),
            ("{'a': 1, 'b': 2}.map(k, k)", ["a", "b"]),
            ("[1, 2, 3].map(x, x != 2, x)", [1, 3]),
            ("[1, 2].exists_one(x, x == 2)", True),
            ("int('7') + int(7.9)", 14),
            ("double('1.5') + double(1)", 2.5),
            ("string(2.0) + string(1) + string(true) + 'x'", "21truex"),
            ("bool('true') && !bool('false')", True),
            ("'a' in {'a': 1} && !(1 in {'1': 1})", True),
            ("[1] + [2]", [1, 2]),
        ],
    )
    def test_what_functions_answer(self, text: str, expected: object) -> None:
        assert value(text) == expected

    @pytest.mark.parametrize(
        "pattern", ["(?=a)", "a(?<!b)", "\\1", "(a)\\1", "\\bx", "[[:alpha:]]", "a**"]
    )
    def test_patterns_that_need_backtracking_or_are_unknown_are_refused(self, pattern: str) -> None:
        assert "pattern" in problem("a.matches(p)", {"a": "a", "p": pattern}).what
