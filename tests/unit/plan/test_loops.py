"""Loops: what is iterated, how many at once, and what comes of it."""

from __future__ import annotations

import pytest

from unit.plan.plan_world import Run, dag, loop, node, task, value, values


def test_all_iterations_begin_at_once_without_a_limit():
    run = Run(loop(items=[1, 2, 3]), task())
    assert run.dispatched() == ["t"] * 3
    assert set(run.phases()) == {"l", "l.loop[0]/t", "l.loop[1]/t", "l.loop[2]/t"}


def test_free_places_are_filled_again():
    run = Run(loop(items=list(range(5)), concurrency=2), task())
    assert len(run.dispatched()) == 2
    ends = [run.complete(f"l.loop[{index}]/t").dispatched() for index in (1, 0, 2, 3, 4)]
    assert [len(names) for names in ends] == [1, 1, 1, 0, 0]
    assert run.phase == "Succeeded"


def test_max_iterations_cuts_the_list():
    run = Run(loop(items=[1, 2, 3], maxIterations=2), task())
    assert len(run.dispatched()) == 2
    run.reload().complete("l.loop[0]/t").complete("l.loop[1]/t")
    assert run.phase == "Succeeded"


@pytest.mark.parametrize("source", [[1, 2], "[1, 2]"])
def test_items_may_come_from_a_value_and_are_kept_as_they_were(source):
    run = Run(
        dag(node("a"), node("b", "a", template="l")),
        loop(itemsFrom="{{tasks.a.outputs.parameters.list}}"),
        task(),
    )
    run.complete("a", list=source)
    assert run.row("b").items == b"[1,2]"
    assert len(run.dispatched()) == 2


@pytest.mark.parametrize(
    ("items_from", "part"),
    [
        ("{{tasks.a.outputs.parameters.none}}", "there is no"),
        ("tasks.a.outputs.parameters.number", "not an array"),
        ("tasks.a.outputs.parameters.text", "no JSON array"),
        ("tasks.a.outputs.parameters.none + 1", "could not be evaluated"),
    ],
)
def test_items_that_are_no_list_are_an_error_of_the_loop(items_from, part):
    run = Run(dag(node("a"), node("b", "a", template="l")), loop(itemsFrom=items_from), task())
    run.complete("a", number=7, text="x")
    assert (run.phase_of("b"), run.phase) == ("Error", "Error")
    assert part in run.row("b").message


def test_loop_over_nothing_succeeds_and_gives_empty_lists():
    outputs = values(value("x"), value("y"))
    run = Run(
        dag(
            node("b", template="l"),
            outputs=values(value("o", valueFrom={"parameter": "tasks.b.outputs.parameters.x"})),
        ),
        loop(itemsFrom="null", aggregate={"strategy": "list"}, outputs=outputs),
        task(),
    )
    assert run.outputs("b") == {"x": [], "y": []}
    assert (run.phase, run.outputs()) == ("Succeeded", {"o": []})


@pytest.mark.parametrize(
    ("aggregate", "outputs"),
    [
        (None, {"n": 2, "odd": 0}),
        ({"strategy": "first"}, {"n": 0, "even": 0}),
        ({"strategy": "last", "parameters": ["n"]}, {"n": 2}),
        ({"strategy": "list"}, {"n": [0, 1, 2], "even": [0, None, None], "odd": [None, None, 0]}),
        ({"strategy": "list", "parameters": ["n", "z"]}, {"n": [0, 1, 2], "z": [None] * 3}),
    ],
)
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_outputs_are_aggregated_in_order_of_iterations_not_of_their_ends(aggregate, outputs, order):
    run = Run(loop(items=[0, 1, 2], **({"aggregate": aggregate} if aggregate else {})), task())
    extra = {0: {"even": 0}, 1: {}, 2: {"odd": 0}}
    for index in order:
        run.complete(f"l.loop[{index}]/t", outputs={"n": index} | extra[index])
    assert run.outputs() == outputs


def test_failed_iteration_fails_the_loop_and_stops_no_other():
    run = Run(loop(items=[0, 1, 2], concurrency=1), task())
    run.complete("l.loop[0]/t", code=2)
    run.complete("l.loop[1]/t", n=1).complete("l.loop[2]/t", n=2)
    assert (run.phase, run.outputs()) == ("Failed", {})


def test_tolerated_iteration_is_null_in_a_list():
    run = Run(
        loop(items=[0, 1], continueOn={"failed": True}, aggregate={"strategy": "list"}), task()
    )
    run.complete("l.loop[0]/t", code=2, n=9).complete("l.loop[1]/t", n=1)
    assert (run.phase, run.outputs()) == ("Succeeded", {"n": [None, 1]})


def test_fail_fast_loop_cancels_the_others_and_starts_no_more():
    run = Run(loop(items=[0, 1, 2], concurrency=2, failFast=True), task())
    run.start("l.loop[1]/t").complete("l.loop[0]/t", code=2)
    assert run.phases() == {"l": "Failed", "l.loop[0]/t": "Failed", "l.loop[1]/t": "Cancelled"}


def test_iteration_is_tried_again_by_the_loop_s_own_retry():
    run = Run(loop(items=[0], retry={"limit": 1}), task())
    assert run.complete("t", code=3).dispatched() == ["t"]
    assert run.complete("t").phase == "Succeeded"


def test_repeat_loop_runs_until_its_condition_is_no_longer_true():
    run = Run(loop(repeatCondition="tasks.t.outputs.parameters.left > 0", maxIterations=9), task())
    for left in (2, 1, 0):
        run.reload().complete("t", left=left)
    assert (run.phase, run.outputs(), run.rows.run.total) == ("Succeeded", {"left": 0}, 4)


def test_repeat_loop_stops_at_its_bound():
    run = Run(loop(repeatCondition="true", maxIterations=3), task())
    for _ in range(3):
        run.complete("t")
    assert (run.phase, run.rows.run.total) == ("Succeeded", 4)


def test_repeat_loop_with_continue_on_is_judged_by_its_last_iteration():
    options = {"repeatCondition": "tasks.t.phase == 'Failed'", "maxIterations": 3}
    run = Run(loop(**options), task()).complete("t", code=2).complete("t")
    assert run.phase == "Failed"
    options["continueOn"] = {"failed": True}
    run = Run(loop(**options), task()).complete("t", code=2).complete("t")
    assert run.phase == "Succeeded"
    run = Run(loop(**options), task())
    for _ in range(3):
        run.complete("t", code=2)
    assert run.phase == "Failed"


def test_broken_repeat_condition_is_an_error_of_the_loop():
    run = Run(loop(repeatCondition="tasks.t.outputs.parameters.x > 0", maxIterations=3), task())
    run.complete("t")
    assert run.phase == "Error"
    assert "repeatCondition" in run.row("l").message


def test_inputs_of_an_iteration_come_in_the_promised_order():
    declared = values(
        value("a", "declared"), value("b", "declared"), value("c", default="default"), value("d")
    )
    arguments = values(value("a", "{{loop_iter.index}}"), value("extra", "x{{name}}"))
    run = Run(
        loop(items=[{"a": "item", "b": "item", "name": "n"}], arguments=arguments),
        task(inputs=declared),
    )
    assert [(v.name, v.value) for v in run.raw_inputs("t")] == [
        ("a", 0),
        ("b", "item"),
        ("c", "default"),
        ("d", None),
        ("extra", "xn"),
        ("name", "n"),
        ("loop_iter.index", 0),
    ]


def test_plain_item_is_loop_iter_item():
    run = Run(loop(items=["x"], arguments=values(value("v", "{{iterator.item}}"))), task())
    assert run.inputs("t") == {"v": "x", "loop_iter.item": "x", "loop_iter.index": 0}


def test_ten_thousand_iterations_come_in_slices_and_leave_little_behind():
    run = Run(loop(items=list(range(10_000))), task())
    assert max(run.created) <= 256
    assert len(run.dispatched()) == 10_000
    for number in range(1, 10_001):
        row = run.rows.tasks[number]
        assert row.index == number - 1
    assert len(run.state.nodes) == 10_001
    run.cancel()
    assert run.state.nodes == {}


def test_repeat_loop_whose_body_needs_nobody_goes_on_by_slices():
    body = dag(node("n", when="false"), name="x")
    run = Run(loop(body="x", repeatCondition="true", maxIterations=1000), body)
    assert max(run.created) <= 256
    assert (run.phase, run.rows.run.total) == ("Succeeded", 2001)


def test_item_that_is_an_object_can_be_named_whole_and_by_member():
    arguments = values(value("whole", "{{iterator.item}}"), value("member", "{{iterator.item.id}}"))
    run = Run(loop(items=[{"id": 7}], arguments=arguments), task())
    assert run.inputs("t") == {"whole": {"id": 7}, "member": 7, "id": 7, "loop_iter.index": 0}
