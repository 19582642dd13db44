"""Limits of documents in an engine: who goes, who waits, and what becomes of the slots of the dead."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aether.adapters.store.memory import MemoryStore
from aether.engine import audit
from aether.errors import Refused, StoreUnavailable
from aether.ports import ERROR, Conflict, Outcome
from unit.engine.engine_world import World, unknown, workflow


def limited(*limits, name="work", **task):
    """One task of type `work`, with limits."""
    body = {"name": name, "executor": {"type": "work"}, "limits": list(limits)} | task
    return workflow({"task": body}, entrypoint=name)


def whole(*limits, **spec):
    body = {"name": "work", "executor": {"type": "work"}}
    return workflow({"task": body}, entrypoint="work", limits=list(limits), **spec)


ONE = {"key": "db", "concurrency": 1}


class Limits(World):
    def at_work(self):
        """Runs whose task was handed out, in that order, once each."""
        return list(dict.fromkeys(a.run_id for a in self.broker.assignments))

    async def finish(self, run_id, outcome=None):
        last = next(a for a in reversed(self.broker.assignments) if a.run_id == run_id)
        self.broker.complete(last, outcome)
        await self.settle()

    async def waiting_for(self, run_id):
        return (await self.engine.get(run_id)).waiting_for

    async def sound(self):
        """No run waits without a reason."""
        for due in await self.store.unfinished():
            [rows] = await self.store.load([due.run_id])
            assert audit(rows, self.clock.now()) == []


async def test_no_more_than_the_limit_are_at_work_and_the_others_follow_in_order():
    async with Limits() as world:
        document = limited({"key": "db", "concurrency": 2})
        runs = [await world.submit(document) for _ in range(5)]
        assert world.at_work() == runs[:2]
        await world.sound()
        await world.finish(runs[1])
        assert world.at_work() == [runs[0], runs[1], runs[2]]
        for run in (runs[0], runs[2], runs[3], runs[4]):
            await world.finish(run)
        assert world.at_work() == [runs[0], runs[1], runs[2], runs[3], runs[4]]
        assert {await world.status(run) for run in runs} == {"Succeeded"}
        assert world.engine._runs.gate._keys == {}
        assert world.engine._runs.gate._runs == {}


async def test_one_that_waits_says_for_which_key_and_who_holds_it():
    async with Limits() as world:
        first, second = await world.submit(limited(ONE)), await world.submit(limited(ONE))
        assert await world.waiting_for(second) == [
            f"work: waiting for a slot of 'db': 1 of 1 held by task run {first}.0"
        ]


async def test_a_key_may_name_arguments_and_the_inputs_of_the_task():
    async with Limits() as world:
        document = workflow(
            {
                "dag": {
                    "name": "main",
                    "tasks": [
                        {
                            "name": name,
                            "template": "work",
                            "arguments": {"parameters": [{"name": "n", "value": n}]},
                        }
                        for name, n in (("a", 1), ("b", 1), ("c", 2))
                    ],
                }
            },
            {
                "task": {
                    "name": "work",
                    "executor": {"type": "work"},
                    "inputs": {"parameters": [{"name": "n"}]},
                    "limits": [{"key": "n:{{inputs.parameters.n}}", "concurrency": 1}],
                }
            },
            entrypoint="main",
        )
        run = await world.submit(document)
        assert [a.task_name for a in world.broker.assignments] == ["a", "c"]
        [row] = [r for r in (await world.store.load([run]))[0].tasks.values() if r.task_name == "c"]
        assert [want.key for want in row.slots.wants] == ["n:2"]


async def test_a_limit_on_the_run_holds_back_all_of_it_until_another_run_is_over():
    async with Limits() as world:
        first, second = await world.submit(whole(ONE)), await world.submit(whole(ONE))
        assert world.at_work() == [first]
        assert await world.status(second) == "Created"
        assert await world.waiting_for(second) == [
            f"waiting for a slot of 'db': 1 of 1 held by run {first}"
        ]
        await world.sound()
        await world.finish(first)
        assert world.at_work() == [first, second]
        await world.finish(second)
        assert await world.status(second) == "Succeeded"


async def test_time_in_line_is_no_time_of_the_run():
    async with Limits() as world:
        document = whole(ONE, timeout="1m")
        runs = [await world.submit(document, run_id=name) for name in ("first", "second")]
        await world.advance(50)
        await world.finish("first")
        await world.advance(50)
        assert world.at_work() == runs
        assert await world.status("second") == "Ready"
        await world.advance(20)
        assert await world.status("second") == "Timeout"


async def test_a_failed_attempt_frees_its_slot_and_the_next_waits_for_another():
    async with Limits() as world:
        retried = limited(ONE, retry={"limit": 1})
        first, second = await world.submit(retried), await world.submit(limited(ONE))
        await world.finish(first, Outcome(ERROR, "no"))
        assert world.at_work() == [first, second]
        assert await world.phases(first) == {"work": "Created"}
        await world.sound()
        await world.finish(second)
        await world.finish(first)
        assert await world.status(first) == "Succeeded"


async def test_a_task_that_waits_for_a_resume_holds_no_slot():
    async with Limits() as world:
        first, second = await world.submit(limited(ONE)), await world.submit(limited(ONE))
        await world.finish(first, Outcome(1, "wait"))
        assert world.at_work() == [first, second]
        await world.engine.resume(first, f"{first}.0")
        await world.settle()
        assert await world.phases(first) == {"work": "Created"}
        await world.finish(second)
        assert await world.phases(first) == {"work": "Ready"}


async def test_a_cancelled_run_frees_its_slot_and_leaves_the_line():
    async with Limits() as world:
        runs = [await world.submit(limited(ONE)) for _ in range(3)]
        await world.engine.cancel(runs[1])
        await world.engine.cancel(runs[0])
        await world.settle()
        assert world.at_work() == [runs[0], runs[2]]


async def test_a_paused_run_takes_no_slot_and_keeps_its_place():
    async with Limits() as world:
        runs = [await world.submit(limited(ONE)) for _ in range(3)]
        await world.engine.pause(runs[1])
        await world.finish(runs[0])
        assert world.at_work() == [runs[0], runs[2]]
        await world.engine.unpause(runs[1])
        await world.settle()
        assert world.at_work() == [runs[0], runs[2]]
        await world.finish(runs[2])
        assert world.at_work() == [runs[0], runs[2], runs[1]]


async def test_after_a_death_the_holder_still_holds_and_the_others_keep_their_places():
    async with Limits() as world:
        runs = [await world.submit(limited(ONE)) for _ in range(4)]
        await world.start()  # the engine before is left as it is
        assert world.at_work() == [runs[0]]
        for at, run in enumerate(runs):
            assert world.at_work() == runs[: at + 1]
            await world.finish(run)
        assert {await world.status(run) for run in runs} == {"Succeeded"}


async def test_after_a_death_a_limited_run_goes_on_and_another_still_waits():
    async with Limits() as world:
        runs = [await world.submit(whole(ONE)) for _ in range(3)]
        await world.start()
        assert world.at_work() == [runs[0]]
        await world.finish(runs[0])
        await world.start()
        assert world.at_work() == [runs[1]]


async def test_higher_priority_goes_first():
    async with Limits() as world:
        first = await world.submit(whole(ONE))
        low = await world.submit(whole(ONE, priority=1))
        high = await world.submit(whole(ONE, priority=900))
        await world.finish(first)
        assert world.at_work() == [first, high]
        await world.finish(high)
        assert world.at_work() == [first, high, low]


async def test_those_that_wait_take_turns_by_what_is_fair():
    async with Limits() as world:
        fair = ONE | {"fair": "{{workflow.parameters.tenant}}"}
        arguments = {"parameters": [{"name": "tenant"}]}
        document = whole(fair, arguments=arguments)
        held = await world.submit(document, {"tenant": "x"})
        a = [await world.submit(document, {"tenant": "a"}) for _ in range(3)]
        b = [await world.submit(document, {"tenant": "b"}) for _ in range(2)]
        for run in (held, a[0], b[0], a[1], b[1], a[2]):
            assert world.at_work()[-1] == run
            await world.finish(run)


async def test_two_tasks_that_want_the_same_two_keys_do_not_wait_for_each_other():
    async with Limits() as world:
        keys = [{"key": "b", "concurrency": 1}, {"key": "a", "concurrency": 1}]
        runs = [await world.submit(limited(*keys)), await world.submit(limited(*keys[::-1]))]
        assert world.at_work() == runs[:1]
        await world.finish(runs[0])
        assert world.at_work() == runs


async def test_a_task_does_not_wait_for_a_slot_that_its_own_run_holds():
    async with Limits() as world:
        task = {"name": "work", "executor": {"type": "work"}, "limits": [ONE]}
        run = await world.submit(workflow({"task": task}, entrypoint="work", limits=[ONE]))
        assert world.at_work() == [run]
        await world.finish(run)
        assert await world.status(run) == "Succeeded"


async def test_so_many_begin_within_a_span_and_the_next_when_it_has_passed():
    async with Limits() as world:
        document = limited({"key": "api", "rate": "2/1m"})
        runs = [await world.submit(document) for _ in range(5)]
        assert world.at_work() == runs[:2]
        assert (await world.waiting_for(runs[2]))[0].startswith(
            "work: waiting for 'api', 2 in 1m: the next may begin at "
        )
        for run in runs[:2]:
            await world.finish(run)
        assert world.at_work() == runs[:2]
        await world.advance(60)
        assert world.at_work() == runs[:4]
        await world.clock.advance(timedelta(minutes=1))
        await world.settle()
        assert world.at_work() == runs


async def test_a_conflict_while_slots_are_taken_takes_them_once():
    async with Limits() as world:
        runs = [await world.submit(limited(ONE)) for _ in range(3)]
        world.store.mishaps += [None, ("answer", Conflict())]
        await world.finish(runs[0])
        assert world.at_work() == runs[:2]
        assert world.engine._runs.gate.holders("db") == [(runs[1], 0)]


async def test_a_store_that_is_down_while_slots_are_taken_loses_none():
    async with Limits() as world:
        runs = [await world.submit(limited(ONE)) for _ in range(3)]
        world.store.mishaps += [None, StoreUnavailable("down"), ("after", unknown())]
        await world.finish(runs[0])
        await world.advance(10)
        assert world.at_work() == runs[:2]
        await world.finish(runs[1])
        assert world.at_work() == runs


async def test_a_rate_counts_what_began_before_the_engine_did():
    async with Limits() as world:
        document = limited({"key": "api", "rate": "3/1h"})
        runs = [await world.submit(document) for _ in range(2)]
        for run in runs:
            await world.finish(run)
        await world.advance(600)
        await world.start()
        runs += [await world.submit(document) for _ in range(2)]
        assert world.at_work() == [runs[2]]
        await world.advance(3000)
        assert world.at_work() == runs[2:]


async def test_a_rate_counts_earlier_attempts_also_after_a_death():
    async with Limits() as world:
        api = {"key": "api", "rate": "2/10m"}
        run = await world.submit(limited(api, retry={"limit": 5}))
        await world.finish(run, Outcome(ERROR, "no"))
        assert await world.phases(run) == {"work": "Ready"}
        await world.start()
        await world.finish(run, Outcome(ERROR, "no"))
        assert await world.phases(run) == {"work": "Created"}
        await world.sound()
        await world.advance(600)
        assert await world.phases(run) == {"work": "Ready"}


async def test_where_engines_share_a_store_limits_are_refused_rather_than_counted_twice():
    async with Limits(store=MemoryStore(shared=True)) as world:
        with pytest.raises(Refused, match="limits-not-kept"):
            await world.engine.submit(limited(ONE))
        with pytest.raises(Refused, match="limits-not-kept"):
            await world.engine.submit(whole(ONE))
    async with Limits(store=MemoryStore(shared=True), sole=True) as world:
        runs = [await world.submit(limited(ONE)) for _ in range(2)]
        await world.advance(5)
        assert world.at_work() == runs[:1]
