"""Brokers, notifiers, sinks and secret providers that fail cost one task at most, never the engine."""

from __future__ import annotations

import asyncio

import pytest

from aether.engine import Engine
from aether.errors import Refused, StoreUnavailable
from aether.ports import Fence, Field, Outcome, Schema, TaskResult
from aether.record import NamedValue
from aether.testing import FakeClock
from unit.engine.engine_world import (
    HandBroker,
    HandNotifier,
    World,
    one_task,
    soon,
    two_tasks,
    workflow,
)


def with_hook(hook="onStart"):
    return workflow(
        {"task": {"name": "only", "executor": {"type": "work"}}},
        {"task": {"name": "tell", "executor": {"type": "hook"}}},
        entrypoint="only",
        hooks={hook: {"template": "tell"}},
    )


def with_secret(name="only"):
    parameter = {"name": "token", "valueFrom": {"secretKeyRef": {"name": "db", "key": name}}}
    return one_task(name, inputs={"parameters": [parameter]})


class Secrets:
    def __init__(self, values, mishap=None):
        self.values, self.mishap, self.hold = values, mishap, {}

    async def get(self, name, key):
        if key in self.hold:
            await self.hold[key].wait()
        if self.mishap is not None:
            raise self.mishap
        return self.values.get(f"{name}/{key}")


# Brokers


async def test_tasks_that_a_broker_did_not_take_are_offered_again():
    async with World() as world:
        world.broker.mishaps.append(OSError("the queue is gone"))
        run_id = await world.submit(one_task())
        assert world.broker.assignments == []
        assert await world.status(run_id) == "Ready"
        await world.advance(1)
        assert [a.task_name for a in world.broker.assignments] == ["only"]
        assert "offered again" in world.errors.faults[0].next


async def test_task_that_ended_meanwhile_is_not_offered_again():
    async with World() as world:
        world.broker.mishaps.append(OSError("the queue is gone"))
        run_id = await world.submit(one_task())
        await world.engine.cancel(run_id)
        await world.advance(5)
        assert world.broker.assignments == []


async def test_cancel_signals_reach_the_broker_although_its_dispatch_fails():
    async with World() as world:
        run_id = await world.submit(one_task())
        world.broker.mishaps.append(OSError("the queue is gone"))
        await asyncio.gather(world.engine.submit(one_task("other")), world.engine.cancel(run_id))
        await world.advance(2)
        assert [c.task_run_id for c in world.broker.cancelled] == [f"{run_id}.0"]


async def test_results_that_come_twice_or_from_nowhere_change_nothing():
    async with World() as world:
        run_id = await world.submit(two_tasks())
        first = await world.complete("first", answer=1)
        await world.complete("first", answer=2)
        for strange in ("", "no-id", "other.0", f"{run_id}.99", f"{run_id}.h7", f"{run_id}.x"):
            world.broker.events.on_task_started(strange, Fence(1, 1), "w")
            world.broker.events.on_task_completed(
                TaskResult(task_run_id=strange, fence=Fence(1, 1), outcome=Outcome())
            )
        world.broker.events.on_task_completed(
            TaskResult(task_run_id=first.task_run_id, fence=Fence(9, 9), outcome=Outcome())
        )
        await world.settle()
        await world.complete("second")
        run = await soon(world.engine.wait(run_id))
        assert run.status == "Succeeded"
        assert [v.value for v in run.tasks[1].outputs] == [1]
        assert world.held_runs() == []


async def test_late_result_in_the_decision_that_ends_the_run_keeps_nobody_waiting():
    async with World() as world:
        run_id = await world.submit(one_task())
        waiting = asyncio.ensure_future(world.engine.wait(run_id))
        await world.settle()
        assignment = world.broker.named("only")
        world.broker.complete(assignment)
        world.clock.jump(world.clock.now() + 5)
        world.broker.complete(assignment)
        assert (await soon(waiting)).status == "Succeeded"


@pytest.mark.parametrize("garbage", [b"garbage", b'{"a":1}', b"[[1]]", b'[["a","",{]]', b"\xff"])
async def test_outputs_that_nobody_can_read_are_an_error_of_that_task(garbage):
    async with World() as world:
        run_id = await world.submit(one_task())
        assignment = world.broker.named("only")
        world.broker.events.on_task_completed(
            TaskResult(
                task_run_id=assignment.task_run_id,
                fence=assignment.fence,
                outcome=Outcome(),
                outputs=garbage,
            )
        )
        run = await soon(world.engine.wait(run_id))
        assert run.tasks[0].status == "Error"
        assert "could not be read" in run.tasks[0].message


async def test_output_without_a_json_form_is_an_error_of_that_task():
    async with World() as world:
        run_id = await world.submit(one_task())
        await world.complete("only", Outcome(parameters=[NamedValue("x", "", object())]))
        run = await world.engine.get(run_id)
        assert run.tasks[0].status == "Error"
        assert "JSON" in run.tasks[0].message


async def test_result_that_breaks_a_closed_schema_is_an_error_and_names_the_output():
    async with World() as world:
        schema = Schema("work", outputs=(Field("size", "int", required=True),))
        await world.engine.register_schema(schema)
        for outputs, part in (({"size": "x"}, "size"), ({"other": 1}, "other"), ({}, "size")):
            run_id = await world.submit(one_task())
            await world.complete("only", **outputs)
            run = await world.engine.get(run_id)
            assert (run.status, part in run.tasks[0].message) == ("Error", True)


async def test_type_that_nobody_serves_waits_and_says_so():
    async with World() as world:
        await world.engine.register_schema(Schema("other"))
        run_id = await world.submit(one_task())
        run = await world.engine.get(run_id)
        assert run.tasks[0].status == "Ready"
        assert run.waiting_for == ["only: no worker serves executor type 'work'"]
        assert any("work" in warning for warning in run.warnings)


# Notifiers and sinks


async def test_notifier_that_raises_changes_no_run():
    notifier = HandNotifier(mishap=OSError("no route"))
    async with World(notifier=notifier) as world:
        run_id = await world.submit(with_hook("onSuccess"))
        await world.complete("only")
        assert (await soon(world.engine.wait(run_id))).status == "Succeeded"
        await world.complete("onSuccess")
        await world.advance(1)
        assert [event.hook for event in notifier.events] == ["onSuccess"]
        assert "given up" in world.errors.faults[0].next
        assert world.held_runs() == []


async def test_notifier_that_never_returns_keeps_nobody_waiting():
    async with World(notifier=HandNotifier(hold=asyncio.Event())) as world:
        run_id = await world.submit(with_hook("onSuccess"))
        await world.complete("only")
        assert (await soon(world.engine.wait(run_id))).status == "Succeeded"
        await soon(world.engine.stop())


async def test_hooks_of_a_run_are_told_in_the_order_in_which_they_fired():
    notifier = HandNotifier()
    async with World(notifier=notifier, notify="all") as world:
        await world.submit(two_tasks())
        for name in ("first", "second"):
            world.broker.start(world.broker.named(name))
            await world.settle()
            await world.complete(name)
        told = [(event.hook, event.task_name) for event in notifier.events]
        assert told == [
            ("onStart", ""),
            ("onStart", "first"),
            ("onSuccess", "first"),
            ("onExit", "first"),
            ("onStart", "second"),
            ("onSuccess", "second"),
            ("onExit", "second"),
            ("onSuccess", ""),
            ("onExit", ""),
        ]


async def test_wait_does_not_wait_for_hooks_and_the_run_is_forgotten_after_them():
    async with World(notifier=HandNotifier()) as world:
        run_id = await world.submit(with_hook("onExit"))
        await world.complete("only")
        await soon(world.engine.wait(run_id))
        assert world.held_runs() == [run_id]
        await world.complete("onExit", Outcome.failed("no"))
        await world.advance(1)
        assert world.held_runs() == []
        run = await world.engine.get(run_id)
        assert (run.status, str(run.hooks[0].status), len(run.tasks)) == ("Succeeded", "Failed", 1)


async def test_sink_that_raises_changes_nothing():
    class Sink:
        def on_error(self, fault, error=None):
            raise RuntimeError("full")

    async with World(error_sink=Sink()) as world:
        world.store.mishaps.append(StoreUnavailable("down"))
        submitting = asyncio.ensure_future(world.engine.submit(one_task()))
        await world.settle()
        await world.advance(1)
        assert await soon(submitting)


# Secrets


async def test_secret_is_a_value_at_dispatch_and_a_blot_everywhere_else():
    secrets = Secrets({"db/only": "hunter2secret"})
    async with World(secret_provider=secrets) as world:
        run_id = await world.submit(with_secret())
        assert b"hunter2secret" in world.broker.named("only").inputs
        outcome = Outcome(
            code=2,
            message="login with hunter2secret failed",
            parameters=[NamedValue("echo", "", {"deep": ["hunter2secret", "a hunter2secret b"]})],
        )
        await world.complete("only", outcome)
        run = await world.engine.get(run_id)
        assert run.tasks[0].message == "login with *** failed"
        assert run.tasks[0].outputs[0].value == {"deep": ["***", "a *** b"]}
        assert run.tasks[0].inputs[0].value == "***"
        rows = (await world.store.load([run_id]))[0]
        log = await world.engine.history(run_id)
        assert "hunter2secret" not in repr(rows) + repr(log)


async def test_secret_inside_another_leaves_no_tail_in_a_message():
    parameters = [
        {"name": n, "valueFrom": {"secretKeyRef": {"name": "db", "key": n}}} for n in ("a", "b")
    ]
    secrets = Secrets({"db/a": "alpha", "db/b": "alphabet-soup"})
    async with World(secret_provider=secrets) as world:
        run_id = await world.submit(one_task(inputs={"parameters": parameters}))
        await world.complete("only", Outcome.failed("bad alphabet-soup, bad alpha"))
        run = await world.engine.get(run_id)
        assert run.tasks[0].message == "bad ***, bad ***"


@pytest.mark.parametrize(
    ("secrets", "part"),
    [
        (Secrets({}), "there is no secret db/only"),
        (Secrets({}, StoreUnavailable("vault sealed")), "vault sealed"),
        (Secrets({}, RuntimeError("hunter2")), "the secret provider failed: RuntimeError"),
    ],
)
async def test_secret_that_cannot_be_had_is_an_error_of_that_task(secrets, part):
    async with World(secret_provider=secrets) as world:
        run_id = await world.submit(with_secret())
        run = await soon(world.engine.wait(run_id))
        assert run.tasks[0].status == "Error"
        assert part in run.tasks[0].message
        assert world.broker.assignments == []


async def test_provider_that_never_answers_holds_up_no_other_task():
    secrets = Secrets({"db/slow": "one-secret", "db/fast": "two-secret"})
    secrets.hold["slow"] = asyncio.Event()
    async with World(secret_provider=secrets) as world:
        await world.submit(with_secret("slow"))
        await world.submit(with_secret("fast"))
        await world.submit(one_task("plain"))
        assert {a.task_name for a in world.broker.assignments} == {"fast", "plain"}
        secrets.hold["slow"].set()
        await world.settle()
        assert world.broker.named("slow")
        secrets.hold["slow"].clear()
        await world.submit(with_secret("slow"))
        await soon(world.engine.stop())


# Missing ports


@pytest.mark.parametrize("missing", ["store", "broker", "id_generator"])
def test_missing_port_is_named_with_the_line_that_gives_it(missing):
    ports = {"store": object(), "broker": HandBroker(), "id_generator": object()} | {missing: None}
    with pytest.raises(Refused) as caught:
        Engine(clock=FakeClock(), **ports)
    problem = caught.value.problems[0]
    assert problem.code == "port-missing"
    assert missing in problem.what
    assert f"{missing}=" in problem.fix
