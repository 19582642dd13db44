"""`aether validate` and `aether schema`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aether.cli import exits
from aether.cli.schema import command as schema
from aether.cli.validate import command as validate

GOOD = """apiVersion: aether/v1
kind: Workflow
metadata: {name: x}
spec:
  entrypoint: t
  templates:
  - task: {name: t, executor: {type: echo}}
"""
BAD = GOOD.replace("entrypoint: t", "entrypoint: u\n  colour: red")


def run(*arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(validate, list(arguments), input=text, standalone_mode=False)


@pytest.fixture
def good(tmp_path: Path) -> str:
    (tmp_path / "good.yaml").write_text(GOOD)
    return str(tmp_path / "good.yaml")


@pytest.fixture
def bad(tmp_path: Path) -> str:
    (tmp_path / "bad.yaml").write_text(BAD)
    return str(tmp_path / "bad.yaml")


def test_valid_file_ends_with_0(good: str) -> None:
    result = run(good)
    assert result.return_value == exits.OK
    assert result.output == f"{good}: valid\n"


def test_every_problem_of_every_file_is_shown_in_the_house_format(good: str, bad: str) -> None:
    result = run(bad, good)
    assert result.return_value == exits.INVALID
    assert result.output == (
        "error[unknown-entrypoint]: the entrypoint 'u' names no template\n"
        f"  at {bad}:5:3, spec.entrypoint\n"
        "  fix: did you mean 't'? Otherwise name one of the templates\n\n"
        "error[unknown-member]: 'colour' is no member of this object\n"
        f"  at {bad}:6:3, spec.colour\n"
        "  fix: remove it\n\n"
        f"{bad}: not valid, 2 errors\n"
        f"{good}: valid\n"
    ).replace("did you mean 't'? Otherwise ", "")


def test_lenient_shows_unknown_members_as_warnings(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(GOOD.replace("kind:", "colour: red\nkind:"))
    assert run(str(file)).return_value == exits.INVALID
    result = run("--lenient", str(file))
    assert result.return_value == exits.OK
    assert "warning[unknown-member]" in result.output
    assert result.output.endswith(": valid, 1 warning\n")


def test_standard_input_is_a_dash() -> None:
    assert run("-", text=GOOD).output == "<stdin>: valid\n"


def test_json_lists_files_and_problems(good: str, bad: str) -> None:
    first, second = json.loads(run("--json", bad, good).output)
    assert (first["file"], first["valid"], second["valid"]) == (bad, False, True)
    assert [problem["code"] for problem in first["problems"]] == [
        "unknown-entrypoint",
        "unknown-member",
    ]
    assert first["problems"][0]["where"]["line"] == 5


def test_several_documents_in_one_file_are_all_checked(tmp_path: Path) -> None:
    file = tmp_path / "both.yaml"
    file.write_text(GOOD + "---\n" + BAD)
    result = run(str(file))
    assert result.return_value == exits.INVALID
    assert ":14:3, spec.colour" in result.output


def test_text_that_is_no_document_is_a_problem_and_no_traceback(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(b"\xff{")
    result = run(str(file))
    assert result.return_value == exits.INVALID
    assert "error[not-utf8]" in result.output


def test_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(validate, [str(tmp_path / "none.yaml")])
    assert result.exit_code == exits.USAGE
    assert "cannot read" in result.output


def test_simple_evaluator_knows_equality_only(tmp_path: Path) -> None:
    node = "{name: a, executor: {type: e}, when: \"size('a') > 0\"}"
    file = tmp_path / "x.yaml"
    file.write_text(
        GOOD.replace("  - task:", f"  - dag: {{name: main, tasks: [{node}]}}\n  - task:").replace(
            "entrypoint: t", "entrypoint: main"
        )
    )
    assert run(str(file)).return_value == exits.OK
    result = run("--evaluator", "simple", str(file))
    assert result.return_value == exits.INVALID
    assert "bad-expression" in result.output


@pytest.mark.parametrize("kind", ["Workflow", "CronWorkflow", "WorkflowTemplate"])
def test_schema_prints_the_schema_of_the_kind(kind: str) -> None:
    result = CliRunner().invoke(schema, [kind])
    assert result.exit_code == 0
    assert json.loads(result.output)["properties"]["kind"]["const"] == kind


def test_schema_of_an_unknown_kind_is_a_usage_error() -> None:
    assert CliRunner().invoke(schema, ["Job"]).exit_code == exits.USAGE
