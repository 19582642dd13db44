"""What callers ask of an engine, and what they are answered."""

from __future__ import annotations

import asyncio

import pytest

from aether.adapters.artifacts import LocalArtifacts
from aether.adapters.store import MemoryStore
from aether.engine import step
from aether.errors import InvalidDocument, InvalidState, NotFound, Refused
from aether.ports import Outcome
from aether.record import NamedValue
from unit.engine.engine_world import World, one_task, soon, two_tasks, workflow


def code(caught):
    return caught.value.code


# Submit


async def test_run_id_that_exists_is_refused_whether_the_run_is_active_or_over():
    async with World() as world:
        await world.submit(one_task(), run_id="r")
        for over in (False, True):
            if over:
                await world.complete("only")
            with pytest.raises(Refused) as caught:
                await world.submit(one_task(), run_id="r")
            assert code(caught) == "run-exists"
        assert await world.status("r") == "Succeeded"
        assert world.held_runs() == []


async def test_two_submits_of_one_id_at_once_make_one_run():
    async with World() as world:
        answers = await asyncio.gather(
            *(world.engine.submit(one_task(), run_id="r") for _ in range(3)), return_exceptions=True
        )
        await world.settle()
        assert [a for a in answers if a == "r"] == ["r"]
        assert {a.code for a in answers if a != "r"} == {"run-exists"}
        assert len(world.broker.assignments) == 1


async def test_arguments_that_do_not_fit_are_all_named_at_once():
    parameters = [
        {"name": "n", "type": "int", "value": 1},
        {"name": "size", "value": "s", "enum": ["s", "m"]},
    ]
    document = one_task()
    document["spec"]["arguments"] = {"parameters": parameters}
    async with World() as world:
        with pytest.raises(Refused) as caught:
            await world.submit(document, {"n": "one", "size": "xl", "colour": "red"})
        codes = [problem.code for problem in caught.value.problems]
        assert codes == ["argument-type", "argument-enum", "unknown-argument"]
        assert "n, size" in caught.value.problems[2].fix
        with pytest.raises(Refused, match="JSON"):
            await world.submit(
                two_tasks(arguments={"parameters": [{"name": "x"}]}), {"x": object()}
            )
        assert world.store.batches == []
        assert await world.submit(document, {"n": 2, "size": "m"})


async def test_document_with_problems_leaves_nothing_behind():
    async with World() as world:
        with pytest.raises(InvalidDocument) as caught:
            await world.submit(workflow({"task": {"name": "X"}}, entrypoint="y", timeout="soon"))
        assert len(caught.value.problems) > 1
        assert world.store.batches == []
        assert world.held_runs() == []


def template(version, executor):
    document = one_task() | {"kind": "WorkflowTemplate"}
    document["spec"]["templates"][0]["task"]["executor"] = {"type": executor}
    document["metadata"] = {"name": "stored", "version": version}
    return document


async def test_template_that_arrives_during_a_submit_is_what_the_next_submit_gets():
    async with World() as world:
        await world.engine.put_template(template("1", "old"))
        look_up, wait = world.store.template, asyncio.Event()

        async def slow(name, version=""):
            row = await look_up(name, version)
            await wait.wait()
            return row

        world.store.template = slow
        first = asyncio.ensure_future(world.engine.submit("stored"))
        await world.settle()
        world.store.template = look_up
        world.clock.jump(world.clock.now() + 1)
        await world.engine.put_template(template("2", "new"))
        wait.set()
        await soon(first)
        await world.submit("stored")
        assert [a.executor_type for a in world.broker.assignments] == ["old", "new"]


async def test_run_keeps_the_template_it_began_with_while_newer_versions_arrive():
    async with World() as world:
        assert await world.engine.put_template(template("1", "old")) == "stored@1"
        first = await world.submit("stored")
        world.clock.jump(world.clock.now() + 1)
        await world.engine.put_template(template("2", "new"))
        second = await world.submit("stored")
        pinned = await world.submit("stored@1")
        await world.engine.stop()
        await world.start()
        types = {a.run_id: a.executor_type for a in world.broker.assignments}
        assert types == {first: "old", second: "new", pinned: "old"}
        await world.engine.delete_template("stored")
        await world.complete("only")
        with pytest.raises((NotFound, InvalidDocument)):
            await world.submit("stored")


async def test_fault_of_the_engine_in_one_run_leaves_the_others_alone(monkeypatch):
    decide = step.decide_all

    def fail_for_one(state, events):
        if state.run.run_id == "bad" and not type(events[0]).__name__ == "RunFailed":
            raise KeyError("a bug")
        return decide(state, events)

    async with World() as world:
        for run_id in ("good", "bad", "fine"):
            await world.submit(two_tasks(), run_id=run_id)
        monkeypatch.setattr(step, "decide_all", fail_for_one)
        for assignment in list(world.broker.assignments):
            world.broker.complete(assignment)
        await world.settle()
        bad = await soon(world.engine.wait("bad"))
        assert (bad.status, "KeyError" in bad.message) == ("Error", True)
        assert {str(task.status) for task in bad.tasks} == {"Error"}
        assert (await world.phases("good"))["second"] == "Ready"
        assert (await world.phases("fine"))["second"] == "Ready"
        assert [f.run_id for f in world.errors.faults if f.severity == "critical"] == ["bad"]


# Cancel, pause, resume


async def test_cancel_that_meets_the_result_is_answered_truthfully():
    async with World() as world:
        run_id = await world.submit(one_task())
        world.store.hold = asyncio.Event()
        world.broker.complete(world.broker.named("only"))
        await world.settle()
        cancelling = asyncio.ensure_future(world.engine.cancel(run_id))
        await world.settle()
        world.store.hold.set()
        with pytest.raises(InvalidState) as caught:
            await soon(cancelling)
        assert code(caught) == "run-over"
        assert await world.status(run_id) == "Succeeded"
        assert world.held_runs() == []


async def test_result_that_meets_the_cancel_changes_nothing():
    async with World() as world:
        run_id = await world.submit(two_tasks())
        await asyncio.gather(world.engine.cancel(run_id), world.complete("first"))
        assert await world.status(run_id) == "Cancelled"
        assert [a.task_name for a in world.broker.assignments] == ["first"]
        assert [c.task_run_id for c in world.broker.cancelled] == [f"{run_id}.1"]


async def test_of_two_resumes_one_is_refused():
    async with World() as world:
        run_id = await world.submit(one_task())
        await world.complete("only", Outcome.suspended())
        answers = await asyncio.gather(
            *(world.engine.resume(run_id, f"{run_id}.0") for _ in range(2)), return_exceptions=True
        )
        await world.settle()
        assert answers[0] is None
        assert answers[1].code == "not-suspended"
        assert len(world.broker.assignments) == 2


async def test_resume_names_what_is_wrong_with_the_task_run_id():
    async with World() as world:
        run_id = await world.submit(one_task())
        await world.complete("only", Outcome.suspended())
        for strange, expected in (
            ("nonsense", "task-not-found"),
            (f"{run_id}.9", "task-not-found"),
            (f"{run_id}.h0", "task-not-found"),
            ("other.0", "foreign-task"),
        ):
            with pytest.raises((NotFound, InvalidState)) as caught:
                await soon(world.engine.resume(run_id, strange))
            assert code(caught) == expected
        await soon(world.engine.resume(run_id, f"{run_id}.0"))


async def test_paused_run_starts_nothing_until_it_is_unpaused():
    async with World() as world:
        run_id = await world.submit(two_tasks())
        await world.engine.pause(run_id, "ann")
        await world.engine.pause(run_id)
        await world.complete("first")
        run = await world.engine.get(run_id)
        assert run.waiting_for[0].startswith("paused by ann since ")
        await world.advance(100)
        assert len(world.broker.assignments) == 1
        await world.engine.unpause(run_id)
        await world.settle()
        await world.complete("second")
        assert await world.status(run_id) == "Succeeded"


async def test_deadline_of_a_run_ends_it_by_the_clock():
    async with World() as world:
        run_id = await world.submit(two_tasks(timeout="30s"))
        waiting = asyncio.ensure_future(world.engine.wait(run_id))
        await world.advance(30)
        assert (await soon(waiting)).status == "Timeout"
        assert len(world.broker.cancelled) == 1


# Delete and history


async def test_active_run_is_not_deleted_and_a_finished_one_goes_with_its_artifacts(tmp_path):
    files = LocalArtifacts(tmp_path)
    (tmp_path / "made.txt").write_text("x")
    async with World(artifact_repositories=[files]) as world:
        document = one_task(outputs={"artifacts": [{"name": "out"}]})
        run_id = await world.submit(document)
        with pytest.raises(InvalidState) as caught:
            await world.engine.delete(run_id)
        assert code(caught) == "run-active"
        await world.complete("only", Outcome(artifacts={"out": {"path": "made.txt"}}))
        await world.engine.delete(run_id)
        assert list(tmp_path.iterdir()) == []
        for call in (world.engine.get, world.engine.delete, world.engine.history):
            with pytest.raises(NotFound):
                await call(run_id)
        assert await world.submit(one_task(), run_id=run_id) == run_id


async def test_late_result_for_a_deleted_run_is_reported_and_dropped():
    async with World() as world:
        run_id = await world.submit(one_task())
        assignment = await world.complete("only")
        await world.engine.delete(run_id)
        world.broker.complete(assignment)
        await world.settle()
        assert world.errors.faults[-1].what == f"there is no run '{run_id}'"
        assert world.held_runs() == []


async def test_history_holds_every_decision_in_order():
    async with World() as world:
        run_id = await world.submit(two_tasks())
        await world.complete("first")
        await world.complete("second")
        entries = await world.engine.history(run_id)
        assert [entry.seq for entry in entries] == [1, 2, 3]
        assert [e.seq for e in await world.engine.history(run_id, after_seq=1, limit=1)] == [2]


async def test_outputs_reach_the_next_task_and_the_run():
    nodes = [
        {"name": "a", "executor": {"type": "work"}},
        {
            "name": "b",
            "executor": {"type": "work"},
            "dependencies": ["a"],
            "inputs": {"parameters": [{"name": "x", "value": "{{tasks.a.outputs.parameters.n}}"}]},
        },
    ]
    outputs = {
        "parameters": [{"name": "o", "valueFrom": {"parameter": "tasks.b.outputs.parameters.m"}}]
    }
    document = workflow({"dag": {"name": "d", "tasks": nodes, "outputs": outputs}}, entrypoint="d")
    async with World() as world:
        run_id = await world.submit(document)
        await world.complete("a", Outcome(parameters=[NamedValue("n", "int", 7)]))
        assert world.broker.named("b").inputs == b'[["x","",7,null]]'
        await world.complete("b", m="done")
        run = await soon(world.engine.wait(run_id))
        assert [(v.name, v.value) for v in run.outputs] == [("o", "done")]


async def test_start_that_comes_while_a_commit_is_on_its_way_gets_none_of_its_own():
    class Gate(MemoryStore):
        def __init__(self):
            super().__init__()
            self.open_again = asyncio.Event()
            self.open_again.set()
            self.commits = 0

        async def commit(self, batch):
            self.commits += 1
            await self.open_again.wait()
            return await super().commit(batch)

    store = Gate()
    async with World(store=store) as world:
        nodes = [{"name": name, "executor": {"type": "work"}} for name in ("first", "second")]
        await world.submit(workflow({"dag": {"name": "main", "tasks": nodes}}, entrypoint="main"))
        store.open_again.clear()
        first, second = world.broker.assignments
        world.broker.complete(first)
        await world.settle()
        before = store.commits
        world.broker.start(second)
        store.open_again.set()
        await world.settle()
        assert store.commits == before
        await world.advance(1)
        assert store.commits == before + 1
