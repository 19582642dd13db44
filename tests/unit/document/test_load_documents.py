"""Text to trees: JSON and YAML, strictly, with the place of everything."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from aether.document import Source, Workflow, decode, dump, encode, load, load_all
from aether.errors import InvalidDocument, Problem

JSON = """{
  "apiVersion": "aether/v1",
  "spec": {
    "templates": [
      {"dag": {"name": "main", "tasks": [
        {"name": "load", "when": "a \\"b\\" c"},
        {"name": "twin"},
        {"name": "twin", "dependencies": ["load",
          "other"]}]}}
    ],
    "labels": {"odd key": 1}
  }
}
"""
YAML = """apiVersion: aether/v1
spec:
  templates:
  - dag:
      name: main
      tasks:
      - name: load
        when: "tasks.x"
        dependencies:
        - a
        - b
"""
TASKS = ("spec", "templates", 0, "dag", "tasks")


def refused(text: str | bytes, file: str = "f.yaml") -> tuple[Problem, ...]:
    with pytest.raises(InvalidDocument) as caught:
        load(text, file)
    return caught.value.problems


def test_place_of_a_member_is_where_its_name_stands() -> None:
    where = load(JSON, "x.json").where((*TASKS, 0, "when"))
    assert str(where) == "x.json:6:26, spec.templates[main].dag.tasks[load].when"


def test_place_of_a_list_item_is_where_it_begins() -> None:
    where = load(JSON, "x.json").where((*TASKS, 2, "dependencies", 1))
    assert (where.line, where.column) == (9, 11)
    assert where.path == "spec.templates[main].dag.tasks[2].dependencies[1]"


def test_place_of_an_absent_member_is_the_object_it_belongs_to() -> None:
    where = load(JSON, "x.json").where((*TASKS, 1, "template"))
    assert (where.line, where.path) == (7, "spec.templates[main].dag.tasks[1].template")


def test_offset_within_a_text_counts_from_its_first_character() -> None:
    assert load(JSON).where((*TASKS, 0, "when"), 2).column == 37
    where = load(YAML).where((*TASKS, 0, "when"), 6)
    assert (where.line, where.column) == (8, 22)


def test_places_in_yaml() -> None:
    source = load(YAML, "x.yaml")
    assert str(source.where((*TASKS, 0, "dependencies"))).startswith("x.yaml:9:9,")
    assert source.where((*TASKS, 0, "dependencies", 1)).line == 11


def test_unusual_keys_are_quoted_in_paths() -> None:
    where = load(JSON).where(("spec", "labels", "odd key"))
    assert where.path == 'spec.labels["odd key"]'
    assert where.line == 11


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("2020-01-01", "2020-01-01"),
        ("12:30:45", "12:30:45"),
        ("<<", "<<"),
        ("=", "="),
        ('"1"', "1"),
        ("'true'", "true"),
        ("!!str 1", "1"),
        ("|\n  1", "1\n"),
    ],
)
def test_yaml_scalars_mean_what_yaml_1_2_says(text: str, value: Any) -> None:
    loaded = load(f"a: {text}\n", "x.yaml").data["a"]
    assert loaded == value
    assert type(loaded) is type(value)


def test_yaml_aliases_stand_for_their_anchors() -> None:
    assert load("a: &x {b: 1}\nc: *x\nd: [*x]\n", "x.yaml").data["d"] == [{"b": 1}]


def test_every_duplicate_is_reported() -> None:
    problems = refused('{"a": 1, "b": {"c": 1, "c": 2}, "a": 3}', "x.json")
    assert [(p.code, p.where.path, p.where.column) for p in problems] == [
        ("duplicate-key", "b.c", 24),
        ("duplicate-key", "a", 33),
    ]


def test_format_follows_the_name_and_else_the_first_character() -> None:
    assert load("{a: 1}", "x.yaml").data == {"a": 1}
    assert refused("{a: 1}", "x.json")[0].code == "syntax"
    assert load(' {"a": 1}').data == {"a": 1}
    assert load("a: 1").data == {"a": 1}


def test_byte_order_mark_is_skipped() -> None:
    assert load(b'\xef\xbb\xbf{"a": 1}').data == {"a": 1}


def test_several_documents_come_one_by_one_with_their_own_lines() -> None:
    first, second = load_all("a: 1\n---\n\nb: 2\n---\n# nothing\n", "x.yaml")
    assert (first.data, second.data) == ({"a": 1}, {"b": 2})
    assert second.where(("b",)).line == 4


def test_python_trees_are_wrapped_as_they_are() -> None:
    tree = {"a": [1, 2.5, None, True, "é"]}
    assert Source.of(tree).data is tree
    assert Source.of({"a": (1, 2)}).data == {"a": [1, 2]}
    assert Source.of(tree).where(("a", 1)).path == "a[1]"


@pytest.mark.parametrize(
    ("tree", "code"),
    [
        ({"a": float("nan")}, "number-out-of-range"),
        ({"a": float("inf")}, "number-out-of-range"),
        ({"a": 10**5000}, "number-out-of-range"),
        ({1: 2}, "key-not-text"),
        ({"a": object()}, "not-json"),
        ({"a": "\ud800"}, "bad-character"),
        ({"\ud800": 1}, "bad-character"),
        ([[0] * 1100] * 1100, "document-too-large"),
    ],
)
def test_python_trees_that_are_no_json_are_refused(tree: Any, code: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        Source.of(tree)
    assert caught.value.code == code


def test_a_tree_that_contains_itself_is_refused() -> None:
    tree: dict[str, Any] = {}
    tree["a"] = tree
    with pytest.raises(InvalidDocument) as caught:
        Source.of(tree)
    assert caught.value.code == "document-too-deep"


def test_alias_bombs_are_refused_before_they_are_built() -> None:
    lines = ["a0: &a0 [x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)
    ]
    assert refused("\n".join(lines))[0].code == "document-too-large"


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_dumped_documents_load_again(form: Any) -> None:
    tree = {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "x", "labels": {"a": "0o17", "b": "1e3", "c": "no", "d": "x\ny"}},
        "spec": {"entrypoint": "t", "templates": [{"loop": {"name": "t", "items": [1, None]}}]},
    }
    assert load(dump(tree, form), f"x.{form}").data == tree
    document = msgspec.convert(tree, Workflow)
    assert msgspec.convert(load(dump(document, form)).data, Workflow) == document


def test_canonical_text_carries_its_kind_and_decodes_to_the_same_document() -> None:
    document = Workflow()
    text = encode(document)
    assert b'"kind":"Workflow"' in text
    assert decode(text) == document
