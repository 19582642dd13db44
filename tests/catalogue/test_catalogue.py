"""Bad documents with the exact problems they have, and good ones that have none."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aether.document import WorkflowTemplate, load, load_all
from aether.errors import InvalidDocument, Problem
from aether.expr import CelEvaluator
from aether.record import Field, Schema
from aether.validate import CODES, Known, check, resolve

HERE = Path(__file__).parent
BAD = sorted(path for path in (HERE / "bad").iterdir() if path.suffix in (".yaml", ".json"))
GOOD = sorted((HERE / "good").iterdir())
EVALUATOR = CelEvaluator()


class Expected(NamedTuple):
    code: str
    line: int
    path: str


class Options(NamedTuple):
    known: Known
    evaluator: CelEvaluator | None
    lenient: bool
    resolve: bool


def expected_in(file: Path, text: str) -> list[Expected]:
    beside = file.with_suffix(".expected")
    if beside.exists():
        lines = [line.split() for line in beside.read_text().splitlines()]
        return [
            Expected(code, int(line), "" if path == "-" else path) for code, line, path in lines
        ]
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        _, _, marks = line.partition("# !")
        for mark in marks.split(" ! ") if marks else []:
            code, path = mark.split()
            found.append(Expected(code, number, "" if path == "-" else path))
    return found


def options_in(text: str) -> Options:
    known: dict[str, Any] = {}
    if found := re.search(r"^# known: (.*)$", text, re.MULTILINE):
        known = json.loads(found[1])
    for name in ("namespaces", "artifact_types"):
        if name in known:
            known[name] = frozenset(known[name])
    if "executors" in known:
        known["executors"] = {
            kind: Schema(kind, inputs=None if inputs is None else tuple(Field(*i) for i in inputs))
            for kind, inputs in known["executors"].items()
        }
    return Options(
        Known(**known),
        None if "# evaluator: none" in text else EVALUATOR,
        "# lenient\n" in text,
        "# resolve\n" in text,
    )


def judge(data: bytes, file: str) -> tuple[Problem, ...]:
    """Every problem and warning of the text."""
    text = data.decode(errors="replace")
    options = options_in(text)
    try:
        if options.resolve:
            return resolve_all(data, file)
        return check(
            load(data, file),
            evaluator=options.evaluator,
            known=options.known,
            lenient=options.lenient,
        ).warnings
    except InvalidDocument as refused:
        return refused.problems


def resolve_all(data: bytes, file: str) -> tuple[Problem, ...]:
    sources = load_all(data, file)
    first, *others = [check(source, evaluator=EVALUATOR) for source in sources]
    stored = {}
    for other in others:
        template = other.document
        assert isinstance(template, WorkflowTemplate)
        stored[template.metadata.name, template.metadata.version] = template
        stored[template.metadata.name, ""] = template
    resolve(first.document, stored, sources[0])
    return ()


def large_list() -> object:
    return load("[" + "0," * 300_000 + "0]")


def large_text() -> object:
    return load('"' + "x" * (5 * 1024 * 1024) + '"')


def latin_1() -> object:
    return load("kind: Wörkflow\n".encode("latin-1"), "x.yaml")


def utf_16() -> object:
    return load('{"kind": "Workflow"}'.encode("utf-16"), "x.json")


def a_function() -> object:
    return check({"spec": {"entrypoint": len}})


def an_object() -> object:
    return check({"spec": [object()]})


def many_unknown_members() -> object:
    return check({"apiVersion": "aether/v1", **{f"member-{n}": n for n in range(1000)}})


def many_bad_templates() -> object:
    return check(
        {
            "apiVersion": "aether/v1",
            "kind": "Workflow",
            "metadata": {"name": "x"},
            "spec": {"entrypoint": "t", "templates": [1] * 1000},
        }
    )


MADE: list[tuple[Callable[[], object], set[str]]] = [
    (large_list, {"document-too-large"}),
    (large_text, {"document-too-large"}),
    (latin_1, {"not-utf8"}),
    (utf_16, {"not-utf8"}),
    (a_function, {"not-json"}),
    (an_object, {"not-json"}),
    (many_unknown_members, {"unknown-member", "missing-member", "too-many-problems"}),
    (many_bad_templates, {"wrong-type", "too-many-problems"}),
]


@cache
def all_expectations() -> dict[str, set[str]]:
    """Document -> the codes that are expected in it."""
    found = {
        file.name: {e.code for e in expected_in(file, file.read_bytes().decode(errors="replace"))}
        for file in BAD
    }
    return found | {make.__name__: codes for make, codes in MADE}


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_bad_document_has_exactly_the_expected_problems(file: Path) -> None:
    data = file.read_bytes()
    problems = judge(data, file.name)
    found = [Expected(p.code, p.where.line, p.where.path) for p in problems]
    assert sorted(found) == sorted(expected_in(file, data.decode(errors="replace")))


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_problems_come_in_the_order_of_lines_and_say_how_to_mend_them(file: Path) -> None:
    problems = judge(file.read_bytes(), file.name)
    places = [(p.where.line, p.where.column) for p in problems]
    assert places == sorted(places)
    for problem in problems:
        assert problem.fix
        assert problem.what
        assert problem.where.file == file.name
        assert problem.where.column or not problem.where.line
        assert "\n" not in problem.what + problem.fix


@pytest.mark.parametrize(("make", "codes"), MADE, ids=lambda value: getattr(value, "__name__", ""))
def test_documents_that_are_made_have_the_expected_codes(
    make: Callable[[], object], codes: set[str]
) -> None:
    with pytest.raises(InvalidDocument) as refused:
        make()
    assert {problem.code for problem in refused.value.problems} == codes


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_good_document_passes_without_a_warning(file: Path) -> None:
    assert judge(file.read_bytes(), file.name) == ()


def test_every_code_occurs_in_at_least_two_documents() -> None:
    counts = Counter(code for codes in all_expectations().values() for code in codes)
    assert {code for code in CODES if counts[code] < 2} == set()
    assert set(counts) <= set(CODES)


def test_catalogue_is_large_and_mixed_enough() -> None:
    expectations = all_expectations()
    assert len(expectations) >= 120
    assert sum(1 for codes in expectations.values() if len(codes) >= 3) >= 40
