"""Limits in the plan: what waits for slots, takes them, and gives them back."""

from __future__ import annotations

from aether.plan import RUN, DispatchTask, SlotsGranted, State
from aether.record import Phase
from unit.plan.plan_world import Run, dag, node, task, value, values

ONE = {"key": "db", "concurrency": 1}


def granted(run, name="t"):
    row = run.state.run if name is RUN else run.task(name)
    ordinal = RUN if name is RUN else row.ordinal
    return SlotsGranted(ordinal, row.slots.number, run.at)


class Limited(Run):
    def task(self, name):
        return next(r for r in reversed(self.rows.tasks.values()) if r.task_name == name)

    def dispatched(self):
        return [c for c in self.commands if isinstance(c, DispatchTask)]


def test_a_limited_task_waits_as_created_until_it_is_granted_its_slots():
    run = Limited(task(limits=[ONE]))
    row = run.task("t")
    assert row.phase is Phase.CREATED
    assert row.slots.waits
    assert run.dispatched() == []
    run.tell(granted(run))
    row = run.task("t")
    assert row.phase is Phase.READY
    assert row.slots.taken == run.at
    assert len(run.dispatched()) == 1


def test_a_grant_for_an_earlier_place_in_line_changes_nothing():
    run = Limited(task(limits=[ONE]))
    old = granted(run)
    run.tell(SlotsGranted(old.ordinal, old.number + 7, run.at))
    assert run.task("t").phase is Phase.CREATED
    run.tell(old).tell(old)
    assert run.task("t").delivery == 1


def test_limits_of_node_and_template_both_count_and_the_narrower_wins():
    body = dag(
        node(
            "a", template="t", limits=[{"key": "db", "concurrency": 5}, {"key": "a", "rate": "1/s"}]
        )
    )
    run = Limited(body, task(limits=[{"key": "db", "concurrency": 2}]))
    wants = run.task("a").slots.wants
    assert [(want.key, want.concurrency, want.count) for want in wants] == [
        ("a", 0, 1),
        ("db", 2, 0),
    ]


def test_a_key_names_arguments_of_the_run_and_inputs_of_the_task():
    limits = [{"key": "{{workflow.parameters.w}}:{{inputs.parameters.i}}", "concurrency": 1}]
    run = Limited(
        task(limits=limits, inputs=values(value("i", 3))),
        parameters=values(value("w", "x")),
        arguments={"w": "y"},
    )
    assert run.task("t").slots.wants[0].key == "y:3"


def test_a_limited_run_creates_nothing_before_it_is_granted_its_slots():
    run = Limited(task(), limits=[ONE], timeout="1m")
    assert run.rows.tasks == {}
    assert run.state.run.deadline_at is None
    run.at += 90_000_000
    run.tell(granted(run, RUN))
    assert run.task("t").phase is Phase.READY
    assert run.state.run.deadline_at == run.at + 60_000_000


def test_a_rebuilt_state_knows_who_stands_in_line():
    run = Limited(task(limits=[ONE]))
    state = State.load(run.plan, run.rows)
    assert state.held == []
    assert state.nodes[0].row.slots.waits
