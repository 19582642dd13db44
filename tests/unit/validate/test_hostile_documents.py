"""Text made to cost as much as it can: refused by limits, in bounded time and memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aether.document import load
from aether.errors import Problem, ProblemError
from aether.expr import CelEvaluator
from aether.validate import check

MIB = 1024 * 1024
HEAD = (
    '{"apiVersion":"aether/v1","kind":"Workflow","metadata":{"name":"x"},"spec":'
    '{"entrypoint":"main","templates":['
)


def parameters(inside: str) -> str:
    task = '{"task":{"name":"main","executor":{"type":"e"},"inputs":{"parameters":['
    return HEAD + task + inside + "]}}}]}}"


def nodes(inside: str) -> str:
    return HEAD + '{"dag":{"name":"main","tasks":[' + inside + "]}}]}}"


def hostile_texts() -> dict[str, tuple[str, str]]:
    """Name -> (text of up to 1 MiB, the first code, or "" for a document)."""
    return {
        "open lists": ("[" * MIB, "document-too-large"),
        "open objects": ('{"a":' * 100_000, "document-too-deep"),
        "many values": ("[" + "0," * (MIB // 2) + "0]", "document-too-large"),
        "digits": ("9" * MIB, "number-out-of-range"),
        "exponents": ("[" + "1e999999," * 100_000 + "1]", "number-out-of-range"),
        "long key": ('{"' + "k" * MIB + '":1}', "missing-member"),
        "duplicate keys": ("{" + '"a":1,' * 100_000 + '"a":1}', "duplicate-key"),
        "duplicates at the end": (
            '{"x":[' + "1," * 100_000 + '1],"a":1,"a":2}',
            "duplicate-key",
        ),
        "objects with duplicates": (
            "[" + '{"a":1,"a":2},' * 36_000 + "1]",
            "duplicate-key",
        ),
        "surrogates": ('["' + "\\ud800" * (MIB // 6) + '"]', "bad-character"),
        "control characters": ('"' + "\x01" * MIB + '"', "syntax"),
        "unknown members": (
            "{" + ",".join(f'"k{n}":1' for n in range(95_000)) + "}",
            "missing-member",
        ),
        "templates of a wrong type": (HEAD + "0," * 100_000 + "0]}}", "wrong-type"),
        "enum of another type": (
            parameters('{"name":"a","type":"int","enum":[' + '"a",' * 100_000 + '1],"value":1}'),
            "type-mismatch",
        ),
        "braces": (parameters('{"name":"a","value":"' + "{" * (MIB - 300) + '"}'), ""),
        "long expression": (
            nodes('{"name":"a","executor":{"type":"e"},"when":"' + "(" * (MIB - 300) + '"}'),
            "expression-budget",
        ),
        "long duration": (
            nodes('{"name":"a","executor":{"type":"e"},"timeout":"' + "1h" * 500_000 + '"}'),
            "bad-duration",
        ),
        "bad names": (nodes(",".join(f'{{"name":"N{n}"}}' for n in range(54_000))), "bad-name"),
        "everything waits for everything": (
            nodes(
                ",".join(
                    f'{{"name":"n{n}","executor":{{"type":"e"}},"dependencies":['
                    + ",".join(f'"n{m}"' for m in range(n))
                    + "]}"
                    for n in range(450)
                )
            ),
            "",
        ),
        "yaml lists": ("- " * (MIB // 2) + "a", "document-too-large"),
        "yaml of half the size": ("- " * (MIB // 4 - 100) + "a", "document-too-deep"),
        "yaml keys": ("? " * 200_000, "document-too-deep"),
        "yaml quote": ('"' + "a " * 200_000, "syntax"),
        "yaml aliases": (
            "a0: &a0 [x]\n"
            + "\n".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 50}]" for n in range(1, 2_000)),
            "document-too-large",
        ),
    }


TEXTS = hostile_texts()


def file_of(name: str) -> str:
    return "x.yaml" if name.startswith("yaml") else "x.json"


MEASURE = """
import resource, sys, time
from aether.document import load
from aether.errors import ProblemError
from aether.expr import CelEvaluator
from aether.validate import check
evaluator = CelEvaluator()
for warm in ('{"kind": 1}', "kind: 1\\na: {b: [c, 1.5]}"):
    try:
        check(load(warm), evaluator=evaluator)
    except ProblemError:
        pass
text = sys.stdin.read()
slowness = 1.0
for _ in range(3):
    start = time.process_time()
    for _ in range(1_000_000):
        pass
    slowness = max(1.0, (time.process_time() - start) / 0.020)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
try:
    check(load(text, sys.argv[1]), evaluator=evaluator)
except ProblemError:
    pass
spent = time.process_time() - start
print(spent / slowness, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("name", TEXTS)
def test_hostile_text_has_a_defined_answer(name: str) -> None:
    text, expected = TEXTS[name]
    assert len(text) <= MIB + 100
    problems: tuple[Problem, ...] = ()
    try:
        check(load(text, file_of(name)), evaluator=CelEvaluator())
    except ProblemError as refused:
        problems = refused.problems
    codes = {problem.code for problem in problems}
    assert len(problems) <= 201
    assert expected in codes if expected else not codes


@pytest.mark.parametrize("name", TEXTS)
def test_hostile_text_costs_little_time_and_memory(name: str) -> None:
    text, _ = TEXTS[name]
    seconds, kib = [], 0
    for _ in range(4):  # the best of four, on a machine as fast as usual: other work must not count
        answer = subprocess.run(
            [sys.executable, "-c", MEASURE, file_of(name)],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        seconds.append(float(answer[0]))
        kib = max(kib, int(answer[1]))
        if seconds[-1] < 0.05:
            break
    assert min(seconds) < 0.05
    assert kib < 64 * 1024
