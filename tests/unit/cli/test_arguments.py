"""Texts of the command line become values."""

from __future__ import annotations

from typing import Any

import pytest

from aether.cli.arguments import (
    argument_values,
    declared_types,
    seconds_of,
    value_of,
    variable_sources,
)
from aether.errors import Refused


@pytest.mark.parametrize(
    ("text", "type_name", "value"),
    [
        ("1", "", 1),
        ("1.5", "", 1.5),
        ("true", "", True),
        ('{"a": [1]}', "", {"a": [1]}),
        ('"quoted"', "", "quoted"),
        ("plain text", "", "plain text"),
        ("", "", ""),
        ("007", "", "007"),
        ("NaN", "", "NaN"),
        ("[" * 50_000, "any", "[" * 50_000),
        ("1", "string", "1"),
        ("true", "string", "true"),
        ('"quoted"', "string", '"quoted"'),
        ("1", "int", 1),
        ("many", "int", "many"),
        ("[1,2]", "array", [1, 2]),
    ],
)
def test_a_text_is_read_as_json_unless_it_is_declared_text(
    text: str, type_name: str, value: Any
) -> None:
    assert value_of(text, type_name) == value
    assert type(value_of(text, type_name)) is type(value)


def test_arguments_take_their_declared_types_and_keep_every_later_equals_sign() -> None:
    document = {"spec": {"arguments": {"parameters": [{"name": "id", "type": "string"}]}}}
    given = argument_values(["id=42", "n=42", "url=a?b=c"], declared_types(document))
    assert given == {"id": "42", "n": 42, "url": "a?b=c"}


def test_a_crons_embedded_workflow_declares_types_too() -> None:
    parameters = [{"name": "id", "type": "string"}]
    document = {"spec": {"workflowSpec": {"arguments": {"parameters": parameters}}}}
    assert declared_types(document) == {"id": "string"}


def test_a_reference_to_a_template_takes_the_types_that_the_template_declares() -> None:
    def template(name: str, type_name: str) -> dict[str, Any]:
        declared = {"parameters": [{"name": "id", "type": type_name}]}
        return {"metadata": {"name": name}, "spec": {"arguments": declared}}

    document = {"spec": {"workflowTemplateRef": {"name": "etl"}}}
    templates = [template("other", "int"), template("etl", "string"), None]
    assert declared_types(document, templates) == {"id": "string"}
    assert declared_types(document) == declared_types({}, templates) == {}


@pytest.mark.parametrize(
    "document",
    [None, [], {"spec": 1}, {"spec": {"arguments": []}}, {"spec": {"arguments": {"parameters": [1, {}, {"name": 2}]}}}],
)  # fmt: skip
def test_a_malformed_document_declares_nothing_and_is_left_for_submit(document: Any) -> None:
    assert declared_types(document) == {}


def test_every_bad_argument_is_reported_at_once() -> None:
    with pytest.raises(Refused) as caught:
        argument_values(["x", "=1", "a=1", "a=2"], {})
    assert [problem.code for problem in caught.value.problems] == ["bad-argument"] * 3


def test_variables_are_grouped_by_their_first_segment() -> None:
    given = variable_sources(["deploy.region=ap-east-1", "deploy.size=3", "a.b.c=x"])
    assert given == {"deploy": {"region": "ap-east-1", "size": 3}, "a": {"b.c": "x"}}


@pytest.mark.parametrize("text", ["region=1", ".region=1", "deploy.=1"])
def test_a_variable_without_namespace_or_name_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="namespace"):
        variable_sources([text])


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("1h30m", 5400), ("500ms", 0.5), ("5", 5), ("0.5", 0.5)]
)
def test_a_time_limit_is_a_duration_or_a_number_of_seconds(text: str, seconds: float) -> None:
    assert seconds_of(text, "--timeout") == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "soon", "-1s", "1.2.3"])
def test_what_is_no_time_limit_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="--timeout"):
        seconds_of(text, "--timeout")
