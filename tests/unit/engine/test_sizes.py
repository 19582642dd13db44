"""A value beyond the limit is refused where it comes in, by name, and harms nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from aether import Aether
from aether.adapters.store import MemoryStore
from aether.errors import Refused
from aether.ports import Execution, RunQuery
from aether.record import Phase

LIMIT = 2_000


def document(*tasks: dict[str, Any], **spec: Any) -> dict[str, Any]:
    templates = [
        {"dag": {"name": "main", "tasks": list(tasks)}},
        {"task": {"name": "make", "executor": {"type": "make"}}},
        {"task": {"name": "take", "executor": {"type": "take"}, "inputs": {"parameters": [{"name": "text"}]}}},
        {"task": {"name": "pause", "executor": {"type": "await"}}},
    ]  # fmt: skip
    return {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "etl"},
        "spec": {"entrypoint": "main", "templates": templates} | spec,
    }


def make_and_take() -> dict[str, Any]:
    doubled = {
        "expression": "tasks.make.outputs.parameters.text + tasks.make.outputs.parameters.text"
    }
    arguments = {"parameters": [{"name": "text", "valueFrom": doubled}]}
    return document(
        {"name": "make", "template": "make"},
        {"name": "take", "template": "take", "dependencies": ["make"], "arguments": arguments},
    )


def an_app(size: int, store: MemoryStore | None = None) -> Aether:
    app = Aether(store=store or MemoryStore(history=True), payload_limit=LIMIT)

    @app.executor("make")
    def make() -> dict[str, str]:
        return {"text": "x" * size}

    @app.executor("take")
    def take(text: str) -> dict[str, int]:
        return {"n": len(text)}

    return app


async def over(app: Aether, written: dict[str, Any]) -> Execution:
    return await app.wait(await app.submit(written), 5)


async def test_an_argument_that_is_too_large_is_refused_and_leaves_no_run() -> None:
    declared = {"parameters": [{"name": "note"}, {"name": "rows"}]}
    async with an_app(1) as app:
        with pytest.raises(Refused, match="argument 'rows' is too large") as caught:
            given = {"note": "", "rows": "x" * LIMIT}
            await app.submit(
                document({"name": "make", "template": "make"}, arguments=declared), given
            )
        assert caught.value.code == "payload-too-large"
        assert not (await app.list(RunQuery())).runs


async def test_a_result_that_is_too_large_ends_its_attempt_in_error() -> None:
    async with an_app(LIMIT) as app:
        run = await over(app, make_and_take())
        assert run.status is not Phase.SUCCEEDED
        task = next(each for each in run.tasks if each.task_name == "make")
        assert task.status is Phase.ERROR
        assert "task 'make'" in task.message
        assert "output 'text'" in task.message
        assert not task.outputs
        after = await over(app, document({"name": "pause", "template": "make"}))
        assert after.status is not Phase.RUNNING


async def test_a_result_at_the_limit_is_taken() -> None:
    async with an_app(LIMIT - 2) as app:
        run = await over(app, document({"name": "make", "template": "make"}))
        assert run.status is Phase.SUCCEEDED


async def test_a_value_that_a_run_puts_together_ends_the_run_in_error() -> None:
    async with an_app(LIMIT - 100) as app:
        run = await over(app, make_and_take())
        assert run.status is Phase.ERROR
        assert "task 'take'" in run.message
        assert "input 'text'" in run.message


async def test_an_answer_to_a_suspended_task_is_refused_and_may_be_given_again() -> None:
    async with an_app(1) as app:
        run_id = await app.submit(document({"name": "pause", "template": "pause"}))
        task = None
        async for run in app.watch(run_id):
            task = next((each for each in run.tasks if each.status is Phase.SUSPENDED), None)
            if task is not None:
                break
        assert task is not None
        with pytest.raises(Refused, match="'answer' is too large") as caught:
            await app.resume(run_id, task.task_run_id, {"answer": "x" * LIMIT})
        assert caught.value.code == "payload-too-large"
        await app.resume(run_id, task.task_run_id, {"answer": "short"})
        assert (await app.wait(run_id, 5)).status is Phase.SUCCEEDED


@pytest.mark.parametrize("limit", [0, -1, 1 << 40])
def test_a_limit_that_no_store_can_keep_is_refused(limit: int) -> None:
    with pytest.raises(Refused) as caught:
        Aether(payload_limit=limit)
    assert caught.value.code == "bad-payload-setting"
