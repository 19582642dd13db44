"""The workflows of the crash matrix: one of each kind, each with one end whatever happens on the way.

In: nothing. Out: documents by kind, and what the executor types they name do. Never: chance or time in
a result: the same arguments give the same rows, with kills and without.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def _flow(name: str, *templates: Json, **spec: Any) -> Json:
    arguments = {"parameters": [{"name": "n", "type": "int", "value": 0}]}
    return {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"entrypoint": "main", "arguments": arguments, "templates": list(templates)} | spec,
    }


def _parameters(*members: Json) -> Json:
    return {"parameters": list(members)}


def _from(name: str, reference: str) -> Json:
    return {"name": name, "valueFrom": {"parameter": reference}}


def _node(name: str, executor: str = "work", *after: str, **members: Any) -> Json:
    """A node that takes `n` from what it waits for, or from the run."""
    source = f"tasks.{after[0]}.outputs.parameters.n" if after else "workflow.parameters.n"
    body: Json = {"name": name, "executor": {"type": executor}, "dependencies": list(after)}
    return body | {"inputs": _parameters(_from("n", source))} | members


def _dag(*nodes: Json, name: str = "main", **members: Any) -> Json:
    return {"dag": {"name": name, "tasks": list(nodes)} | members}


def _gives(node: str) -> Json:
    return _parameters(_from("n", f"tasks.{node}.outputs.parameters.n"))


_BODY: Json = {
    "task": {"name": "body", "executor": {"type": "work"}, "inputs": _parameters({"name": "n"})}
}
_PART: Json = {
    "task": {
        "name": "part",
        "executor": {"type": "work"},
        "inputs": _parameters(_from("n", "workflow.parameters.n")),
    }
}
_BACKOFF = {"initial": "5ms", "factor": 2, "jitter": 0.5}

_CHAIN = _dag(
    _node("a"),
    _node("b", "work", "a"),
    _node("c", "plain", "b"),
    _node("d", "work", "c"),
    outputs=_gives("d"),
)
_FAN = _dag(
    _node("first"),
    *(_node(f"wide-{i}", "work", "first") for i in range(6)),
    _node("left-out", "work", "first", when="workflow.parameters.n > 99"),
    _node("join", "work", *(f"wide-{i}" for i in range(6))),
    outputs=_gives("join"),
)
_LOOP: Json = {
    "loop": {
        "name": "main",
        "items": [1, 2, 3, 4, 5],
        "concurrency": 2,
        "body": "body",
        "arguments": _parameters({"name": "n", "value": "{{iterator.item}}"}),
        "aggregate": {"strategy": "list", "parameters": ["n"]},
    }
}
_REPEAT: Json = {
    "loop": {
        "name": "main",
        "repeatCondition": "tasks.body.outputs.parameters.n < 5",
        "maxIterations": 10,
        "body": "body",
        "arguments": _parameters({"name": "n", "value": "{{loop_iter.index}}"}),
    }
}
_HOOKED = _dag(
    _node("good", hooks={"onSuccess": {"template": "tell"}}),
    _node(
        "bad",
        "broken",
        "good",
        continueOn={"failed": True},
        hooks={"onFailure": {"template": "tell"}},
    ),
)

KINDS: dict[str, Json] = {
    "chain": _flow("chain", _CHAIN),
    "fan": _flow("fan", _FAN),
    "narrow": _flow("narrow", _FAN, parallelism=2),
    "loop": _flow("loop", _LOOP, _BODY),
    "repeat": _flow("repeat", _REPEAT, _BODY),
    "retry": _flow(
        "retry",
        _dag(
            _node("flaky", "flaky", retry={"limit": 3, "backoff": _BACKOFF}),
            _node("after", "work", "flaky"),
            outputs=_gives("after"),
        ),
    ),
    "exhausted": _flow(
        "exhausted", _dag(_node("bad", "flaky", retry={"limit": 1}), _node("never", "work", "bad"))
    ),
    "timeout": _flow(
        "timeout",
        _dag(
            _node("hangs", "hang", timeout="25ms", continueOn={"timeout": True}),
            _node("after", dependencies=["hangs"]),
        ),
    ),
    "overdue": _flow("overdue", _dag(_node("hangs", "hang")), timeout="60ms"),
    "suspend": _flow(
        "suspend",
        _dag(_node("before"), _node("ask", "ask", "before"), _node("after", "work", "ask")),
    ),
    "cancel": _flow("cancel", _dag(_node("before"), _node("hangs", "hang", "before"))),
    "pause": _flow(
        "pause", _dag(_node("a", "slow"), _node("b", "slow", "a"), _node("c", "slow", "b"))
    ),
    "hooks": _flow(
        "hooks",
        _HOOKED,
        {"task": {"name": "tell", "executor": {"type": "work"}}},
        hooks={"onExit": {"template": "tell"}},
    ),
    "stored": _flow(
        "stored",
        _dag(
            {
                "name": "stored",
                "templateRef": {"name": "part", "version": "1"},
                "arguments": _parameters(_from("n", "workflow.parameters.n")),
            },
            outputs=_gives("stored"),
        ),
    ),
    "child": _flow(
        "child",
        _dag(
            _node("before"),
            {"name": "inner", "template": "inner", "dependencies": ["before"]},
            {"name": "turns", "template": "turns", "dependencies": ["inner"]},
        ),
        _dag(_node("x"), _node("y", "work", "x"), name="inner", outputs=_gives("y")),
        {"loop": {"name": "turns", "items": ["p", "q"], "body": "inner"}},
    ),
}

ACTED_UPON = ("suspend", "cancel", "pause")
"""Kinds that do not end unless somebody resumes, cancels or unpauses them."""

TEMPLATE: Json = {
    "apiVersion": "aether/v1",
    "kind": "WorkflowTemplate",
    "metadata": {"name": "part", "version": "1"},
    "spec": {
        "entrypoint": "part",
        "arguments": _parameters({"name": "n", "type": "int", "value": 0}),
        "templates": [_PART],
    },
}


def cron(name: str, schedule: str) -> Json:
    return {
        "apiVersion": "aether/v1",
        "kind": "CronWorkflow",
        "metadata": {"name": name},
        "spec": {
            "schedule": schedule,
            "catchUp": "all",
            "successfulJobsHistoryLimit": 1_000_000,
            "failedJobsHistoryLimit": 1_000_000,
            "workflowSpec": {"entrypoint": "main", "templates": [_CHAIN]}
            | {"arguments": KINDS["chain"]["spec"]["arguments"]},
        },
    }


BY_HAND = cron("by-hand", "0 0 1 1 *")
BY_CLOCK = cron("by-clock", "* * * * *")
