"""`check`: what comes out of good documents, and how problems are told."""

from __future__ import annotations

import json
import time
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from aether.document import Workflow, decode, load
from aether.errors import InvalidDocument, Problem
from aether.expr import CelEvaluator
from aether.validate import Known, check, fits, in_enum, schedule_problem

EVALUATOR = CelEvaluator()
CONFORMANCE = sorted((Path(__file__).parents[2] / "conformance/examples").glob("*.json"))


def chain(length: int) -> dict[str, Any]:
    """A DAG in which each node has arguments, a condition, a timeout and a dependency."""
    nodes = [
        {
            "name": f"n{n}",
            "template": "t",
            "dependencies": [f"n{n - 1}"] if n else [],
            "when": "tasks.n0.phase == 'Succeeded'" if n else "true",
            "timeout": "10s",
            "arguments": {
                "parameters": [
                    {"name": "a", "type": "int", "value": n},
                    {"name": "b", "valueFrom": {"parameter": "workflow.parameters.x"}},
                ]
            },
        }
        for n in range(length)
    ]
    parameters = [{"name": "a", "type": "int"}, {"name": "b"}]
    task = {"name": "t", "executor": {"type": "e"}, "inputs": {"parameters": parameters}}
    return {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "chain"},
        "spec": {
            "entrypoint": "main",
            "arguments": {"parameters": [{"name": "x", "value": 1}]},
            "templates": [{"dag": {"name": "main", "tasks": nodes}}, {"task": task}],
        },
    }


def refused(data: Any, **options: Any) -> tuple[Problem, ...]:
    with pytest.raises(InvalidDocument) as caught:
        check(data, evaluator=EVALUATOR, **options)
    return caught.value.problems


def test_checked_carries_the_document_its_text_and_a_digest_of_it() -> None:
    checked = check(chain(3), evaluator=EVALUATOR)
    assert isinstance(checked.document, Workflow)
    assert checked.warnings == ()
    assert decode(checked.text) == checked.document
    assert checked.digest == blake2b(checked.text, digest_size=16).digest()


def test_structs_dicts_and_text_give_the_same_digest() -> None:
    tree = chain(3)
    from_tree = check(tree, evaluator=EVALUATOR)
    from_text = check(load(json.dumps(tree, indent=3)), evaluator=EVALUATOR)
    from_struct = check(from_tree.document, evaluator=EVALUATOR)
    assert from_tree.digest == from_text.digest == from_struct.digest


def test_the_given_tree_is_not_changed() -> None:
    tree = chain(2)
    tree["spec"]["templates"][0]["dag"]["colour"] = "red"
    before = json.dumps(tree)
    check(tree, evaluator=EVALUATOR, lenient=True)
    assert json.dumps(tree) == before


@pytest.mark.parametrize("file", CONFORMANCE, ids=lambda file: file.stem)
def test_conformance_documents_are_accepted(file: Path) -> None:
    check(load(file.read_bytes(), file.name), evaluator=EVALUATOR)


def test_warnings_come_along_with_errors() -> None:
    tree = chain(2)
    tree["spec"]["templates"][0]["dag"]["tasks"][1]["timeout"] = "soon"
    tree["spec"]["templates"].append({"task": {"name": "idle", "executor": {"type": "e"}}})
    assert {(p.code, p.severity) for p in refused(tree)} == {
        ("bad-duration", "error"),
        ("unused-template", "warning"),
    }


def test_problem_of_an_expression_points_at_the_column() -> None:
    text = (
        "apiVersion: aether/v1\nkind: Workflow\nmetadata: {name: x}\nspec:\n  entrypoint: m\n"
        "  templates:\n  - dag:\n      name: m\n      tasks:\n      - name: a\n"
        "        when: tasks.b.phase == \n        executor: {type: e}\n"
    )
    (problem,) = refused(load(text, "x.yaml"))
    assert problem.code == "bad-expression"
    assert (problem.where.line, problem.where.column) == (11, 15 + len("tasks.b.phase =="))


def test_hook_problem_says_that_it_must_be_a_task_template() -> None:
    tree = chain(1)
    tree["spec"]["hooks"] = {"onExit": {"template": "main"}}
    assert "must be a task template" in str(refused(tree)[0])


def test_suggestions_name_what_was_probably_meant() -> None:
    tree = chain(2)
    tree["spec"]["entrypoint"] = "mian"
    tree["spec"]["templates"][0]["dag"]["tasks"][0]["dependancies"] = []
    fixes = " ".join(problem.fix for problem in refused(tree))
    assert "'main'" in fixes
    assert "'dependencies'" in fixes


def test_a_broken_part_hides_nothing_of_the_rest() -> None:
    tree = chain(3)
    nodes = tree["spec"]["templates"][0]["dag"]["tasks"]
    nodes[0]["arguments"] = 7
    nodes[1]["template"] = 8
    nodes[2] = {"name": "n2", "template": "t", "dependencies": ["gone"]}
    assert [(p.code, p.where.path.split(".")[-1]) for p in refused(tree)] == [
        ("wrong-type", "arguments"),
        ("wrong-type", "template"),
        ("unknown-dependency", "dependencies[0]"),
    ]


def test_problems_beyond_two_hundred_are_counted_as_one() -> None:
    tree = chain(300)
    for node in tree["spec"]["templates"][0]["dag"]["tasks"]:
        node["timeout"] = "soon"
    problems = refused(tree)
    assert len(problems) == 201
    assert problems[-1].code == "too-many-problems"


@pytest.mark.parametrize(("depth", "is_good"), [(0, True), (2, False), (3, True), (-1, True)])
def test_nesting_limit_is_three_unless_given_and_ten_when_it_makes_no_sense(
    depth: int, is_good: bool
) -> None:
    templates: list[dict[str, Any]] = [
        {"dag": {"name": f"d{n}", "tasks": [{"name": "a", "template": f"d{n + 1}"}]}}
        for n in range(3)
    ]
    templates.append({"task": {"name": "d3", "executor": {"type": "e"}}})
    tree = chain(1)
    tree["spec"] = {"entrypoint": "d0", "maxNestedDepth": depth, "templates": templates}
    codes = [] if is_good else ["nesting-too-deep"]
    try:
        assert check(tree).warnings == ()
        found = []
    except InvalidDocument as caught:
        found = [problem.code for problem in caught.problems]
    assert found == codes


def test_cost_grows_with_the_document_and_not_faster() -> None:
    def cost(length: int) -> float:
        source = load(json.dumps(chain(length)))
        times = []
        for _ in range(5):
            start = time.process_time()
            check(source, evaluator=EVALUATOR)
            times.append(time.process_time() - start)
        return min(times)

    assert cost(4_000) < 8 * cost(1_000)


@pytest.mark.parametrize(
    ("declared", "good", "bad"),
    [
        ("string", ["", "a"], [1, True, []]),
        ("int", [0, 10**30], [True, 1.0, "1"]),
        ("float", [1, 1.5], [True, "1.5"]),
        ("bool", [True], [0, "true"]),
        ("array", [[], [1]], [{}, "[]"]),
        ("list", [[]], ["a"]),
        ("object", [{}], [[]]),
        ("any", [1, "a", []], []),
        ("json", [1, "a", {}], []),
        ("", [1, "a"], []),
    ],
)
def test_which_values_fit_which_type(declared: str, good: list[Any], bad: list[Any]) -> None:
    assert all(fits(declared, value) for value in [*good, None])
    assert not any(fits(declared, value) for value in bad)


def test_enum_compares_as_json_does() -> None:
    assert in_enum((1, "a", [1, {"b": True}]), 1.0)
    assert in_enum(([1, {"b": True}],), [1.0, {"b": True}])
    assert not in_enum((1,), True)
    assert not in_enum(([1],), [True])
    assert in_enum((), "anything")
    assert in_enum(("a",), None)


@pytest.mark.parametrize(
    "schedule",
    [
        "* * * * *",
        "@hourly",
        "*/15 0-6 1,15 * mon-fri",
        "0 0 29 2 *",
        "  0  3 * *  1 ",
        "0 0 L * *",
    ],
)
def test_schedules_that_can_be_followed(schedule: str) -> None:
    assert schedule_problem(schedule) is None


@pytest.mark.parametrize(
    "schedule",
    ["", "@reboot", "* * * *", "* * * * * *", "60 * * * *", "0 0 31 2 *", "x * * * *", "1" * 300],
)
def test_schedules_that_cannot(schedule: str) -> None:
    assert schedule_problem(schedule)


def test_what_nobody_knows_yet_is_not_judged() -> None:
    tree = chain(1)
    tree["spec"]["templates"][0]["dag"]["tasks"][0]["when"] = "system.os == 'linux'"
    assert check(tree, evaluator=EVALUATOR, known=Known()).warnings == ()
    known = Known(executors={}, namespaces=frozenset())
    codes = {warning.code for warning in check(tree, evaluator=EVALUATOR, known=known).warnings}
    assert codes == {"unknown-executor", "unknown-namespace"}


def test_a_type_that_nobody_serves_is_told_once_however_many_tasks_name_it() -> None:
    tree = chain(300)
    known = Known(executors={}, namespaces=frozenset())
    checked = check(tree, evaluator=EVALUATOR, known=known)
    types = [warning for warning in checked.warnings if warning.code == "unknown-executor"]
    assert len(types) == 1
    assert types[0].where.path.endswith("executor.type")
