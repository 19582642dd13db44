"""What every Notifier promises."""

from __future__ import annotations

import asyncio
from typing import get_args

import pytest

from ..errors import Refused
from ..ports import HookEvent, HookName, Notifier
from .suites import ContractSuite


def hook_event(number: int = 1, hook: HookName = "onSuccess", run_id: str = "run-1") -> HookEvent:
    """An event whose id is `<run_id>/<number>`."""
    return HookEvent(
        event_id=f"{run_id}/{number}",
        hook=hook,
        scope="workflow",
        run_id=run_id,
        workflow_name="etl",
        template="tell",
        phase="Succeeded",
        at=1_750_000_000_000_000,
        context={"workflowRunID": run_id, "nested": {"list": [1, None, "ü"]}},
    )


class NotifierContract(ContractSuite):
    """`make` returns a notifier that works; `delivered` says which event ids arrived, in order.

    A notifier that can fail shows it: `make_failing` returns one whose receiver refuses everything,
    `make_stuck` one whose receiver never answers.
    """

    async def make(self) -> Notifier:
        raise NotImplementedError

    async def delivered(self, notifier: Notifier) -> list[str]:
        raise NotImplementedError

    async def make_failing(self) -> Notifier:
        pytest.skip("override make_failing to show what happens when delivery fails")

    async def make_stuck(self) -> Notifier:
        pytest.skip("override make_stuck to show what happens when nobody answers")

    async def _made(self) -> Notifier:
        notifier = await self.make()
        self.defer(notifier.close)
        return notifier

    async def test_an_event_is_delivered_when_notify_returns(self) -> None:
        notifier = await self._made()
        await notifier.notify(hook_event())
        assert await self.delivered(notifier) == ["run-1/1"]

    async def test_every_hook_of_workflow_and_task_is_delivered(self) -> None:
        notifier = await self._made()
        hooks: tuple[HookName, ...] = get_args(HookName)
        for number, hook in enumerate(hooks):
            await notifier.notify(hook_event(number, hook))
        task = HookEvent(
            event_id="task",
            hook="onStart",
            scope="task",
            run_id="run-1",
            task_run_id="run-1.7",
            task_name="load",
        )
        await notifier.notify(task)
        expected = [f"run-1/{number}" for number in range(len(hooks))]
        assert await self.delivered(notifier) == [*expected, "task"]

    async def test_events_handed_over_in_order_arrive_in_order(self) -> None:
        notifier = await self._made()
        for number in range(20):
            await notifier.notify(hook_event(number))
        assert await self.delivered(notifier) == [f"run-1/{number}" for number in range(20)]

    async def test_events_of_several_runs_may_be_handed_over_at_the_same_time(self) -> None:
        notifier = await self._made()
        runs = [f"run-{number}" for number in range(30)]
        await asyncio.gather(*(notifier.notify(hook_event(run_id=run)) for run in runs))
        assert sorted(await self.delivered(notifier)) == sorted(f"{run}/1" for run in runs)

    async def test_an_event_that_comes_again_is_delivered_again_under_its_id(self) -> None:
        notifier = await self._made()
        await notifier.notify(hook_event())
        await notifier.notify(hook_event())
        assert await self.delivered(notifier) == ["run-1/1", "run-1/1"]

    async def test_an_event_that_could_not_be_delivered_raises(self) -> None:
        notifier = await self.make_failing()
        self.defer(notifier.close)
        with pytest.raises(Exception):  # noqa: B017, PT011  any error will do, silence will not
            await notifier.notify(hook_event())

    async def test_close_is_idempotent_used_or_not(self) -> None:
        for used in (False, True):
            notifier = await self._made()
            if used:
                await notifier.notify(hook_event())
            await notifier.close()
            await notifier.close()

    async def test_a_closed_notifier_refuses(self) -> None:
        notifier = await self._made()
        await notifier.close()
        with pytest.raises(Refused) as raised:
            await notifier.notify(hook_event())
        assert raised.value.code == "notifier-closed"
        assert await self.delivered(notifier) == []

    async def test_close_gives_up_what_is_still_being_delivered(self) -> None:
        notifier = await self.make_stuck()
        waiting = asyncio.create_task(notifier.notify(hook_event()))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        await notifier.close()
        answer = (await asyncio.gather(waiting, return_exceptions=True))[0]
        assert isinstance(answer, Exception), (
            "notify returned, or was cancelled, without a delivery"
        )
