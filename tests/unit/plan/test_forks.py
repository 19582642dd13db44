"""A fork goes on from another run's rows as if it had come that far by itself."""

from __future__ import annotations

import copy
import random

import pytest
from msgspec import convert

from aether.document import Workflow
from aether.expr import CelEvaluator
from aether.plan import (
    DispatchTask,
    RunForked,
    RunSubmitted,
    State,
    TaskCompleted,
    TaskResumed,
    TaskStarted,
    TimePassed,
    compile_plan,
    current_tasks,
    decide,
    keep_all,
    keep_before,
    keep_succeeded,
)
from aether.record import (
    Origin,
    Phase,
    RunRow,
    RunRows,
    apply,
    as_mapping,
    decode_changes,
    encode_changes,
    encode_json,
    encode_values,
    named_values,
    patch_task,
)
from aether.testing.document_values import OUTPUT_NAMES, VARIABLES, random_value
from aether.testing.documents import random_document
from unit.plan.plan_world import START, dag, loop, node, task, value, values

DOCUMENTS = 240
SECOND = 1_000_000
DEPENDS_ON_ORDER = ("failFast", "timeout")


class Life:
    """A run whose workers answer at once, and the same whenever the same attempt is asked of them."""

    def __init__(self, plan, answer, at=START):
        self.plan, self.answer, self.at = plan, answer, at
        self.state = State(plan)
        self.rows = None
        self.past = []  # the rows after each decision
        self.dispatched = []

    def submit(self, arguments=None):
        row = RunRow(
            run_id="run",
            name="random",
            document=b"",
            arguments=encode_values(named_values(arguments)) if arguments else None,
            variables=encode_json(VARIABLES),
            created_at=self.at,
        )
        self.tell(RunSubmitted(row, self.at))
        return self

    def tell(self, event):
        shadow = None
        if self.rows is not None:
            shadow = State.load(self.plan, copy.deepcopy(self.rows))
        decision = decide(self.state, copy.deepcopy(event))
        if shadow is not None and self.state.agenda == [] and not self.more:
            again = decide(shadow, copy.deepcopy(event))
            assert encode_changes(again.changes) == encode_changes(decision.changes)
        self.fold(decision)
        self.more = decision.more
        if self.more:
            self.tell(TimePassed(self.at))

    more = False

    def fold(self, decision):
        for change in decode_changes(encode_changes(decision.changes)):
            self.rows = apply(self.rows, change)
        if decision.changes:
            assert self.rows.run.total == len(self.rows.tasks)
            self.past.append(copy.deepcopy(self.rows))
        self.dispatched += [c.ordinal for c in decision.commands if isinstance(c, DispatchTask)]

    def path(self, row):
        path = row.scope + row.task_name
        while row.parent is not None:
            row = self.rows.tasks[row.parent]
            path = row.scope + path
        return path

    def step(self):
        """Whether anything happened."""
        for row in list(self.rows.tasks.values()):
            place = (row.ordinal, self.rows.run.epoch, row.delivery)
            if row.kind == "task" and row.phase is Phase.READY:
                self.tell(TaskStarted(*place, "w", self.at))
                return True
            if row.kind == "task" and row.phase is Phase.RUNNING:
                code, outputs = self.answer(self.path(row), row.attempt, bool(row.outputs))
                encoded = encode_values(named_values(outputs)) if outputs else None
                self.tell(TaskCompleted(*place, self.at, code, "", encoded, worker="w"))
                return True
            if row.phase is Phase.SUSPENDED:
                self.tell(TaskResumed(row.ordinal, b"[]", self.at))
                return True
        due = self.rows.run.due_at
        if due is None:
            return False
        self.at = max(due, self.at)
        self.tell(TimePassed(self.at))
        return True

    def live(self, most=3000):
        for _ in range(most):
            if self.rows.run.phase.is_terminal or not self.step():
                break
        assert self.rows.run.phase.is_terminal, f"{self.rows.run.phase} for ever"
        assert self.rows.run.done == self.rows.run.total
        return self

    @property
    def outcome(self):
        return self.rows.run.phase, as_mapping(self.rows.run.outputs)

    def fork(self, kept, before=None, set=None, given=None, answer=None):
        """The run that goes on from `kept`, a day later."""
        before = copy.deepcopy(before or self.rows)
        origin = Origin(
            run_id="run", seq=before.run.seq, root="run", place=kept.again if given else None
        )
        arguments = as_mapping(before.run.arguments) | (set or {})
        row = RunRow(
            run_id="run",
            name="random",
            document=b"",
            arguments=encode_values(named_values(arguments)) if arguments else None,
            variables=before.run.variables,
            created_at=self.at + 86_400 * SECOND,
            origin=origin,
            given=encode_values(named_values(given)) if given else None,
            seq=before.run.seq,
            decided_at=before.run.decided_at,
        )
        forked = Life(self.plan, answer or self.answer, row.created_at)
        forked.rows = before
        event = RunForked(row, kept.cut, kept.tasks, kept.patches, forked.at, bool(set))
        shadowless = copy.deepcopy(event)
        decision = decide(forked.state, event)
        assert event == shadowless, "it may be decided again"
        forked.fold(decision)
        stored = RunRows(forked.rows.run, {row.ordinal: copy.copy(row) for row in kept.tasks})
        for change in decode_changes(encode_changes(decision.changes))[2:]:
            stored = apply(stored, change)
        assert stored.tasks == forked.rows.tasks, "the log says what the store is told"
        forked.more = decision.more
        if decision.more:
            forked.tell(TimePassed(forked.at))
        forked.kept = {
            row.ordinal for row in patched(kept) if row.phase.is_terminal and row.kind == "task"
        }
        return forked


def patched(kept):
    rows = {row.ordinal: copy.copy(row) for row in kept.tasks}
    for patch in kept.patches:
        patch_task(rows[patch.ordinal], patch)
    return rows.values()


def life(document, answer):
    return Life(compile_plan(convert(document, Workflow), CelEvaluator(), ("deploy",)), answer)


def random_answers(seed):
    def answer(path, attempt, suspended):
        chance = random.Random(f"{seed} {path} {attempt}")
        outputs = {name: random_value(chance) for name in OUTPUT_NAMES if chance.random() < 0.5}
        code = chance.choices([0, 2, 3, 1], [12, chance.choice([0, 0, 3]), 1, 1])[0]
        return (0 if suspended and code == 1 else code), outputs | ({"s": 1} if code == 1 else {})

    return answer


def check_fork(origin, kept, before):
    untouched = copy.deepcopy(before)
    forked = origin.fork(kept, before).live()
    assert before == untouched
    assert not forked.kept & set(forked.dispatched), "a kept task was handed out again"
    return forked


def ancestors_first_attempt(rows, ordinal):
    row = rows.tasks[ordinal]
    while row.parent is not None:
        row = rows.tasks[row.parent]
        if row.attempt > 1:
            return False
    return True


@pytest.mark.parametrize("part", range(4))
def test_forks_of_random_runs_end_as_a_run_from_scratch(part):
    compared = 0
    for seed in range(part, DOCUMENTS, 4):
        document = random_document(seed)[0]
        chance = random.Random(f"forks {seed}")
        origin = life(document, random_answers(seed)).submit().live()
        same_in_any_order = not any(word in repr(document) for word in DEPENDS_ON_ORDER)
        for _ in range(3):
            before = chance.choice(origin.past)
            if before.run.phase.is_terminal:
                continue
            at = origin.at + 86_400 * SECOND
            forked = check_fork(origin, keep_all(origin.plan, before, at), before)
            if origin.outcome[0] is Phase.SUCCEEDED and same_in_any_order:
                assert forked.outcome == origin.outcome, f"seed {seed}, step {before.run.seq}"
                compared += 1
        for _ in range(3):
            before = chance.choice([origin.rows, chance.choice(origin.past)])
            tasks = sorted(current_tasks(origin.plan, before))
            if not tasks:
                continue
            ordinal = chance.choice(tasks)
            at = origin.at + 86_400 * SECOND
            forked = check_fork(origin, keep_before(origin.plan, before, ordinal, at), before)
            if origin.outcome[0] is Phase.SUCCEEDED and same_in_any_order:
                if ancestors_first_attempt(before, ordinal):
                    path = before.tasks[ordinal].scope + before.tasks[ordinal].task_name
                    assert forked.outcome == origin.outcome, f"seed {seed}, from {path}"
                    compared += 1
        if origin.outcome[0] is not Phase.SUCCEEDED:
            kept = keep_succeeded(origin.plan, origin.rows, origin.at)
            check_fork(origin, kept, origin.rows)
            compared += 1
    assert compared > DOCUMENTS // 8


def workflow(*templates, **spec):
    return {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "example"},
        "spec": {"entrypoint": next(iter(templates[0].values()))["name"], "templates": templates}
        | spec,
    }


def failing(*paths, code=2):
    return lambda path, attempt, suspended: (
        (code, {}) if path in paths else (0, {"o": f"{path} {attempt}"})
    )


def well(path, attempt, suspended):
    return 0, {"o": f"again {path}"}


def retried(origin):
    kept = keep_succeeded(origin.plan, origin.rows, origin.at)
    forked = origin.fork(kept, answer=well).live()
    assert not forked.kept & set(forked.dispatched)
    return forked


def ran(life):
    return [life.path(life.rows.tasks[ordinal]) for ordinal in life.dispatched]


CHAIN = workflow(dag(node("a"), node("b", "a"), node("c", "b"), node("other")))


def test_a_retry_keeps_what_succeeded_and_starts_the_rest():
    origin = life(CHAIN, failing("d/b")).submit().live()
    assert origin.outcome[0] is Phase.FAILED
    again = retried(origin)
    assert again.outcome[0] is Phase.SUCCEEDED
    assert ran(again) == ["d/b", "d/c"]


def test_a_fork_from_a_task_begins_with_it_and_all_that_waits_for_it():
    origin = life(CHAIN, well).submit().live()
    ordinal = next(n for n, row in origin.rows.tasks.items() if row.task_name == "b")
    forked = origin.fork(keep_before(origin.plan, origin.rows, ordinal, origin.at)).live()
    assert ran(forked) == ["d/b", "d/c"]


def test_ordinals_of_a_fork_have_no_holes():
    origin = life(CHAIN, failing("d/a")).submit().live()
    assert origin.rows.tasks[2].task_name == "other"
    again = retried(origin)
    assert sorted(again.rows.tasks) == list(range(len(again.rows.tasks)))
    assert again.rows.tasks[1].task_name == "other"


def test_a_retry_fills_the_holes_of_a_loop():
    document = workflow(
        loop(body="t", items=[1, 2, 3, 4], aggregation={"strategy": "list"}),
        task("t"),
    )
    document["spec"]["templates"][0]["loop"].pop("aggregation")
    origin = life(document, failing("l.loop[1]/t", "l.loop[2]/t")).submit().live()
    again = retried(origin)
    assert ran(again) == ["l.loop[1]/t", "l.loop[2]/t"]
    assert again.outcome[0] is Phase.SUCCEEDED


def test_a_fork_from_an_iteration_begins_with_it_and_those_after():
    document = workflow(loop(body="t", items=[1, 2, 3, 4]), task("t"))
    origin = life(document, well).submit().live()
    forked = origin.fork(keep_before(origin.plan, origin.rows, 3, origin.at)).live()
    assert ran(forked) == ["l.loop[2]/t", "l.loop[3]/t"]


def test_a_retry_goes_into_containers():
    document = workflow(
        dag(node("first"), node("inner", "first", template="i"), node("last", "inner")),
        dag(node("x"), node("y", "x"), name="i"),
    )
    origin = life(document, failing("d/inner/y")).submit().live()
    assert ran(retried(origin)) == ["d/inner/y", "d/last"]


def test_what_was_cancelled_because_another_failed_starts_again():
    document = workflow(dag(node("bad"), node("slow"), node("end", "slow"), failFast=True))
    origin = life(document, failing("d/bad")).submit()
    origin.live()
    assert "Cancelled" in {str(row.phase) for row in origin.rows.tasks.values()}
    again = retried(origin)
    assert again.outcome[0] is Phase.SUCCEEDED
    ordinal = next(n for n, row in origin.rows.tasks.items() if row.task_name == "bad")
    kept = keep_before(origin.plan, origin.rows, ordinal, origin.at)
    assert origin.fork(kept, answer=well).live().outcome[0] is Phase.SUCCEEDED


def parameter_chain():
    return workflow(
        dag(
            node(
                "a", arguments=values(value("x", valueFrom={"parameter": "workflow.parameters.p"}))
            ),
            node(
                "b",
                "a",
                arguments=values(value("x", valueFrom={"parameter": "workflow.parameters.p"})),
            ),
        ),
        arguments=values(value("p", "old", type="string")),
    )


def test_set_reaches_what_runs_anew_and_leaves_what_was_kept():
    origin = life(parameter_chain(), well).submit().live()
    kept = keep_before(origin.plan, origin.rows, 2, origin.at)
    forked = origin.fork(kept, set={"p": "new"}).live()
    inputs = {row.task_name: as_mapping(row.inputs) for row in forked.rows.tasks.values()}
    assert inputs["a"]["x"] == "old"
    assert inputs["b"]["x"] == "new"


def test_given_inputs_hold_for_every_attempt_of_the_task():
    document = parameter_chain()
    document["spec"]["templates"][0]["dag"]["tasks"][1]["retry"] = {
        "limit": 1,
        "expression": "true",
    }
    origin = life(document, well).submit().live()
    kept = keep_before(origin.plan, origin.rows, 2, origin.at)

    def first_fails(path, attempt, suspended):
        return (2 if attempt == 1 else 0), {}

    forked = origin.fork(kept, given={"x": "mine"}, answer=first_fails).live()
    assert forked.rows.tasks[2].attempt == 2
    assert as_mapping(forked.rows.tasks[2].inputs)["x"] == "mine"
    assert as_mapping(forked.rows.tasks[1].inputs)["x"] == "old"


def test_a_suspended_task_waits_in_the_fork_too():
    origin = life(CHAIN, lambda *_: (1, {})).submit()
    for _ in range(4):
        origin.step()
        if any(row.phase is Phase.SUSPENDED for row in origin.rows.tasks.values()):
            break
    kept = keep_all(origin.plan, origin.rows, origin.at)
    forked = origin.fork(kept, answer=well)
    assert forked.rows.run.phase is Phase.RUNNING
    assert forked.live().outcome[0] is Phase.SUCCEEDED


def test_time_stands_still_between_the_point_and_the_fork():
    document = workflow(dag(node("a", timeout="10s"), timeout="1h"))
    origin = life(document, lambda *_: (1, {})).submit()
    for _ in range(2):
        origin.step()
    suspended = origin.rows.tasks[1]
    assert suspended.phase is Phase.SUSPENDED
    origin.at += 5 * SECOND
    forked = origin.fork(keep_all(origin.plan, origin.rows, origin.at + 86_400 * SECOND))
    left = forked.rows.tasks[1].deadline_at - forked.at
    assert left == suspended.deadline_at - origin.rows.run.decided_at
