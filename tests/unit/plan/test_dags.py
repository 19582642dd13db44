"""DAGs: who may run, who never does and why, and how the DAG ends."""

from __future__ import annotations

import pytest

from unit.plan.plan_world import Run, dag, node, task, value, values

CODES = {"failed": 2, "error": 3, "timeout": 4}
PHASES = {"failed": "Failed", "error": "Error", "timeout": "Timeout"}


def test_node_runs_once_all_its_dependencies_are_over():
    run = Run(dag(node("a"), node("b"), node("c", "a", "b")))
    assert run.dispatched() == ["a", "b"]
    assert run.complete("a").dispatched() == []
    assert run.complete("b").dispatched() == ["c"]
    assert run.complete("c").phase == "Succeeded"


def test_task_runs_know_their_place_in_the_tree():
    run = Run(dag(node("n", template="x"), name="top"), dag(node("a"), name="x"))
    rows = [
        (r.parent, r.depth, r.scope, r.task_name, r.template_name, r.kind)
        for r in run.rows.tasks.values()
    ]
    assert rows == [
        (None, 0, "", "top", "top", "dag"),
        (0, 1, "top/", "n", "x", "dag"),
        (1, 2, "n/", "a", "", "task"),
    ]


@pytest.mark.parametrize("how", CODES)
def test_dependants_run_only_if_the_node_tolerates_how_it_ended(how):
    for tolerated in (True, False):
        run = Run(dag(node("a", continueOn={how: tolerated}), node("b", "a")))
        run.complete("a", code=CODES[how])
        assert run.dispatched() == (["b"] if tolerated else [])
        if tolerated:
            assert run.complete("b").phase == "Succeeded"
        else:
            assert run.phase == ("Failed" if how == "failed" else "Error")
            assert run.omitted("d") == {"b": f"its dependency 'a' ended {PHASES[how]}"}


def test_own_continue_on_replaces_the_dag_s_even_when_it_is_empty():
    run = Run(dag(node("a", continueOn={}), node("b", "a"), continueOn={"failed": True}))
    assert run.complete("a", code=2).phase == "Failed"
    run = Run(dag(node("a"), node("b", "a"), continueOn={"failed": True}))
    assert run.complete("a", code=2).dispatched() == ["b"]


def test_independent_branches_go_on_after_a_failure():
    run = Run(dag(node("a"), node("b"), node("c", "b"), node("z", "a"), node("y", "z")))
    run.complete("a", code=2)
    assert run.complete("b").dispatched() == ["c"]
    run.complete("c")
    assert run.phase == "Failed"
    assert run.omitted("d") == {
        "z": "its dependency 'a' ended Failed",
        "y": "its dependency 'z' was not reached",
    }
    assert run.rows.run.total == run.rows.run.done == 4


def test_error_outranks_failure_and_the_message_names_the_first_few():
    run = Run(dag(*(node(f"n{i}") for i in range(5))))
    for i in (4, 0, 2, 3):
        run.complete(f"n{i}", code=2 if i else 3)
    run.complete("n1", code=2)
    assert run.phase == "Error"
    assert run.rows.run.message == "5 tasks ended in error: n0, n1, n2, …"


def test_entrypoints_restrict_the_dag_to_what_lies_downstream():
    run = Run(dag(node("a"), node("b"), node("c", "b"), entrypoints=["b"]))
    assert run.dispatched() == ["b"]
    run.complete("b").complete("c")
    assert run.phase == "Succeeded"
    assert run.omitted("d") == {"a": "it is not downstream of the entrypoints"}


def test_node_with_a_dependency_outside_the_entrypoints_is_omitted_and_nothing_hangs():
    run = Run(dag(node("a"), node("b"), node("c", "a", "b"), entrypoints="b"))
    run.complete("b")
    assert run.phase == "Succeeded"
    assert set(run.omitted("d")) == {"a", "c"}


def test_fail_fast_cancels_what_runs_and_starts_nothing_more():
    run = Run(dag(node("a"), node("b"), node("c", "b"), failFast=True))
    run.start("b").complete("a", code=2)
    assert run.phases() == {"d": "Failed", "d/a": "Failed", "d/b": "Cancelled"}
    assert run.row("b").message == "stopped because 'a' failed"
    assert run.omitted("d") == {"c": "its dependency 'b' ended Cancelled"}
    assert run.phase == "Failed"


def test_fail_fast_leaves_alone_what_is_tolerated():
    run = Run(dag(node("a", continueOn={"failed": True}), node("b"), failFast=True))
    assert run.complete("a", code=2).phase_of("b") == "Ready"
    assert run.complete("b").phase == "Succeeded"


def test_parallelism_of_a_dag_counts_its_open_nodes():
    run = Run(dag(*(node(f"n{i}") for i in range(5)), parallelism=2))
    assert run.dispatched() == ["n0", "n1"]
    assert run.complete("n1").dispatched() == ["n2"]
    assert run.complete("n0").dispatched() == ["n3"]


def test_parallelism_of_the_run_counts_leaves_wherever_they_are():
    inner = dag(node("x"), node("y"), name="inner")
    run = Run(dag(node("a"), node("b", template="inner"), name="top"), inner, parallelism=2)
    assert run.dispatched() == ["a", "x"]
    assert run.phase_of("y") == "Created"
    assert run.complete("a").dispatched() == ["y"]


def test_suspended_task_holds_no_slot():
    run = Run(dag(node("a"), node("b")), parallelism=1)
    assert run.complete("a", code=1).dispatched() == ["b"]


@pytest.mark.parametrize(
    ("when", "phase", "warned"),
    [
        ("tasks.a.phase == 'Succeeded'", "Ready", False),
        ("tasks.a.outputs.parameters.n > 5", "Skipped", False),
        ("workflow.parameters.go", "Ready", False),
        ("deploy.region == 'x'", "Ready", False),
        ("tasks.a.outputs.parameters.missing", "Skipped", True),
        ("1", "Skipped", True),
    ],
)
def test_when_decides_from_siblings_parameters_and_variables(when, phase, warned):
    run = Run(
        dag(node("a"), node("b", "a", when=when), node("c", "b")),
        arguments={"go": True},
        variables={"deploy.region": "x"},
    )
    run.complete("a", n=1)
    assert run.phase_of("b") == phase
    assert bool(run.warnings()) == warned
    if phase == "Skipped":
        assert run.dispatched() == ["c"]
        assert when in run.row("b").message


def test_dag_of_nothing_but_skipped_nodes_succeeds_without_ever_running():
    run = Run(dag(node("a", when="false"), node("b", "a", when="1 > 2")))
    assert run.phases() == {"d": "Succeeded", "d/a": "Skipped", "d/b": "Skipped"}
    assert (run.phase, run.rows.run.started_at) == ("Succeeded", None)


def test_container_runs_with_its_first_leaf_and_so_do_those_above():
    run = Run(dag(node("n", template="x"), name="top"), dag(node("a"), name="x"))
    assert run.phases() == {"top": "Ready", "top/n": "Ready", "n/a": "Ready"}
    run.start("a")
    assert set(run.phases().values()) == {"Running"}
    assert run.phase == "Running"


def test_result_without_a_word_of_the_start_passes_through_running():
    run = Run(dag(node("a"), node("b", "a"))).complete("a")
    assert run.phases() == {"d": "Running", "d/a": "Succeeded", "d/b": "Ready"}
    assert run.row("a").started_at is not None


def test_phase_conditions_of_a_dag_judge_by_its_children():
    conditions = {"succeeded": "tasks.a.code == 2 && phase == 'Failed'"}
    run = Run(dag(node("a"), phaseConditions=conditions))
    assert run.complete("a", code=2).phase == "Succeeded"


def test_phase_conditions_of_a_task_are_tried_in_order():
    conditions = {"failed": "outputs.parameters.n > 1", "error": "outputs.parameters.n > 0"}
    for n, phase in ((0, "Succeeded"), (1, "Error"), (2, "Failed")):
        assert Run(task(phaseConditions=conditions)).complete("t", n=n).phase == phase


def test_outputs_of_a_dag_come_from_its_tasks_and_leave_out_what_has_no_value():
    outputs = values(
        value("x", valueFrom={"parameter": "tasks.a.outputs.parameters.n"}),
        value("y", valueFrom={"expression": "tasks.a.outputs.parameters.n + 1"}),
        value("gone", valueFrom={"parameter": "tasks.a.outputs.parameters.none"}),
        value("fixed", 7),
    )
    run = Run(dag(node("a"), outputs=outputs)).complete("a", n=41)
    assert run.outputs() == {"x": 41, "y": 42, "fixed": 7}
    assert "gone" in run.warnings()[0]


def test_declared_outputs_of_a_task_are_a_whitelist_with_fallbacks():
    outputs = values(value("a"), value("b", 5), value("c"))
    run = Run(task(outputs=outputs)).complete("t", outputs={"a": 1, "b": None, "secret": 3})
    assert run.outputs() == {"a": 1, "b": 5}


@pytest.mark.parametrize("count", [10_000])
def test_wide_dag_is_made_in_slices(count):
    run = Run(dag(*(node(f"n{i}") for i in range(count))))
    assert max(run.created) <= 256
    assert sum(run.created) == count + 1
    assert len(run.dispatched()) == count
    assert not run.state.agenda


def test_slices_of_nested_containers_stay_within_their_measure():
    inner = dag(*(node(f"i{i}") for i in range(30)), name="inner")
    run = Run(dag(*(node(f"n{i}", template="inner") for i in range(100)), name="top"), inner)
    assert max(run.created) <= 256
    assert sum(run.created) == 3101


def test_long_chain_costs_one_decision_for_each_link():
    chain = [node("n0"), *(node(f"n{i}", f"n{i - 1}", when="false") for i in range(1, 600))]
    run = Run(dag(*chain)).complete("n0")
    assert max(run.created) <= 256
    assert run.phase == "Succeeded"
