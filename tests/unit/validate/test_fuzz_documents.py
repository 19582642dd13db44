"""Whatever the text or tree: a document, or problems, and nothing else."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aether.document import dump, load, load_all
from aether.errors import Problem, ProblemError
from aether.expr import CelEvaluator
from aether.validate import CODES, Checked, check

ROOT = Path(__file__).parents[3]
SEEDS = [
    load(file.read_bytes(), file.name).data
    for folder in ("tests/catalogue/good", "tests/conformance/examples")
    for file in sorted((ROOT / folder).glob("*"))
]
TEXTS = [json.dumps(seed) for seed in SEEDS] + [dump(seed, "yaml") for seed in SEEDS]
EVALUATOR = CelEvaluator()
WORDS = sorted(
    {word for text in TEXTS for word in json.dumps(text).replace("\\", '"').split('"') if word}
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "{{", "{{x}}", "tasks.a.phase", "1 +", "\ud800", "main", "a" * 100])
    | st.sampled_from([word for word in WORDS if len(word) < 30])
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["name", "task", "dag", "tasks", "spec", "x"]), inner)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=15,
)
few = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def judge(data: Any) -> None:
    """A checked document, or problems with known codes; never anything else."""
    checked: Checked | None = None
    problems: tuple[Problem, ...] = ()
    try:
        checked = check(data, evaluator=EVALUATOR)
    except ProblemError as refused:
        problems = refused.problems
    if checked is None:
        assert {problem.code for problem in problems} <= set(CODES)
        assert any(problem.severity == "error" for problem in problems)
    else:
        again = check(msgspec.json.decode(checked.text), evaluator=EVALUATOR)
        assert again.text == checked.text
        assert again.digest == checked.digest


def places_in(tree: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in the tree."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        here = waiting.pop()
        members = here.items() if isinstance(here, dict) else enumerate(here)
        for key, inner in members:
            found.append((here, key))
            if isinstance(inner, (dict, list)):
                waiting.append(inner)
    return found


@few
@given(trees)
def test_random_trees_give_a_document_or_problems(tree: Any) -> None:
    judge(tree)


@few
@given(st.data())
def test_mutated_documents_give_a_document_or_problems(data: st.DataObject) -> None:
    tree = deepcopy(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(1, 4))):
        places = places_in(tree)
        container, key = places[data.draw(st.integers(0, len(places) - 1))]
        match data.draw(st.sampled_from(["replace", "remove", "swap", "rename", "add"])):
            case "replace":
                container[key] = data.draw(trees)
            case "remove":
                del container[key]
            case "swap":
                other, place = places[data.draw(st.integers(0, len(places) - 1))]
                container[key] = deepcopy(other[place])
            case "rename" if isinstance(container, dict):
                container[data.draw(st.text(max_size=8))] = container.pop(key)
            case _:
                if isinstance(container, dict):
                    container[data.draw(st.sampled_from(WORDS))] = data.draw(trees)
                else:
                    container.append(data.draw(trees))
        if not tree:
            break
    judge(tree)


@few
@given(st.sampled_from(TEXTS), st.data())
def test_broken_text_gives_a_document_or_problems(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 5)))
        piece = data.draw(
            st.text(max_size=3)
            | st.sampled_from(['"', "{", "[", "]", ":", "\n", "- ", "&a ", "*a", "!x ", "\\ud8"])
        )
        text = text[:start] + piece + text[end:]
    for file in ("x.json", "x.yaml", ""):
        codes: set[str] = set()
        sources = []
        try:
            sources = load_all(text, file)
        except ProblemError as refused:
            codes = {problem.code for problem in refused.problems}
        assert codes <= set(CODES)
        assert codes or sources
        for source in sources:
            judge(source)


@few
@given(st.text() | st.binary(max_size=200))
def test_random_text_gives_a_document_or_problems(text: str | bytes) -> None:
    for file in ("x.json", "x.yaml", ""):
        try:
            sources = load_all(text, file)
        except ProblemError:
            continue
        for source in sources:
            judge(source)


@few
@given(trees)
def test_what_is_dumped_as_yaml_is_loaded_the_same(tree: Any) -> None:
    try:
        text = dump({"spec": tree}, "yaml")
        plain = json.loads(json.dumps(tree, allow_nan=False))
        loaded = load(text, "x.yaml").data
    except (ValueError, ProblemError):
        return  # not a number, or half a character: no document holds it
    assert loaded == {"spec": plain}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:20])
def test_untouched_seeds_are_valid(text: str) -> None:
    assert check(load(text), evaluator=EVALUATOR).text
