"""`{{ }}` in values, and in the text of expressions."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether.adapters.evaluator import SimpleEvaluator
from aether.errors import InvalidExpression
from aether.expr import (
    ANY_ROOT,
    KNOWN_ROOTS,
    CelEvaluator,
    Evaluator,
    compile_expression,
    compile_template,
    lone_reference,
)

CEL = CelEvaluator()
ENV: dict[str, Any] = {
    "tasks.a.outputs.parameters.n": 3,
    "tasks.a.outputs.parameters.text": "{{tasks.a.outputs.parameters.n}}",
    "tasks.a.outputs.parameters.map": {"k": [1, 2.5, None]},
    "workflow.parameters.big": 1e6,
    "workflow.parameters.none": None,
    "workflow.parameters.yes": True,
    "system.os": "linux",
}


def render(value: Any, evaluator: Evaluator | None = CEL, roots: Any = KNOWN_ROOTS) -> Any:
    """The rendered value and what was warned about, at compile time and later."""
    template = compile_template(value, evaluator, roots)
    if template is None:
        return value, []
    warned = [problem.code for problem in template.warnings]
    return template.render(ENV, warned.append), warned


def test_a_lone_placeholder_keeps_the_type_of_its_value() -> None:
    for key, value in ENV.items():
        assert render("{{" + key + "}}", None, ANY_ROOT) == (value, [])
    assert render("{{  tasks.a.outputs.parameters.n }}") == (3, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n={{tasks.a.outputs.parameters.n}}", "n=3"),
        ("{{workflow.parameters.big}}!", "1000000!"),
        ("{{workflow.parameters.none}}!", "null!"),
        ("{{workflow.parameters.yes}}!", "true!"),
        ("m={{tasks.a.outputs.parameters.map}}", 'm={"k":[1,2.5,null]}'),
        ("{{tasks.a.outputs.parameters.map.k}}.", "[1,2.5,null]."),
        ("{{workflow.arguments.parameters.big}}", 1e6),
        ("{{tasks.a.outputs.parameters.n}}{{tasks.a.outputs.parameters.n}}", "33"),
        ("{{ tasks.a.outputs.parameters.n + 1 }}", 4),
        ("{{ tasks.a.outputs.parameters.n == 3 ? '}}' : 'no' }}", "}}"),
        ("{{ workflow.parameters.yes ? {'a': 1} : {} }}", {"a": 1}),
        ("{{{tasks.a.outputs.parameters.n}}}", "{3}"),
        ("{{{{tasks.a}}}}", "{{tasks.a}}"),
        ("{{{{ and {{tasks.a.outputs.parameters.n}}", "{{ and 3"),
        ('{"a":{"b":{"c":{"d":{{tasks.a.outputs.parameters.n}}}}}}', '{"a":{"b":{"c":{"d":3}}}}'),
        ('{"a":{"b":{"c":{"d":"{{workflow.parameters.yes}}"}}}}', '{"a":{"b":{"c":{"d":"true"}}}}'),
    ],
)
def test_placeholders_are_filled(text: str, expected: Any) -> None:
    assert render(text) == (expected, [])


def test_a_result_is_never_substituted_again() -> None:
    assert render("{{tasks.a.outputs.parameters.text}}") == ("{{tasks.a.outputs.parameters.n}}", [])
    assert render(".{{tasks.a.outputs.parameters.text}}") == (
        ".{{tasks.a.outputs.parameters.n}}",
        [],
    )


def test_strings_at_any_depth_are_filled_and_the_document_stays_untouched() -> None:
    value = {
        "list": [1, ["{{tasks.a.outputs.parameters.n}}", None]],
        "{{tasks.a.outputs.parameters.n}}": {"x": "{{workflow.parameters.yes}}"},
        "constant": {"y": [1]},
    }
    before = copy.deepcopy(value)
    rendered, warned = render(value)
    assert rendered == {
        "list": [1, [3, None]],
        "{{tasks.a.outputs.parameters.n}}": {"x": True},
        "constant": {"y": [1]},
    }
    assert warned == []
    assert value == before
    assert rendered["constant"] is value["constant"]


@pytest.mark.parametrize(
    "value", [None, 1, "", "plain", "}}", "}}}}", "{{ open", "{ {a} }", [1, {"a": "b"}]]
)
def test_what_holds_no_placeholder_is_a_constant(value: Any) -> None:
    assert compile_template(value, CEL, KNOWN_ROOTS) is None


def test_a_missing_key_stays_as_written_with_a_warning() -> None:
    rendered, warned = render("x {{tasks.gone.phase}} {{tasks.a.outputs.parameters.n}}")
    assert rendered == "x {{tasks.gone.phase}} 3"
    assert len(warned) == 1
    assert "tasks.gone.phase" in warned[0]
    assert render("{{ tasks.gone.phase }}")[0] == "{{ tasks.gone.phase }}"


def test_an_expression_that_fails_stays_as_written_with_a_warning() -> None:
    rendered, warned = render("{{ tasks.a.outputs.parameters.n / 0 }}")
    assert rendered == "{{ tasks.a.outputs.parameters.n / 0 }}"
    assert "divided by zero" in warned[0]


@pytest.mark.parametrize(
    "text", ["{{ .Values.x }}", "{{ item }}", "{{}}", "{{ 1 + 1 }}", "a {{ system.os }}"]
)
def test_what_is_rooted_in_no_known_name_stays_as_written_with_a_warning(text: str) -> None:
    assert render(text) == (text, ["unknown-placeholder"])


def test_a_registered_namespace_is_a_root() -> None:
    assert render("{{ system.os }}", CEL, {*KNOWN_ROOTS, "system"}) == ("linux", [])


def test_a_placeholder_that_cannot_be_read_says_why() -> None:
    assert render("{{ tasks.a + }}") == ("{{ tasks.a + }}", ["bad-expression"])


@pytest.mark.parametrize("evaluator", [None, SimpleEvaluator()])
def test_without_a_language_the_content_is_a_dotted_key(evaluator: Evaluator | None) -> None:
    assert render("{{tasks.a.outputs.parameters.n}}", evaluator) == (3, [])
    text = "{{tasks.a.outputs.parameters.n + 1}}"
    assert render(text, evaluator) == (text, ["unknown-placeholder"])


def test_references_are_listed_in_order() -> None:
    template = compile_template(
        ["{{tasks.b.phase}} {{tasks.a.code + workflow.arguments.parameters.x}}"], CEL, KNOWN_ROOTS
    )
    assert template is not None
    assert template.references == (
        "tasks.b.phase",
        "tasks.a.code",
        "workflow.arguments.parameters.x",
    )


def test_only_so_many_placeholders_are_read_and_one_warning_says_so() -> None:
    template = compile_template("{{tasks.a.outputs.parameters.n}}" * 1_200, None, KNOWN_ROOTS)
    assert template is not None
    assert [problem.code for problem in template.warnings] == ["expression-budget"]
    assert template.render(ENV, lambda text: None).startswith("3" * 1_000 + "{{")


def test_a_text_does_not_grow_beyond_its_limit() -> None:
    template = compile_template("{{tasks.t}}" * 20, None, KNOWN_ROOTS)
    assert template is not None
    warned: list[str] = []
    rendered = template.render({"tasks.t": "x" * 1_000_000}, warned.append)
    assert len(rendered) < 9_000_000
    assert len(warned) == 12


def test_values_without_a_json_form_stay_as_written() -> None:
    template = compile_template("a {{tasks.t}}", None, KNOWN_ROOTS)
    assert template is not None
    warned: list[str] = []
    assert template.render({"tasks.t": {object(): 1}}, warned.append) == "a {{tasks.t}}"
    assert len(warned) == 1


@given(st.text("{}'\" ab.+tasks", max_size=60))
def test_no_text_makes_a_template_raise(text: str) -> None:
    for evaluator in (CEL, SimpleEvaluator(), None):
        template = compile_template([text], evaluator, KNOWN_ROOTS)
        if template is not None:
            template.render({"tasks": {"a": 1}}, lambda message: None)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("{{inputs.parameters.items-list}}", "inputs.parameters.items-list"),
        ("  {{ a.b }} ", "a.b"),
        ("{{a}}{{b}}", None),
        ("{{a + b}}", None),
        ("a.b", None),
        ("{{a}", None),
    ],
)
def test_lone_reference_is_the_key_of_a_text_that_is_one_placeholder(
    text: str, key: str | None
) -> None:
    assert lone_reference(text) == key


class TestExpressions:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("{{tasks.a.outputs.parameters.n}} + 1", 4),
            ("{{ tasks.a.outputs.parameters.n + 1 }} * 2", 8),
            ("'{{tasks.a.outputs.parameters.n}}'", "3"),
            ("'v{{tasks.a.outputs.parameters.n}}-{{system.os}}' + \"!\"", "v3-linux!"),
            ("{{tasks.gone.phase}} == null", True),
            ("'{{{{x}}}}'", "{{x}}"),
            ("{'a': {'b': 1}}.a.b", 1),
            ("r'\\{{tasks.a.outputs.parameters.n}}'", "\\3"),
            ("[{{system.os}}].exists(x, x == 'linux')", True),
        ],
    )
    def test_a_placeholder_is_bound_as_a_value(self, text: str, expected: Any) -> None:
        assert compile_expression(text, CEL).evaluate(ENV) == expected

    def test_a_value_is_never_read_as_an_expression(self) -> None:
        env = {"inputs.parameters.x": "' == '' || true || '"}
        assert compile_expression("'{{inputs.parameters.x}}' == 'safe'", CEL).evaluate(env) is False
        assert compile_expression("{{inputs.parameters.x}} == 'safe'", CEL).evaluate(env) is False

    def test_a_missing_key_inside_a_string_is_an_error(self) -> None:
        with pytest.raises(InvalidExpression, match="there is no value of that name"):
            compile_expression("'{{tasks.gone.phase}}'", CEL).evaluate(ENV)

    @pytest.mark.parametrize(
        "text", ["{{ 1) + (2 }}", "tasks.{{system.os}}", "{{", "'{{ a", "{{ {{a}} }}"]
    )
    def test_pieces_of_expressions_are_refused(self, text: str) -> None:
        with pytest.raises(InvalidExpression) as caught:
            compile_expression(text, CEL)
        assert caught.value.code == "bad-expression"
        assert caught.value.problems[0].where.column >= 1

    def test_columns_are_those_of_the_text_as_written(self) -> None:
        with pytest.raises(InvalidExpression) as caught:
            compile_expression("'{{a.b}}' == {{ c.d }} = 1", CEL)
        assert caught.value.problems[0].where.column == 24

    def test_references_are_listed_in_order_as_written(self) -> None:
        text = "a.b == '{{c.d}} {{e.f + g.h}}' && {{i.j}} == k.l"
        program = compile_expression(text, CEL)
        assert program.references == ("a.b", "c.d", "e.f", "g.h", "i.j", "k.l")
        assert program.text == text

    def test_the_simple_evaluator_takes_placeholders_too(self) -> None:
        program = compile_expression("{{system.os}} == 'linux'", SimpleEvaluator())
        assert program.evaluate(ENV) is True
        program = compile_expression("'os-{{system.os}}' != os-linux", SimpleEvaluator())
        assert program.evaluate(ENV) is False
