"""New runs that go on from the past of others, and leave those as they were."""

from __future__ import annotations

import asyncio
import random

import pytest

from aether.adapters.store import MemoryStore
from aether.adapters.variables import StaticVars
from aether.engine import (
    copy_store,
    export_lines,
    import_lines,
    rows_at,
    verify_copy,
    verify_run,
)
from aether.errors import NotFound, NotSupported, ProblemError, Refused
from aether.ports import Outcome, RunQuery
from aether.testing.documents import random_document
from unit.engine.engine_world import World, unknown, workflow
from unit.engine.test_travel import (
    MemoryWitness,
    SqliteWitness,
    deploy_variables,
    live_through,
    without_what_is_the_store_s,
)

DOCUMENTS = {"memory": 20, "sqlite": 4}


def node(name, *dependencies, **members):
    return {
        "name": name,
        "executor": {"type": "work"},
        "dependencies": list(dependencies),
    } | members


def value_of(name):
    return {
        "parameters": [{"name": "x", "valueFrom": {"parameter": f"workflow.parameters.{name}"}}]
    }


def chain(**spec):
    nodes = [
        node("a", arguments=value_of("p")),
        node("b", "a", arguments=value_of("p")),
        node("c", "b", arguments=value_of("p")),
    ]
    parameters = {"parameters": [{"name": "p", "type": "string", "value": "old"}]}
    return workflow(
        {"dag": {"name": "main", "tasks": nodes}}, entrypoint="main", arguments=parameters, **spec
    )


async def run_to(world, run_id, *outcomes):
    for name, outcome in outcomes:
        await world.complete(name, outcome)
    return run_id


async def chain_that_failed_in_b(world, **options):
    run_id = await world.submit(chain(), **options)
    await world.complete("a", result=1)
    await world.complete("b", Outcome.failed("no luck"))
    assert await world.status(run_id) == "Failed"
    return run_id


async def everything_of(store, run_id):
    return (await store.load([run_id]))[0], await store.history(run_id)


def given(world, run_id):
    return [a.task_name for a in world.broker.assignments if a.task_run_id.startswith(run_id + ".")]


async def test_a_retry_keeps_what_succeeded_and_is_linked_both_ways():
    async with World() as world:
        run_id = await chain_that_failed_in_b(world)
        before = await everything_of(world.store, run_id)
        again = await world.engine.retry(run_id)
        await world.settle()
        assert given(world, again) == ["b"]
        await world.complete("b")
        await world.complete("c")
        new, old = await world.engine.get(again), await world.engine.get(run_id)
        assert (str(new.status), new.progress) == ("Succeeded", "4/4")
        assert new.task("a").output_values == {"result": 1}
        assert (new.origin.run_id, new.origin.kind, new.origin.seq) == (run_id, "retry", old.seq)
        assert [(fork.run_id, fork.kind) for fork in old.forks] == [(again, "retry")]
        assert old.origin is None
        assert new.forks == []
        assert await everything_of(world.store, run_id) == before
        assert (await verify_run(world.store, again)).faults == []


async def test_a_fork_from_a_step_goes_on_as_the_run_stood_there():
    async with World() as world:
        run_id = await chain_that_failed_in_b(world)
        before = await everything_of(world.store, run_id)
        fork = await world.engine.fork(run_id, from_seq=2)
        await world.settle()
        assert given(world, fork) == ["b"]
        await world.complete("b")
        await world.complete("c")
        assert await world.status(fork) == "Succeeded"
        assert await everything_of(world.store, run_id) == before
        shared, whole = await world.store.history(run_id, 0, 2), await world.store.history(fork)
        assert whole[:2] == shared
        assert [entry.seq for entry in whole] == list(range(1, len(whole) + 1))
        assert (await verify_run(world.store, fork)).faults == []
        told = await world.engine.log(fork)
        assert told[2].changes[0] == f"run: created from run {run_id} at step 2, a fork, Ready"
        assert "run: keeps 3 of 3 task runs" in told[2].changes
        assert (await world.engine.at(fork, 1)).task("a").status == "Ready"
        difference = await world.engine.diff(run_id, fork, at_a=2, at_b=2)
        assert difference.is_empty


async def test_a_fork_from_a_task_runs_it_and_what_waits_for_it():
    async with World() as world:
        run_id = await world.submit(chain())
        for name in "abc":
            await world.complete(name)
        for text in ("b", "main/b", f"{run_id}.2"):
            fork = await world.engine.fork(run_id, from_task=text)
            await world.settle()
            assert given(world, fork) == ["b"]
            assert (await world.engine.get(fork)).origin.task == "main/b"


async def test_set_reaches_what_runs_anew_and_inputs_the_task_itself():
    async with World() as world:
        run_id = await world.submit(chain())
        for name in "abc":
            await world.complete(name)
        fork = await world.engine.fork(
            run_id, from_task="b", set={"p": "new"}, arguments={"x": "mine", "more": 1}
        )
        await world.settle()
        await world.complete("b")
        run = await world.engine.get(fork)
        inputs = {task.task_name: task.input_values for task in run.tasks}
        assert inputs["a"] == {"x": "old"}
        assert inputs["b"] == {"x": "mine", "more": 1}
        assert inputs["c"] == {"x": "new"}


async def test_a_fork_of_a_run_that_is_not_over_runs_beside_it():
    async with World() as world:
        run_id = await world.submit(chain())
        await world.complete("a")
        fork = await world.engine.fork(run_id, from_task="b")
        await world.settle()
        assert given(world, run_id) == ["a", "b"]
        assert given(world, fork) == ["b"]
        await world.complete("b")
        await world.complete("c")
        assert await world.status(fork) == "Succeeded"
        assert await world.status(run_id) == "Running" or await world.status(run_id) == "Ready"


async def test_a_fork_outlives_the_deletion_of_its_origin():
    async with World() as world:
        run_id = await chain_that_failed_in_b(world)
        again = await world.engine.retry(run_id)
        third = await world.engine.fork(again, from_task="a")
        await world.settle()
        before = await world.store.history(again)
        await world.engine.delete(run_id)
        assert await world.store.history(again) == before
        assert (await verify_run(world.store, again)).faults == []
        assert (await verify_run(world.store, third)).faults == []
        assert str((await world.engine.at(again, 2)).status) == "Running"
        with pytest.raises(NotFound):
            await world.engine.get(run_id)


async def test_a_change_in_what_is_shared_is_found_in_the_fork_too():
    async with World() as world:
        run_id = await chain_that_failed_in_b(world)
        again = await world.engine.retry(run_id)
        log = world.store._runs[run_id].log
        log._entries[1].body = log._entries[1].body[:-1] + b"?"
        assert (await verify_run(world.store, again)).faults


async def test_an_exported_fork_needs_nobody_else():
    async with World() as world:
        run_id = await chain_that_failed_in_b(world)
        again = await world.engine.retry(run_id)
        await world.settle()
        await world.complete("b")
        await world.complete("c")
        lines = [line async for line in export_lines(world.store, again)]
        target = MemoryStore(history=True)
        await import_lines(target, lines)
        assert (await verify_run(target, again)).faults == []
        assert await target.history(again) == await world.store.history(again)


async def test_a_copied_store_shares_what_the_first_shared():
    async with World() as world:
        run_id = await chain_that_failed_in_b(world)
        gone = await chain_that_failed_in_b(world)
        again, orphan = await world.engine.retry(run_id), await world.engine.retry(gone)
        await world.settle()
        await world.engine.delete(gone)
        target = MemoryStore(history=True)
        copied = await copy_store(world.store, target)
        await verify_copy(world.store, target, copied)
        assert copied.faults == []
        assert copied.copied == 3
        assert len(target._runs[again].log._entries) == 1
        for each in (again, orphan):
            assert await target.history(each) == await world.store.history(each)
        assert (await copy_store(world.store, target)).skipped == 3


async def test_artifacts_stay_as_long_as_a_run_has_their_results():
    deleted = []

    class Files:
        type = "local"

        async def delete(self, config):
            deleted.append(config["path"])

    output = {"artifacts": [{"name": "file"}]}
    nodes = [node("a", outputs=output), node("b", "a")]
    document = workflow({"dag": {"name": "main", "tasks": nodes}}, entrypoint="main")
    async with World(artifact_repositories=[Files()]) as world:
        run_id = await world.submit(document)
        outcome = Outcome.succeeded()
        outcome = type(outcome)(
            **{
                **{name: getattr(outcome, name) for name in outcome.__struct_fields__},
                "artifacts": {"file": {"path": "kept-here"}},
            }
        )
        await world.complete("a", outcome)
        await world.complete("b", Outcome.failed("no luck"))
        again = await world.engine.retry(run_id)
        await world.settle()
        await world.complete("b")
        await world.engine.delete(run_id)
        assert deleted == []
        await world.engine.delete(again)
        assert deleted == ["kept-here"]


async def test_without_a_log_steps_are_no_place_to_fork_from_and_tasks_are():
    async with World(volatile=MemoryStore(), tier="snapshot") as world:
        run_id = await chain_that_failed_in_b(world)
        with pytest.raises(NotSupported, match="snapshot") as refused:
            await world.engine.fork(run_id, from_seq=1)
        assert refused.value.code == "no-log"
        fork = await world.engine.fork(run_id, from_task="b")
        again = await world.engine.retry(run_id)
        await world.settle()
        for each in (fork, again):
            assert given(world, each) == ["b"]
            assert (await world.store.run(each)).tier == "snapshot"
        assert [f.kind for f in (await world.engine.get(run_id)).forks] == ["fork", "retry"]


async def test_of_tier_memory_nothing_is_kept_to_fork():
    async with World(volatile=MemoryStore(), tier="memory") as world:
        run_id = await world.submit(chain())
        with pytest.raises(NotSupported, match="memory") as refused:
            await world.engine.fork(run_id, from_task="a")
        assert refused.value.code == "no-fork"
        with pytest.raises(NotSupported, match="memory"):
            await world.engine.fork(run_id, from_seq=1)


@pytest.mark.parametrize("answer", [unknown(), ("after", unknown())])
async def test_a_fork_whose_commit_got_no_answer_comes_to_be_once(answer):
    async with World() as world:
        run_id = await chain_that_failed_in_b(world)
        world.store.mishaps.append(answer)
        forking = world.engine.retry(run_id, run_id="again")
        task = asyncio.ensure_future(forking)
        for _ in range(5):
            await world.settle()
            await world.advance(1)
        assert await task == "again"
        assert given(world, "again") == ["b"]
        assert (await verify_run(world.store, "again")).faults == []


async def test_another_engine_goes_on_with_a_fork():
    async with World() as world:
        run_id = await chain_that_failed_in_b(world)
        again = await world.engine.retry(run_id)
        await world.settle()
        await world.start()
        await world.complete("b")
        await world.complete("c")
        assert await world.status(again) == "Succeeded"


async def refusal(call):
    with pytest.raises(ProblemError) as refused:
        await call
    return refused.value.code


async def test_what_cannot_be_forked_is_told():
    async with World() as world:
        engine = world.engine
        run_id = await world.submit(chain())
        assert await refusal(engine.retry(run_id)) == "run-active"
        for name in "abc":
            await world.complete(name)
        last = (await engine.get(run_id)).seq
        assert await refusal(engine.retry(run_id)) == "nothing-to-retry"
        assert await refusal(engine.fork(run_id, from_seq=last)) == "nothing-to-fork"
        assert await refusal(engine.fork(run_id, from_seq=last + 1)) == "no-such-step"
        assert await refusal(engine.fork(run_id, from_task="z")) == "task-not-found"
        assert await refusal(engine.fork(run_id)) == "bad-argument"
        assert await refusal(engine.fork(run_id, from_task="a", from_seq=1)) == "bad-argument"
        assert await refusal(engine.fork(run_id, from_seq=1, arguments={"x": 1})) == "bad-argument"
        assert await refusal(engine.fork(run_id, from_task="a", set={"q": 1})) == "unknown-argument"
        assert await refusal(engine.fork(run_id, from_task="a", set={"p": 1})) == "argument-type"
        assert await refusal(engine.fork(run_id, from_task="a", run_id=run_id)) == "run-exists"
        assert await refusal(engine.fork("none", from_task="a")) == "run-not-found"
        assert (await engine.get(run_id)).forks == []


async def test_a_name_that_several_have_is_told_with_their_paths():
    document = workflow(
        {"loop": {"name": "l", "body": "t", "items": [1, 2]}},
        {"task": {"name": "t", "executor": {"type": "work"}}},
        entrypoint="l",
    )
    async with World() as world:
        run_id = await world.submit(document)
        with pytest.raises(Refused, match=r"l.loop\[1\]/t") as refused:
            await world.engine.fork(run_id, from_task="t")
        assert refused.value.code == "ambiguous-task"
        fork = await world.engine.fork(run_id, from_task="l.loop[1]/t")
        await world.settle()
        assert given(world, fork) == ["t", "t"]


async def test_a_whole_query_of_runs_is_retried_and_each_answer_told():
    async with World() as world:
        failed = [await chain_that_failed_in_b(world) for _ in range(2)]
        active = await world.submit(chain())
        told = await world.engine.retry_each(RunQuery(name="example"))
        assert [each.origin for each in told] == [*failed, active]
        assert [bool(each.run_id) for each in told] == [True, True, False]
        assert told[2].problem.code == "run-active"
        forked = await world.engine.fork_each(RunQuery(phases=("Failed",)), from_task="b")
        assert [each.origin for each in forked] == failed
        assert all(each.run_id for each in forked)


async def test_a_fork_is_no_fire_of_its_origins_cron():
    async with World() as world:
        run_id = await chain_that_failed_in_b(world, labels={"team": "gold"})
        row = await world.store.run(await world.engine.retry(run_id))
        assert (row.cron_id, row.fire_at, row.labels) == ("", None, {"team": "gold"})


@pytest.mark.parametrize("keep", ["memory", "sqlite"])
async def test_forks_of_random_runs_leave_these_as_they_were_and_can_be_rebuilt(keep, tmp_path):
    forked = 0
    for seed in range(DOCUMENTS[keep]):
        store = (
            MemoryWitness(history=True)
            if keep == "memory"
            else SqliteWitness(tmp_path / f"{seed}.db")
        )
        forked += await check_forks(store, seed)
    assert forked > DOCUMENTS[keep] // 2


class OneByOne(World):
    """Each engine is stopped before the next one starts."""

    async def start(self):
        for engine in self.engines:
            await engine.stop()
        return await super().start()


async def check_forks(store, seed):
    chance = random.Random(f"forks {seed}")
    ports = {"store": store, "vars_sources": [StaticVars("deploy", deploy_variables())]}
    forks, codes = [], set()
    async with OneByOne(**ports) as world:
        run_id = await world.submit(random_document(seed)[0], run_id=f"run-{seed}")
        await live_through(world, run_id, chance)
        async with store.turn:
            last = (await store.run(run_id)).seq
        run = await world.engine.get(run_id)
        for _ in range(3):
            point = {"from_seq": chance.randint(1, last)}
            if run.tasks and chance.random() < 0.5:
                point = {"from_task": chance.choice(run.tasks).task_run_id}
            before = await log_of(store, run_id, last)
            try:
                forks.append(await world.engine.fork(run_id, **point))
            except ProblemError as error:
                codes.add(error.code)
                continue
            await world.settle()
            await live_through(world, forks[-1], chance)
            assert await log_of(store, run_id, last) == before
        assert await world.engine.get(run_id)
    assert codes <= {"nothing-to-fork", "task-not-found"}
    for each in (run_id, *forks):
        assert (await verify_run(store, each)).faults == [], f"seed {seed}, {each}"
    for fork in forks:
        row = await store.run(fork)
        for seq in range(row.origin.seq + 1, row.seq + 1):
            rebuilt = without_what_is_the_store_s(await rows_at(store, fork, seq))
            held = without_what_is_the_store_s(store.held[fork, seq])
            assert rebuilt == held, f"seed {seed}, fork {fork}, step {seq}"
    await store.close()
    return len(forks)


async def log_of(store, run_id, last):
    return await store.history(run_id, 0, last)
