"""What is said about each member of the protocol: its meaning, and the values it may have.

One table for the validator and for the JSON Schema that editors use.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .. import document as doc
from .shape import LARGEST_INT

POLICIES = ("Allow", "Forbid", "Replace")
CATCH_UPS = ("none", "last", "all")
STRATEGIES = ("last", "first", "list")
LOSSES = ("redeliver", "fail")
ARCHIVES = ("none", "tar", "tar.gz", "zip")


class Rule(msgspec.Struct, frozen=True):
    """`choices`, `least` and `most` are enforced; `duration` text must be readable."""

    meaning: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    duration: bool = False


def _duration(meaning: str) -> Rule:
    return Rule(meaning + " For example 300ms, 1.5h, 1h30m or 2d.", duration=True)


def _count(meaning: str, least: int = 0) -> Rule:
    return Rule(meaning, least=least, most=LARGEST_INT)


def _name(of: str) -> Rule:
    return Rule(f"The name of the {of}: lower case, digits and hyphens, at most 63 characters.")


_TIMEOUT = "How long one attempt may take, from the moment it is ready to run."
_CONDITIONS = Rule("Expressions that override the phase that the result alone would give.")
_HOOK = "The task template that is run, and the event that is sent, "
_IGNORED_HERE = "Which members count depends on the place: a template, or a node of a DAG."

RULES: dict[type[msgspec.Struct], dict[str, Rule]] = {
    doc.Metadata: {
        "name": _name("document"),
        "namespace": Rule("Stored with the document; `default` when absent."),
        "version": Rule("The version of the document; WorkflowTemplates are stored under it."),
        "labels": Rule("Text by key, to find documents and runs by."),
        "annotations": Rule("Text by key, for people and tools; never looked at."),
    },
    doc.SecretKeyRef: {
        "name": Rule("The name of the secret."),
        "key": Rule("The key within the secret."),
    },
    doc.ValueFrom: {
        "path": Rule("A reference, looked up like `parameter`."),
        "parameter": Rule("A reference such as tasks.build.outputs.parameters.image."),
        "expression": Rule("An expression; its result is the value."),
        "secret_key_ref": Rule("A secret; its value is fetched when the task is dispatched."),
    },
    doc.Parameter: {
        "name": Rule("The name of the parameter."),
        "type": Rule("string, int, float, bool, array, object, any, json or list."),
        "value": Rule("The literal value. null counts as absent."),
        "default": Rule("Used when there is no other value."),
        "description": Rule("For people."),
        "enum": Rule("The values that are allowed; absent or empty allows all."),
        "value_from": Rule("Where the value comes from; a `value` wins over it."),
    },
    doc.ArtifactSource: {
        "type": Rule("oss, local, http, or the type of a registered repository."),
        "config": Rule("oss: bucket, key, endpoint. local: path. http: url, headers."),
    },
    doc.Archive: {"type": Rule("How the artifact is packed.", choices=ARCHIVES)},
    doc.Artifact: {
        "name": Rule("The name of the artifact."),
        "from_": Rule("Another task's output: tasks.<name>.outputs.artifacts.<artifact>."),
        "source": Rule("Where the artifact is kept."),
        "archive": Rule("How the artifact is packed."),
    },
    doc.Values: {
        "parameters": Rule("Named values."),
        "artifacts": Rule("Named files or folders."),
    },
    doc.Outputs: {
        "parameters": Rule("The outputs that are kept; without any, all are."),
        "artifacts": Rule("The files or folders that are uploaded."),
    },
    doc.Backoff: {
        "initial": _duration("The wait before the first extra attempt."),
        "factor": Rule("Each wait is this many times the one before.", least=1, most=1_000),
        "max": _duration("The longest wait."),
        "jitter": Rule("The part of each wait that chance decides, 0 to 1.", least=0, most=1),
    },
    doc.Retry: {
        "limit": _count("How many extra attempts there may be."),
        "expression": Rule("Decides for each attempt that did not succeed whether to try again."),
        "backoff": Rule("The waits between attempts."),
        "non_retryable": Rule("Error types that are never tried again."),
    },
    doc.ContinueOn: {
        "failed": Rule("Go on when the task is Failed."),
        "error": Rule("Go on when the task ends in Error."),
        "timeout": Rule("Go on when the task runs out of time."),
    },
    doc.PhaseConditions: {
        "succeeded": Rule("Succeeded when true; looked at first."),
        "failed": Rule("Failed when true; looked at second."),
        "error": Rule("Error when true; looked at last."),
    },
    doc.Hook: {"template": Rule("The name of a task template.")},
    doc.Hooks: {
        "on_start": Rule(_HOOK + "when it starts running."),
        "on_success": Rule(_HOOK + "when it has succeeded."),
        "on_failure": Rule(_HOOK + "when it is Failed."),
        "on_error": Rule(_HOOK + "when it ends in Error or Timeout."),
        "on_suspend": Rule(_HOOK + "when it is suspended."),
        "on_resume": Rule(_HOOK + "when it is resumed."),
        "on_cancel": Rule(_HOOK + "when it is cancelled."),
        "on_exit": Rule(_HOOK + "when it is over, whatever the phase."),
    },
    doc.ExecutorRef: {"type": Rule("The executor type; a worker must have announced it.")},
    doc.Resources: {
        "cpu": Rule("Handed to the executor."),
        "memory": Rule("Handed to the executor."),
        "gpu": Rule("Handed to the executor."),
    },
    doc.TemplateRef: {
        "name": Rule("The name of a stored WorkflowTemplate."),
        "version": Rule("Its version; absent: the latest at submit."),
    },
    doc.Task: {
        "name": _name("task template or node"),
        "template": Rule("Node: the template that it runs."),
        "template_ref": Rule("Node: the stored WorkflowTemplate that it runs."),
        "executor": Rule("What does the work. " + _IGNORED_HERE),
        "inputs": Rule("The declared inputs."),
        "outputs": Rule("The declared outputs; only these are kept."),
        "arguments": Rule("Node: values for the inputs of its template."),
        "dependencies": Rule("Node: the nodes that must be over before this one begins."),
        "when": Rule("Node: an expression; when it is not true, the node is Skipped."),
        "timeout": _duration(_TIMEOUT),
        "retry": Rule("When to try again; a node's policy replaces its template's."),
        "on_worker_lost": Rule(
            "What a worker that was lost at work means: redeliver, the default, hands the same attempt "
            "to another one, fail ends the attempt in Error `worker-lost`, and `retry` decides.",
            choices=LOSSES,
        ),
        "continue_on": Rule("Node: which ends do not stop what depends on it."),
        "resources": Rule("Handed to the executor."),
        "phase_conditions": _CONDITIONS,
        "hooks": Rule("Node: what happens at its transitions."),
        "limits": Rule("Slots that the task needs to begin; those of node and template both count."),
    },
    doc.Limit: {
        "key": Rule("What is limited, wherever it is named; may hold placeholders of arguments."),
        "concurrency": _count("How many may hold a slot of the key at once; 0: any number."),
        "rate": Rule("How many may begin within a span of time, for example 10/1m or 5/s."),
        "fair": Rule("Those that wait take turns by this, for example by tenant."),
    },
    doc.Dag: {
        "name": _name("template"),
        "inputs": Rule("The declared inputs."),
        "outputs": Rule("The outputs, usually with `valueFrom`."),
        "entrypoints": Rule("Run only what is reachable from these nodes."),
        "tasks": Rule("The nodes."),
        "continue_on": Rule("The default for nodes that have none of their own."),
        "phase_conditions": _CONDITIONS,
        "timeout": _duration(_TIMEOUT),
        "fail_fast": Rule("Stop the other nodes as soon as one fails."),
        "parallelism": _count("How many nodes may run at once; 0: all."),
    },
    doc.Aggregate: {
        "strategy": Rule("Which iterations make the outputs.", choices=STRATEGIES),
        "parameters": Rule("The outputs to keep; empty: all."),
    },
    doc.Loop: {
        "name": _name("template"),
        "inputs": Rule("The declared inputs."),
        "outputs": Rule("The declared outputs."),
        "items": Rule("The list to go through. Exactly one of items, itemsFrom, repeatCondition."),
        "items_from": Rule("A `{{reference}}` or an expression that gives the list."),
        "repeat_condition": Rule("Repeat while this expression is true; needs maxIterations."),
        "concurrency": _count("How many iterations may run at once; 0: all."),
        "max_iterations": _count("The most iterations there may be."),
        "body": Rule("The template that every iteration runs."),
        "body_ref": Rule("The stored WorkflowTemplate that every iteration runs."),
        "arguments": Rule("Values for each iteration; may use loop_iter.* and iterator.*."),
        "aggregate": Rule("How the iterations' outputs become the loop's."),
        "phase_conditions": _CONDITIONS,
        "timeout": _duration(_TIMEOUT),
        "fail_fast": Rule("Stop the other iterations as soon as one fails."),
        "continue_on": Rule("Which ends of an iteration do not count against the loop."),
        "retry": Rule("When to try an iteration again."),
    },
    doc.Template: {
        "task": Rule("One piece of work, done by an executor."),
        "dag": Rule("Nodes that wait for each other."),
        "loop": Rule("One template run many times."),
    },
    doc.WorkflowSpec: {
        "entrypoint": Rule("The template that the run starts with."),
        "workflow_template_ref": Rule("A stored WorkflowTemplate, in place of templates."),
        "arguments": Rule("The parameters of the whole workflow."),
        "timeout": _duration("The deadline of the whole run; 1h when absent."),
        "priority": Rule("Higher is dispatched first; 500 when absent.", least=-LARGEST_INT,
                         most=LARGEST_INT),
        "max_nested_depth": Rule("How deep templates may nest, 1 to 10; 3 when absent."),
        "parallelism": _count("How many tasks of the run may run at once; 0: all."),
        "limits": Rule("Slots that the whole run needs to begin, and holds until its end."),
        "templates": Rule("The templates."),
        "hooks": Rule("What happens at the transitions of the run."),
    },
    doc.CronSpec: {
        "schedule": Rule("Five cron fields, or a macro such as @daily."),
        "timezone": Rule("An IANA time zone; UTC when absent."),
        "start_at": Rule("RFC 3339: nothing fires before."),
        "end_at": Rule("RFC 3339: nothing fires after."),
        "concurrency_policy": Rule("What to do while a run is active.", choices=POLICIES),
        "starting_deadline_seconds": _count("The most seconds a fire may be late.", least=1),
        "successful_jobs_history_limit": _count("How many succeeded runs are kept; 3 when absent."),
        "failed_jobs_history_limit": _count("How many failed runs are kept; 1 when absent."),
        "suspend": Rule("Nothing fires while true."),
        "catch_up": Rule("Which missed fires are made up for.", choices=CATCH_UPS),
        "catch_up_window": _duration("How old a missed fire may be."),
        "jitter": _duration("Each fire is delayed by up to this much."),
        "workflow_spec": Rule("The workflow that is run."),
    },
}  # fmt: skip

_ENVELOPE = {
    "api_version": Rule("Always aether/v1.", choices=(doc.API_VERSION,)),
    "kind": Rule("Workflow, CronWorkflow or WorkflowTemplate."),
    "metadata": Rule("The name, and what tools want to know."),
    "spec": Rule("What is to be done."),
}
for _kind in (doc.Workflow, doc.CronWorkflow, doc.WorkflowTemplate):
    RULES[_kind] = _ENVELOPE

ENFORCED: dict[type[Any], tuple[tuple[str, str, Rule], ...]] = {
    struct: tuple(
        (attribute, struct.__struct_encode_fields__[place], rule)
        for place, attribute in enumerate(struct.__struct_fields__)
        if (rule := rules[attribute]).choices or rule.duration or rule.least is not None
    )
    for struct, rules in RULES.items()
    if struct not in (doc.Workflow, doc.CronWorkflow, doc.WorkflowTemplate)
}
"""(attribute, member, rule) of everything whose value `members` restricts."""
