"""Loading and judging documents."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import msgspec

from aether.document import load
from aether.expr import CelEvaluator
from aether.validate import check

from ..case import Sample, case, peak_rss_mb
from ..harness import settle_collector, workflow

NODES = 1_000


@case("validate-1000", "documents", bar="at most 15 ms", url="", tier="")
def validate_1000() -> Sample:
    """Text to Checked: 1,000 nodes with arguments, references, time limits and one condition."""
    return _validate(lambda i: "tasks.t0.phase == 'Succeeded'")


@case("validate-1000-conditions", "documents", url="", tier="")
def validate_1000_conditions() -> Sample:
    """The same with a condition of its own for each node: 999 expressions to compile."""
    return _validate(lambda i: f"tasks.t{i - 1}.phase == 'Succeeded'")


def _validate(condition: Callable[[int], str]) -> Sample:
    tasks: list[dict[str, Any]] = [{"name": "t0", "template": "work"}]
    tasks += [
        {
            "name": f"t{i}",
            "template": "work",
            "dependencies": [f"t{i - 1}"],
            "when": condition(i),
            "timeout": "10s",
            "arguments": {
                "parameters": [
                    {"name": "n", "type": "int", "value": i},
                    {"name": "x", "valueFrom": {"parameter": "workflow.parameters.x"}},
                ]
            },
        }
        for i in range(1, NODES)
    ]
    inputs = {"parameters": [{"name": "n", "type": "int"}, {"name": "x"}]}
    document = workflow(
        {"dag": {"name": "main", "tasks": tasks}},
        {"task": {"name": "work", "executor": {"type": "echo"}, "inputs": inputs}},
    )
    document["spec"]["arguments"] = {"parameters": [{"name": "x", "value": 1}]}
    text = msgspec.json.encode(document)
    settle_collector()
    times, raw = [], []
    for _ in range(9):
        evaluator = CelEvaluator()
        began = time.perf_counter()
        check(load(text), evaluator=evaluator)
        times.append(time.perf_counter() - began)
        began = time.perf_counter()
        msgspec.json.encode(msgspec.json.decode(text))
        raw.append(time.perf_counter() - began)
    return Sample(
        n=1,
        seconds=median(times),
        cpu_s=median(times),
        rss_mb=peak_rss_mb(),
        limit=1 / median(raw),
        extra={"kilobytes": len(text) / 1000},
    )
