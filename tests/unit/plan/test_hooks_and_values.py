"""Hooks, inputs, secrets and artifacts: what is told, and what is handed on."""

from __future__ import annotations

from aether.plan import CancelTask, HookNotified, TaskCompleted
from aether.record import SecretRef, decode_json, encode_json
from unit.plan.plan_world import SECOND, Run, dag, loop, node, task, value, values

ALL = (
    "onStart",
    "onSuccess",
    "onFailure",
    "onError",
    "onSuspend",
    "onResume",
    "onCancel",
    "onExit",
)
HOOKS = {name: {"template": "tell"} for name in ALL}
TELL = {"task": {"name": "tell", "executor": {"type": "hook"}}}


def secret(name, **members):
    return value(name, valueFrom={"secretKeyRef": {"name": "db", "key": name}}, **members)


# Hooks


def test_hooks_of_a_run_fire_once_each_in_order():
    run = Run(dag(node("a"), node("b")), TELL, hooks=HOOKS)
    assert run.start("a").told() == ["onStart"]
    assert run.start("b").told() == []
    run.complete("a")
    assert run.complete("b").told() == ["onSuccess", "onExit"]
    assert run.hook_tasks() == ["onSuccess", "onExit"]


def test_hooks_of_a_task_follow_its_life():
    run = Run(dag(node("a", hooks=HOOKS, retry={"limit": 1})), TELL)
    told = [run.start("a").told(), run.complete("a", code=1).told(), run.resume("a").told()]
    told += [run.start("a").told(), run.lose("a").told(), run.start("a").told()]
    told += [
        run.complete("a", code=3).told(),
        run.start("a").told(),
        run.complete("a", code=3).told(),
    ]
    assert told == [
        ["onStart a"],
        ["onSuspend a"],
        ["onResume a"],
        [],
        [],
        [],
        [],
        ["onStart a"],
        ["onError a", "onExit a"],
    ]


def test_start_is_told_once_for_each_attempt_although_the_run_was_reloaded():
    run = Run(dag(node("a", hooks=HOOKS)), TELL)
    assert run.start("a").told() == ["onStart a"]
    assert run.reload().lose("a").reload().start("a").told() == []
    assert run.reload().take_over().told() == ["onStart a"]  # again, until it was delivered
    assert run.start("a").told() == []


def test_hooks_of_the_task_fire_before_those_of_the_run():
    run = Run(dag(node("a", hooks=HOOKS)), TELL, hooks=HOOKS)
    assert run.complete("a", code=2).told() == [
        "onStart",
        "onStart a",
        "onFailure a",
        "onExit a",
        "onFailure",
        "onExit",
    ]


def test_cancel_tells_the_tasks_and_then_the_run():
    run = Run(dag(node("a", hooks=HOOKS)), TELL, hooks=HOOKS).start("a").cancel()
    assert run.told() == ["onCancel a", "onExit a", "onCancel", "onExit"]


def test_run_that_times_out_tells_an_error():
    run = Run(dag(node("a")), TELL, hooks=HOOKS, timeout="5s").after(5)
    assert run.told() == ["onError", "onExit"]


def test_task_whose_inputs_cannot_be_bound_tells_an_error_too():
    inputs = values(value("n", "{{workflow.parameters.p}}", type="int"))
    run = Run(
        dag(node("a", hooks=HOOKS, inputs=inputs)),
        TELL,
        arguments={"p": "x"},
    )
    assert run.phase_of("a") == "Error"
    assert run.told() == ["onError a", "onExit a"]


def test_notify_all_tells_what_no_document_declares_and_runs_no_task_for_it():
    run = Run(dag(node("a")), notify_all=True).complete("a")
    assert run.told() == ["onStart", "onStart a", "onSuccess a", "onExit a", "onSuccess", "onExit"]
    assert run.hook_tasks() == []


def with_open_hook():
    return Run(task(), TELL, hooks={"onExit": {"template": "tell"}}).complete("t")


def is_closed(run):
    return str(run.rows.hooks[0].phase) == "Succeeded" and run.state.finished


def test_hook_whose_task_is_over_stays_open_until_its_event_was_delivered():
    run = with_open_hook().complete_hook(0)
    assert not run.rows.hooks[0].phase.is_terminal
    assert run.complete_hook(0, code=2).decision.nothing == "hook 0 is over"
    run.reload().take_over()
    assert (run.told(), run.hook_tasks()) == (["onExit"], [])
    assert is_closed(run.tell(HookNotified(0, run.at)))
    assert run.rows.run.due_at is None


def test_hook_whose_event_was_delivered_stays_open_until_its_task_is_over():
    run = with_open_hook().tell(HookNotified(0, with_open_hook().at))
    assert not run.state.finished
    run.reload().take_over()
    assert (run.told(), run.hook_tasks()) == ([], ["onExit"])
    assert is_closed(run.complete_hook(0))


def test_event_that_no_document_declares_is_open_until_it_was_delivered():
    run = Run(task(), notify_all=True).complete("t")
    numbers = list(run.rows.hooks)
    assert len(run.reload().take_over().told()) == len(numbers)
    assert run.hook_tasks() == []
    run.tell(*(HookNotified(number, run.at) for number in numbers))
    assert run.state.finished


def test_undeclared_hooks_are_silent():
    assert Run(dag(node("a"))).complete("a").rows.hooks == {}


def test_hook_tasks_stand_outside_counts_and_phases():
    run = Run(task(), TELL, hooks={"onExit": {"template": "tell"}}).complete("t")
    assert (run.phase, run.rows.run.total, run.rows.run.done) == ("Succeeded", 1, 1)
    assert not run.state.finished
    run.complete_hook(0, code=2)
    assert "hook onExit (tell) ended Failed" in run.warnings()[0]
    assert run.phase == "Succeeded"


def test_hook_task_has_a_minute_also_in_a_paused_run():
    for paused in (False, True):
        hooks = {"onStart": {"template": "tell"}}
        run = Run(dag(node("a")), TELL, hooks=hooks, notifies=False).start("a")
        if paused:
            run.pause()
        assert run.rows.run.due_at == run.at + 60 * SECOND
        run.after(60)
        assert str(run.rows.hooks[0].phase) == "Timeout"


def test_hook_sees_what_happened():
    run = Run(dag(node("a", hooks=HOOKS)), TELL).complete("a", code=2, message="bad")
    facts = decode_json(run.rows.hooks[1].inputs)[0][2]
    assert facts == {
        "event": "onFailure",
        "runId": "r",
        "workflow": "example",
        "phase": "Failed",
        "message": "bad",
        "task": "a",
        "taskRunId": "r.1",
    }


# Inputs


def test_call_beats_declared_value_beats_default():
    declared = values(value("a", "declared"), value("b", "declared"), value("c", default="default"))
    call = values(value("a", "call"), value("extra", 1))
    run = Run(dag(node("n", template="t", arguments=call)), task(inputs=declared))
    assert run.inputs("n") == {"a": "call", "b": "declared", "c": "default", "extra": 1}
    assert [v.name for v in run.raw_inputs("n")] == ["a", "b", "c", "extra"]


def test_reference_without_a_value_takes_the_default_and_warns():
    parameter = value("a", valueFrom={"parameter": "workflow.parameters.none"}, default=5)
    run = Run(task(inputs=values(parameter)))
    assert run.inputs("t") == {"a": 5}
    assert "workflow.parameters.none" in run.warnings()[0]


def test_result_of_a_placeholder_is_never_substituted_again():
    run = Run(
        task(inputs=values(value("a", "{{workflow.parameters.p}}"))),
        arguments={"p": "{{workflow.name}}"},
    )
    assert run.inputs("t") == {"a": "{{workflow.name}}"}


def test_lone_placeholder_keeps_its_type_and_others_print_as_json():
    run = Run(
        task(
            inputs=values(
                value("a", "{{workflow.parameters.p}}"), value("b", "p={{workflow.parameters.p}}!")
            )
        ),
        arguments={"p": [1.5, True]},
    )
    assert run.inputs("t") == {"a": [1.5, True], "b": "p=[1.5,true]!"}


def test_each_attempt_is_bound_anew_from_what_is_true_then():
    inputs = values(value("id", "{{workflow.id}}"))
    run = Run(task(inputs=inputs, retry={"limit": 1}))
    run.complete("t", code=1).resume("t", answer=1).complete("t", code=3)
    assert run.inputs("t") == {"id": "r"}


# Secrets


def test_secret_stays_a_reference_through_every_hand():
    arguments = values(secret("token"))
    inner = dag(
        node("x", arguments=values(value("t", valueFrom={"parameter": "inputs.parameters.t"}))),
        name="inner",
        inputs=values(value("t")),
    )
    call = values(value("t", valueFrom={"parameter": "workflow.parameters.token"}))
    run = Run(
        dag(node("n", template="inner", arguments=call), name="top"), inner, parameters=arguments
    )
    assert [v.secret for v in run.raw_inputs("x")] == [SecretRef("db", "token")]
    assert run.raw_inputs("x")[0].value is None
    assert run.plan.has_secrets


def test_text_and_expressions_never_see_a_secret():
    inputs = values(secret("token"))
    inner = dag(
        node(
            "x",
            when="inputs.parameters.token == '***'",
            inputs=values(value("a", "<{{inputs.parameters.token}}>")),
        ),
        name="inner",
        inputs=inputs,
        outputs=values(value("o", valueFrom={"parameter": "inputs.parameters.token"})),
    )
    run = Run(dag(node("n", template="inner"), name="top"), inner)
    assert run.inputs("x") == {"a": "<***>"}


# Artifacts


def test_output_artifact_of_one_task_is_the_input_of_the_next():
    make = node("a", outputs={"artifacts": [{"name": "out"}]})
    take = node(
        "b", "a", inputs={"artifacts": [{"name": "in", "from": "tasks.a.outputs.artifacts.out"}]}
    )
    run = Run(dag(make, take))
    place = {"type": "local", "config": {"path": "p"}, "archive": "none"}
    row = run.row("a")
    run.tell(
        TaskCompleted(
            row.ordinal, 1, 1, run.at, artifacts=encode_json({"out": {"path": "p"}}), worker="w"
        )
    )
    assert decode_json(run.row("b").artifacts_in) == {"in": place}


def test_artifact_that_was_never_made_is_an_error_of_who_wants_it():
    take = node(
        "b", "a", inputs={"artifacts": [{"name": "in", "from": "tasks.a.outputs.artifacts.out"}]}
    )
    run = Run(dag(node("a"), take)).complete("a")
    assert run.phase_of("b") == "Error"
    assert "artifact 'in' does not exist" in run.row("b").message
    assert run.of(CancelTask) == []


def test_iteration_of_a_dag_sees_its_item():
    body = dag(
        node("x", inputs=values(value("i", valueFrom={"parameter": "inputs.parameters.name"}))),
        name="x-body",
    )
    run = Run(loop(body="x-body", items=[{"name": "n1"}]), body)
    assert run.inputs("x") == {"i": "n1"}
