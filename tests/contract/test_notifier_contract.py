"""The notifiers keep their promises, and the suite finds those that do not."""

import asyncio
import logging
import re
from datetime import timedelta

import msgspec
import pytest
from aiohttp import web

from aether.adapters.notifier import CompositeNotifier, LogNotifier, WebhookNotifier
from aether.errors import Problem, Refused
from aether.testing import NotifierContract, rejects


class Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(self.format(record))


class TestLogNotifier(NotifierContract):
    async def make(self):
        logger = logging.getLogger("aether.contract.hooks")
        logger.propagate = False
        self.handler = Lines()
        logger.handlers = [self.handler]
        logger.setLevel(logging.DEBUG)
        return LogNotifier(logger)

    async def delivered(self, notifier):
        return [re.search(r"\(event (.*)\)", line)[1] for line in self.handler.lines]


class TestWebhookNotifier(NotifierContract):
    async def serve(self, answer):
        app = web.Application()
        app.router.add_post("/hooks", answer)
        runner = web.AppRunner(app, shutdown_timeout=0.05)
        await runner.setup()
        self.defer(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        return f"http://127.0.0.1:{port}/hooks"

    async def make(self):
        self.arrived = []

        async def answer(request):
            self.arrived.append(msgspec.json.decode(await request.read())["event_id"])
            return web.Response(status=204)

        return WebhookNotifier(await self.serve(answer), secret="s", backoff=timedelta(0))

    async def delivered(self, notifier):
        return self.arrived

    async def make_failing(self):
        async def answer(request):
            return web.Response(status=503)

        return WebhookNotifier(await self.serve(answer), attempts=2, backoff=timedelta(0))

    async def make_stuck(self):
        over = asyncio.Event()

        async def answer(request):
            await over.wait()
            return web.Response()

        notifier = WebhookNotifier(await self.serve(answer))
        self.defer(over.set)
        return notifier


class Kept:
    """A good notifier, and the base of the broken ones below."""

    def __init__(self):
        self.arrived = []
        self.closed = False
        self.stuck = None

    async def notify(self, event):
        if self.closed:
            raise Refused(Problem("notifier-closed", "closed"))
        if self.stuck:
            await self.stuck.wait()
            raise RuntimeError("closed meanwhile")
        self.arrived.append(event.event_id)

    async def close(self):
        self.closed = True
        if self.stuck:
            self.stuck.set()


class TestCompositeNotifier(NotifierContract):
    async def make(self):
        self.parts = Kept(), Kept()
        return CompositeNotifier(*self.parts)

    async def delivered(self, notifier):
        one, other = self.parts
        assert one.arrived == other.arrived
        return one.arrived

    async def make_failing(self):
        closed = Kept()
        await closed.close()
        return CompositeNotifier(Kept(), closed)

    async def make_stuck(self):
        stuck = Kept()
        stuck.stuck = asyncio.Event()
        return CompositeNotifier(stuck)


class KeptSuite(NotifierContract):
    async def make(self):
        return Kept()

    async def delivered(self, notifier):
        return notifier.arrived

    async def make_failing(self):
        notifier = await self.make()
        await notifier.close()
        return notifier

    async def make_stuck(self):
        notifier = await self.make()
        notifier.stuck = asyncio.Event()
        return notifier


class TestKept(KeptSuite):
    pass


class QueueingNotifier(Kept):
    """Returns before anything is delivered."""

    async def notify(self, event):
        asyncio.get_running_loop().call_later(60, self.arrived.append, event.event_id)


class SwallowingNotifier(Kept):
    async def notify(self, event):
        if not self.closed:
            await super().notify(event)


class OnceNotifier(Kept):
    """Drops repeats itself: a receiver that lost one never gets it again."""

    async def notify(self, event):
        if event.event_id not in self.arrived:
            await super().notify(event)


class BusyNotifier(Kept):
    """Takes one at a time, and loses the others."""

    busy = False

    async def notify(self, event):
        if self.busy:
            return
        self.busy = True
        await asyncio.sleep(0)
        self.busy = False
        await super().notify(event)


class WorkflowOnlyNotifier(Kept):
    async def notify(self, event):
        if event.scope == "workflow":
            await super().notify(event)


class StackNotifier(Kept):
    async def notify(self, event):
        await super().notify(event)
        self.arrived.insert(0, self.arrived.pop())


class TouchyNotifier(Kept):
    async def close(self):
        if self.closed:
            raise RuntimeError("closed twice")
        await super().close()


class StubbornNotifier(Kept):
    """Close does not give up what waits."""

    async def close(self):
        self.closed = True


@pytest.mark.parametrize(
    ("broken", "by"),
    [
        (QueueingNotifier, "test_an_event_is_delivered_when_notify_returns"),
        (SwallowingNotifier, "test_an_event_that_could_not_be_delivered_raises"),
        (OnceNotifier, "test_an_event_that_comes_again_is_delivered_again_under_its_id"),
        (BusyNotifier, "test_events_of_several_runs_may_be_handed_over_at_the_same_time"),
        (WorkflowOnlyNotifier, "test_every_hook_of_workflow_and_task_is_delivered"),
        (StackNotifier, "test_events_handed_over_in_order_arrive_in_order"),
        (TouchyNotifier, "test_close_is_idempotent_used_or_not"),
        (StubbornNotifier, "test_close_gives_up_what_is_still_being_delivered"),
        (SwallowingNotifier, "test_a_closed_notifier_refuses"),
    ],
)
def test_the_suite_rejects(broken, by):
    rejects(KeptSuite, broken, by=by, seconds=0.3)
