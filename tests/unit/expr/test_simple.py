"""The evaluator that knows equality only."""

from __future__ import annotations

from typing import Any

import pytest

from aether.adapters.evaluator import SimpleEvaluator
from aether.errors import InvalidExpression

SIMPLE = SimpleEvaluator()


@pytest.mark.parametrize(
    ("text", "env", "expected"),
    [
        ("true", {}, True),
        (" false ", {}, False),
        ("a == b", {}, False),
        ("a == a", {}, True),
        ("os == linux", {"os": "linux"}, True),
        ("os == 'linux'", {"os": "linux"}, True),
        ("'os' == linux", {"os": "linux"}, False),
        ("'two words'!=\"two words\"", {}, False),
        ("x.n == 2", {"x.n": 2.0}, True),
        ("x.n == 1000000", {"x.n": 1e6}, True),
        ("x.yes == true", {"x.yes": True}, True),
        ("x.none == null", {"x.none": None}, True),
        ("x.none == gone.key", {"x.none": None}, False),
        ("x.l == '[1,2]'", {"x.l": [1, 2]}, True),
        ("x.m.k != 'v'", {"x.m": {"k": "v"}}, False),
        ("x.s.k == x.s.k", {"x.s": "text"}, True),
        ("tasks.detect-os.phase == Succeeded", {"tasks.detect-os.phase": "Succeeded"}, True),
        ("é.ü == 'é.ü'", {}, True),
    ],
)
def test_both_sides_are_compared_as_printed_text(
    text: str, env: dict[str, Any], expected: bool
) -> None:
    assert SIMPLE.compile(text).evaluate(env) is expected


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "'a'",
        "a = b",
        "a == b == c",
        "a == b && c == d",
        "!a",
        "a < b",
        "1 + 1 == 2",
        "f(x) == 1",
        "a ==",
    ],
)
def test_anything_else_is_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(InvalidExpression) as caught:
        SIMPLE.compile(text)
    found = caught.value.problems[0]
    assert found.code == "bad-expression"
    assert "cel" in found.fix
    assert found.where.column >= 1


def test_a_value_without_a_json_form_is_an_error_with_a_column() -> None:
    with pytest.raises(InvalidExpression) as caught:
        SIMPLE.compile("'x' == x.y").evaluate({"x.y": object()})
    assert caught.value.code == "expression-error"
    assert caught.value.problems[0].where.column == 8
