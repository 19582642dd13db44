"""A run's past: its state after every decision, its log in sentences, what two points differ in."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress

import pytest

from aether.adapters.store import MemoryStore, SqliteStore
from aether.adapters.variables import StaticVars
from aether.engine import rows_at, steps
from aether.errors import InvalidState, NotFound, NotSupported, ProblemError
from aether.ports import Outcome, RunQuery
from aether.record import encode_values, named_values
from aether.testing.documents import VARIABLES, random_document
from unit.engine.engine_world import World, one_task, two_tasks, workflow

DOCUMENTS = 120
MOVES = 40
OF_THE_STORE = {
    "token": 0,
    "head": b"",
    "signature": b"",
    "claimed": 0,
}  # they guard the log and are not part of it


class Witness:
    """A store that remembers what it held after each decision. Engines that were left behind may still
    commit, or be stopped while they do: it looks before anybody else commits."""

    def __init__(self, *place, **settings):
        super().__init__(*place, **settings)
        self.held = {}
        self.turn = asyncio.Lock()

    async def commit(self, batch):
        return await asyncio.shield(asyncio.ensure_future(self.commit_and_look(batch)))

    async def commit_and_look(self, batch):
        async with self.turn:
            outcomes = await super().commit(batch)
            for rows in await self.load([commit.run_id for commit in batch]):
                self.held[rows.run.run_id, rows.run.seq] = rows
        return outcomes


class MemoryWitness(Witness, MemoryStore):
    pass


class SqliteWitness(Witness, SqliteStore):
    pass


def without_what_is_the_store_s(rows):
    for name, value in OF_THE_STORE.items():
        if hasattr(rows.run, name):
            setattr(rows.run, name, value)
    return rows


def random_outcome(chance):
    outputs = {name: chance.randint(0, 9) for name in ("p0", "p1", "p2") if chance.random() < 0.5}
    return chance.choices(
        [
            Outcome.succeeded(**outputs),
            Outcome.failed("no luck"),
            Outcome.error("broken"),
            Outcome.suspended("who is there?"),
        ],
        [8, 3, 1, 2],
    )[0]


async def live_through(world, run_id, chance):
    """Workers, people and crashes, as chance has it."""
    for _ in range(MOVES):
        execution = await world.engine.get(run_id)
        if execution.status.is_terminal:
            return
        waiting = [task for task in execution.tasks if task.status == "Suspended"]
        open_ones = {task.task_run_id for task in execution.tasks if not task.status.is_terminal}
        given = [a for a in world.broker.assignments if a.task_run_id in open_ones]
        roll = chance.random()
        with suppress(InvalidState):  # a file answers when it likes: the run may have moved on
            if roll < 0.06:
                await world.start()
            elif roll < 0.1:
                await (world.engine.unpause if execution.paused_at else world.engine.pause)(run_id)
            elif waiting and roll < 0.3:
                await world.engine.resume(run_id, waiting[0].task_run_id, {"answer": 42})
            elif given and roll < 0.95:
                for assignment in chance.sample(given, min(len(given), chance.randint(1, 3))):
                    if chance.random() < 0.6:
                        world.broker.start(assignment)
                    if chance.random() < 0.8:
                        world.broker.complete(assignment, random_outcome(chance))
            else:
                await world.advance(chance.choice([1, 20, 4000]))
        await world.settle()


async def check_every_step(store, seed):
    """One random run; answers what there was in it."""
    ports = {"store": store, "vars_sources": [StaticVars("deploy", deploy_variables())]}
    async with World(**ports) as world:
        run_id = await world.submit(random_document(seed)[0], run_id=f"run-{seed}")
        await live_through(world, run_id, random.Random(f"days {seed}"))
    async with store.turn:
        last = (await store.run(run_id)).seq
    for seq in range(1, last + 1):
        rebuilt = without_what_is_the_store_s(await rows_at(store, run_id, seq))
        held = without_what_is_the_store_s(store.held[run_id, seq])
        assert rebuilt == held, f"seed {seed}, step {seq}"
    told = [step async for step in steps(store, run_id)]
    assert [step.seq for step in told] == list(range(1, last + 1))
    assert all(change.partition(": ")[2] for step in told for change in step.changes)
    return Counter(
        {
            "steps": last,
            str(held.run.phase): 1,
            "hooks": len(held.hooks),
            "taken over": held.run.epoch > 1,
            "retried": any(task.retry_count for task in held.tasks.values()),
        }
    )


async def test_state_rebuilt_after_every_step_is_what_the_store_held_then():
    features = Counter()
    for seed in range(DOCUMENTS):
        features += await check_every_step(MemoryWitness(history=True), seed)
    assert features["steps"] > 4 * DOCUMENTS, features
    assert all(features[name] > 5 for name in ("Succeeded", "Failed", "taken over", "retried"))
    assert features["hooks"] > 5, features


async def test_state_rebuilt_from_a_file_is_what_the_file_held_then(tmp_path):
    features = Counter()
    for seed in range(0, DOCUMENTS, 8):
        store = SqliteWitness(tmp_path / f"{seed}.db", durability="normal")
        features += await check_every_step(store, seed)
        await store.close()
    assert features["steps"] > DOCUMENTS // 4, features


def deploy_variables():
    return {name.removeprefix("deploy."): value for name, value in VARIABLES.items()}


async def a_retried_run(world):
    """Two tasks; the first one errs once, and has been seen Running at step 2."""
    document = two_tasks()
    document["spec"]["templates"][0]["dag"]["tasks"][0]["retry"] = {
        "limit": 1,
        "backoff": {"initial": "1s"},
    }
    run_id = await world.submit(document)
    world.broker.start(world.broker.named("first"))
    await world.engine.get(run_id)
    await world.complete("first", Outcome.error("no luck"))
    await world.advance(5)
    await world.complete("first", colour="red")
    await world.complete("second")
    return run_id


async def test_at_shows_the_run_as_it_stood_and_what_it_waited_for():
    async with World() as world:
        run_id = await a_retried_run(world)
        then = await world.engine.at(run_id, 2)
        assert (str(then.status), then.seq, then.progress) == ("Running", 2, "0/2")
        assert [str(task.status) for task in then.tasks] == ["Running", "Running"]
        assert "main/first: running on worker w since" in then.waiting_for[0]
        now = await world.engine.get(run_id)
        assert await world.engine.at(run_id, now.seq) == now


async def test_log_has_a_sentence_for_each_thing_that_changed():
    async with World() as world:
        run_id = await a_retried_run(world)
        log = await world.engine.log(run_id)
        told = [change for step in log for change in step.changes]
        assert told[0] == "run: created from example, Ready"
        for sentence in (
            "main: created (a dag), Ready",
            "main/first: created (executor work), Ready",
            "main/first: Ready → Running on worker w",
            "run: Running",
            "main/first: Ready → Succeeded with colour",
            "main/second: created (executor work), Ready",
            "main: Running → Succeeded",
            "run: Succeeded",
        ):
            assert sentence in told
        (retry,) = [change for change in told if "retry 1 at" in change]
        assert retry.startswith("main/first: Running → Created, retry 1 at 2025-06-15 15:06:4")
        assert retry.endswith(": no luck")
        assert [step.seq for step in log] == list(range(1, len(log) + 1))
        assert log[0].at == (await world.engine.get(run_id)).created_at


async def test_log_of_pauses_take_overs_suspensions_and_cancels():
    async with World() as world:
        run_id = await world.submit(one_task())
        await world.engine.pause(run_id, by="Ada")
        await world.engine.unpause(run_id)
        await world.start()
        await world.complete("only", Outcome.suspended("go on?"))
        await world.engine.cancel(run_id, by="Eve")
        told = [change for step in await world.engine.log(run_id) for change in step.changes]
        assert "run: paused by Ada" in told
        assert "run: goes on" in told
        assert "run: taken over by another engine (epoch 2)" in told
        assert "only: Ready → Suspended: go on?" in told
        assert told[-1] == "run: Cancelled: cancelled by Eve"


async def test_log_names_hooks_and_the_task_they_belong_to():
    hooked = two_tasks()
    hooked["spec"]["templates"][0]["dag"]["tasks"][0]["hooks"] = {"onSuccess": {"template": "tell"}}
    hooked["spec"]["templates"].append({"task": {"name": "tell", "executor": {"type": "work"}}})
    async with World() as world:
        run_id = await world.submit(hooked)
        await world.complete("first")
        told = [change for step in await world.engine.log(run_id) for change in step.changes]
        assert "hook onSuccess of main/first: fired" in told


async def test_log_goes_on_where_it_ended_without_reading_what_it_has_read(
    monkeypatch: pytest.MonkeyPatch,
):
    async with World() as world:
        run_id = await a_retried_run(world)
        whole = await world.engine.log(run_id)
        asked = []
        history = world.store.history

        async def counted(run_id: str, after_seq: int = 0, limit: int = 1000):
            page = await history(run_id, after_seq, limit)
            asked.extend(entry.seq for entry in page)
            return page

        monkeypatch.setattr(world.store, "history", counted)
        pages = []
        while page := await world.engine.log(run_id, after=len(pages), limit=2):
            pages += page
        assert pages == whole
        assert asked == [step.seq for step in whole]
        asked.clear()
        assert await world.engine.log(run_id, after=3, limit=1) == whole[3:4]
        assert asked == [1, 2, 3, 4], "nobody has ended there: it is read from the beginning"
        assert await world.engine.log(run_id, after=4) == whole[4:]
        assert world.engine._bookmarks == {}, "a run that is told to its end takes no memory"


async def test_log_is_read_in_pages_that_need_not_begin_at_the_first_step():
    async with World() as world:
        run_id = await a_retried_run(world)
        whole = await world.engine.log(run_id)
        pages = []
        while page := await world.engine.log(run_id, after=len(pages), limit=2):
            assert len(page) <= 2
            pages += page
        assert pages == whole


async def test_log_of_several_pages_has_no_seam():
    async with World() as world:
        run_id = await world.submit(one_task())
        for _ in range(600):
            await world.engine.pause(run_id)
            await world.engine.unpause(run_id)
        last = (await world.engine.get(run_id)).seq
        assert last > 1000, "more than a page"
        assert [step.seq async for step in steps(world.store, run_id, 900)] == [
            *range(901, last + 1)
        ]
        for seq in (999, 1000, 1001, last):
            rows = await rows_at(world.store, run_id, seq)
            assert rows.run.seq == seq
            assert (rows.run.paused_at is None) == (seq % 2 == 1)


async def test_paths_tell_loops_in_loops_apart():
    document = workflow(
        {
            "dag": {
                "name": "main",
                "tasks": [{"name": side, "template": "each"} for side in ("left", "right")],
            }
        },
        {
            "loop": {
                "name": "each",
                "items": [1, 2],
                "body": "leaf",
            }
        },
        {"task": {"name": "leaf", "executor": {"type": "work"}}},
        entrypoint="main",
    )
    async with World() as world:
        run_id = await world.submit(document)
        difference = await world.engine.diff(run_id, run_id, 1, 1)
        assert difference.is_empty
        told = [change for step in await world.engine.log(run_id) for change in step.changes]
        leaves = [change for change in told if "/leaf: created" in change]
        assert len(leaves) == len(set(leaves)) == 4, leaves
        assert "main/left.loop[0]/leaf: created (executor work), Ready" in leaves


async def test_diff_of_one_run_at_two_points():
    async with World() as world:
        run_id = await a_retried_run(world)
        difference = await world.engine.diff(run_id, run_id, at_a=1)
        assert difference.a.seq == 1
        assert difference.b.seq == (await world.engine.get(run_id)).seq
        run = {change.what: (change.a, change.b) for change in difference.run}
        assert run["status"] == ("Ready", "Succeeded")
        tasks = {task.path: task for task in difference.tasks}
        first = {change.what: (change.a, change.b) for change in tasks["main/first"].changes}
        assert first["retryCount"] == (0, 1)
        assert first["outputs.colour"] == (None, "red")
        assert (tasks["main/second"].only_in, tasks["main/first"].only_in) == ("b", "")


async def test_diff_of_two_runs_needs_no_log():
    document = one_task(
        inputs={"parameters": [{"name": "n", "value": "{{workflow.parameters.n}}"}]}
    )
    document["spec"]["arguments"] = {"parameters": [{"name": "n", "type": "int"}]}
    async with World(store=MemoryStore()) as world:
        one, same, other = [await world.submit(document, {"n": n}) for n in (1, 1, 2)]
        assert (await world.engine.diff(one, same)).is_empty
        difference = await world.engine.diff(one, other)
        assert [(change.what, change.a, change.b) for change in difference.run] == [
            ("arguments.n", 1, 2)
        ]
        (task,) = difference.tasks
        assert [(change.what, change.b) for change in task.changes] == [("inputs.n", 2)]


async def test_diff_tells_true_from_one_and_no_value_from_null():
    from aether.engine import compare

    async with World() as world:
        run_id = await world.submit(one_task())
        a, b = [await rows_at(world.store, run_id, 1) for _ in range(2)]
    a.run.outputs = encode_values(named_values({"x": True, "y": None, "z": {"p": 1, "q": 2}}))
    b.run.outputs = encode_values(named_values({"x": 1, "z": {"q": 2, "p": 1}}))
    assert [change.what for change in compare(a, b).run] == ["outputs.x", "outputs.y"]


async def test_where_no_log_is_kept_the_problem_says_what_to_do():
    async with World(store=MemoryStore()) as world:
        run_id = await world.submit(one_task())
        for ask in (
            world.engine.at(run_id, 1),
            world.engine.log(run_id),
            world.engine.diff(run_id, run_id, 1),
        ):
            with pytest.raises(NotSupported) as refused:
                await ask
            assert refused.value.code == "no-log"
            assert "state-action-log" in refused.value.problems[0].fix


@pytest.mark.parametrize("seq", [0, -1, 99])
async def test_steps_that_were_never_made_are_refused_with_the_range(seq):
    async with World() as world:
        run_id = await world.submit(one_task())
        with pytest.raises(NotFound, match="its steps are 1 to 1") as refused:
            await world.engine.at(run_id, seq)
        assert refused.value.code == "no-such-step"


async def test_unknown_runs_have_no_past():
    async with World() as world:
        for ask in (world.engine.at("no", 1), world.engine.log("no"), world.engine.diff("no", "n")):
            with pytest.raises(NotFound) as refused:
                await ask
            assert refused.value.code == "run-not-found"


class Holes(MemoryStore):
    """Has lost some entries."""

    def __init__(self, *missing):
        super().__init__(history=True)
        self.missing = set(missing)

    async def history(self, run_id, after_seq=0, limit=1000):
        entries = await super().history(run_id, after_seq, limit)
        return [entry for entry in entries if entry.seq not in self.missing]


@pytest.mark.parametrize(("missing", "code"), [((2,), "log-incomplete"), ((3,), "log-incomplete")])
async def test_log_that_lacks_a_step_is_never_guessed_at(missing, code):
    async with World(store=Holes(*missing)) as world:
        run_id = await world.submit(two_tasks())
        await world.complete("first")
        await world.complete("second")
        assert (await world.engine.at(run_id, missing[0] - 1)).seq == missing[0] - 1
        with pytest.raises(InvalidState, match=f"lacks step {missing[0]} of 3") as refused:
            await world.engine.log(run_id)
        assert refused.value.code == code


async def test_run_that_was_kept_without_a_log_in_a_store_with_one_says_so(tmp_path):
    path = tmp_path / "a.db"
    store = SqliteStore(path, keeps_log=False, durability="normal")
    async with World(store=store) as world:
        run_id = await world.submit(one_task())
    await store.close()
    store = SqliteStore(path, read_only=True)
    await store.open()
    with pytest.raises(ProblemError) as refused:
        await rows_at(store, run_id, 1)
    assert refused.value.code == "no-log"
    assert len((await store.runs(RunQuery())).runs) == 1
    await store.close()


async def test_rows_of_the_past_are_the_caller_s_own():
    async with World() as world:
        run_id = await world.submit(one_task())
        first = await rows_at(world.store, run_id, 1)
        first.run.message = "changed"
        first.tasks[0].task_name = "changed"
        again = await rows_at(world.store, run_id, 1)
        assert (again.run.message, again.tasks[0].task_name) == ("", "only")
