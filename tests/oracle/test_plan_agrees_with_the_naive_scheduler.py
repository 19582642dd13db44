"""Random documents and random days, told to the plan and to the naive scheduler alike.

A failure prints a shrunk document, the facts told so far, and the seed.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from aether.expr import CelEvaluator
from aether.testing.documents import random_document
from aether.validate import check
from oracle.comparison import Disagreement
from oracle.drive import Drive
from oracle.naive import NaiveRun
from oracle.shrink import shrunk

DOCUMENTS = 2_400
RARE = 0.05


def disagreement(document: dict[str, Any], seed: int) -> tuple[str, list[str]] | None:
    """What the two disagree about, and the facts that led there."""
    drive = Drive(document, seed)
    try:
        drive.run()
    except Disagreement as exc:
        return str(exc), drive.log
    return None


def report(document: dict[str, Any], seed: int, first: str) -> str:
    """The smallest document found that fails in the same way, with the shortest script for it."""
    subject = first.partition(" naive ")[2].partition(" ")[0]

    def alike(candidate: dict[str, Any], script: int) -> tuple[str, list[str]] | None:
        try:
            found = disagreement(candidate, script)
        except Exception:  # noqa: BLE001 - without a member it may be no valid document
            return None
        return found if found and f"naive {subject}" in found[0] else None

    scripts = [seed, *range(1, 8)]
    small = shrunk(document, lambda smaller: any(alike(smaller, script) for script in scripts))
    found = [told for script in [seed, *range(300)] if (told := alike(small, script))]
    differences, facts = min(found, key=lambda told: len(told[1]), default=(first, []))
    return "\n".join([f"seed {seed}", json.dumps(small), *facts, differences])


@pytest.fixture(scope="module")
def features() -> Counter[str]:
    """Every document of the set was driven to its end without a difference."""
    counted: Counter[str] = Counter()
    for seed in range(DOCUMENTS):
        document, used = random_document(seed)
        if found := disagreement_and_features(document, seed, used):
            pytest.fail(report(document, seed, found), pytrace=False)
        counted.update(used)
    return counted


def disagreement_and_features(document: dict[str, Any], seed: int, used: set[str]) -> str:
    try:
        used |= Drive(document, seed).run()
    except Disagreement as exc:
        return str(exc)
    return ""


FEATURES = """
task timeout | node timeout | dag timeout | loop timeout | workflow timeout
dag | nested dag | entry dag | entry loop | entry task | loop | nested loop
loop in a loop | dag in a loop | inline executor | entrypoints | omitted nodes
when | Skipped task | continueOn of a node | empty continueOn | continueOn of a dag
continueOn of a loop | dag.failFast | loop.failFast | spec.parallelism | dag.parallelism
items | itemsFrom | repeatCondition | object items | concurrency | maxIterations
aggregate first | aggregate last | aggregate list | aggregate filter
loop of nothing Succeeded | loop of nothing Error
retry of a node | retry of a template | retry of a loop | retry of a container | retry expression
backoff | nonRetryable | retried task | retried container
phaseConditions of a task | phaseConditions of a dag | phaseConditions of a loop
workflow arguments | submitted arguments | input value | input valueFrom | input default
call arguments | extra argument | loop arguments | valueFrom.parameter | valueFrom.path
valueFrom.expression | placeholders in arguments | placeholders in inputs
placeholders in loop arguments | output whitelist | output fallback | dag outputs
hooks of a workflow | hooks of a node
code 0 | code 1 | code 2 | code 3 | code 4 | code 7 | resumed | paused | lost worker
a result that comes late | a result that comes twice | a result that never comes
several facts at once | state loaded again | taken over | braces and expressions in placeholders
run Succeeded | run Failed | run Error | run Timeout | run Cancelled
"""


def test_two_schedulers_show_the_same_runs_after_every_fact(features: Counter[str]) -> None:
    """The work is done in the fixture; a difference fails it with everything needed to see why."""
    assert features["a result that comes late"] > DOCUMENTS / 2
    assert features["undecided"] < RARE * DOCUMENTS


def test_every_feature_is_in_one_document_of_twenty(features: Counter[str]) -> None:
    wanted = {name.strip() for line in FEATURES.strip().splitlines() for name in line.split("|")}
    rare = {name: features[name] for name in wanted if features[name] < RARE * DOCUMENTS}
    assert not rare


def test_the_random_documents_are_valid() -> None:
    for seed in range(200):
        check(random_document(seed)[0], evaluator=CelEvaluator())


WRONG_RULES = {
    "_tolerated": lambda self, task, child: False,
    "_retry": lambda self, task, phase, env, error_type: False,
    "_reachable": lambda self, body: {node["name"] for node in body["tasks"]},
    "_stopped": lambda self, task, children: False,
    "_has_slot": lambda self: True,
    "_may_wake": lambda self, task: True,
    "_again": lambda self, task, children: len(children) < task["body"]["maxIterations"],
    "_omit": lambda self, task: None,
    "_aggregate": lambda self, task, children: {},
    "_fire": lambda self, task, *names: None,
    "taken_over": lambda self, at: None,
    "types": lambda self, task: {},
    "lost": lambda self, key, delivery, at: None,
    "unpaused": lambda self, at: setattr(self, "paused_at", None),
}


@pytest.mark.parametrize("rule", WRONG_RULES)
def test_one_wrong_rule_is_noticed(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NaiveRun, rule, WRONG_RULES[rule])
    assert any(disagreement(random_document(seed)[0], seed) for seed in range(300))
