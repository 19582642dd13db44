"""What a webhook does on bad days: receivers that fail, redirect, hang, or talk too much."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from aiohttp import web

from aether.adapters.errors import CollectingSink
from aether.adapters.notifier import (
    SIGNATURE_HEADER,
    CompositeNotifier,
    WebhookNotifier,
    sign,
    verify_signature,
)
from aether.errors import Refused
from aether.testing import FakeClock
from aether.testing.notifier_contract import hook_event

MICROSECOND = timedelta(microseconds=1)


class Receiver:
    """A real server on a free port. It answers with the statuses given, the last one for ever."""

    def __init__(self, *statuses, headers=None):
        self.statuses = list(statuses)
        self.headers = headers or {}
        self.requests = []
        self.came = asyncio.Event()

    async def __aenter__(self):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        self.runner = web.AppRunner(app, shutdown_timeout=0.05)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}/hooks"
        return self

    async def __aexit__(self, *_):
        await self.runner.cleanup()

    async def answer(self, request):
        self.requests.append((request.path, dict(request.headers), await request.read()))
        self.came.set()
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return web.Response(status=status, headers=self.headers)


class SpanClock(FakeClock):
    """Lets every wait be over at once, and remembers how long it would have been."""

    def __init__(self):
        super().__init__()
        self.spans = []

    def call_in(self, span, callback):
        self.spans.append(span // 1_000_000)
        return super().call_in(0, callback)


async def test_a_receiver_that_recovers_gets_the_event_under_the_same_id_and_body():
    clock = SpanClock()
    async with Receiver(503, 500, 429, 200) as receiver:
        notifier = WebhookNotifier(receiver.url, clock=clock)
        await notifier.notify(hook_event())
        await notifier.close()
    assert len(receiver.requests) == 4
    assert {headers["Aether-Event"] for _, headers, _ in receiver.requests} == {"run-1/1"}
    assert len({body for _, _, body in receiver.requests}) == 1
    assert clock.spans == [1, 2, 4]


async def test_waits_grow_up_to_the_longest():
    clock = SpanClock()
    async with Receiver(503) as receiver:
        notifier = WebhookNotifier(
            receiver.url, clock=clock, attempts=6, longest_wait=timedelta(seconds=5)
        )
        with pytest.raises(Refused):
            await notifier.notify(hook_event())
        await notifier.close()
    assert clock.spans == [1, 2, 4, 5, 5]


async def test_giving_up_is_one_fault_and_says_what_happens_next():
    sink = CollectingSink()
    async with Receiver(503) as receiver:
        notifier = WebhookNotifier(receiver.url, clock=SpanClock(), attempts=3, errors=sink)
        with pytest.raises(Refused, match="answered with 503") as raised:
            await notifier.notify(hook_event())
        await notifier.close()
    assert raised.value.code == "webhook-failed"
    assert len(receiver.requests) == 3
    (fault,) = sink.faults
    assert fault.run_id == "run-1"
    assert "3 times" in fault.what
    assert "given up" in fault.next


async def test_a_sink_that_raises_changes_nothing():
    class Raising:
        def on_error(self, fault, error=None):
            raise RuntimeError("planted")

    async with Receiver(404) as receiver:
        notifier = WebhookNotifier(receiver.url, errors=Raising())
        with pytest.raises(Refused):
            await notifier.notify(hook_event())
        await notifier.close()


async def test_an_answer_that_will_not_change_is_not_asked_for_again():
    for status in (400, 401, 404, 410):
        async with Receiver(status) as receiver:
            notifier = WebhookNotifier(receiver.url, clock=SpanClock())
            with pytest.raises(Refused, match=f"answered with {status}"):
                await notifier.notify(hook_event())
            await notifier.close()
        assert len(receiver.requests) == 1


async def test_a_redirect_is_not_followed():
    async with Receiver(200) as elsewhere:
        for status in (301, 302, 307, 308):
            async with Receiver(status, headers={"Location": elsewhere.url}) as receiver:
                notifier = WebhookNotifier(receiver.url, secret="s", clock=SpanClock())
                with pytest.raises(Refused, match=f"answered with {status}"):
                    await notifier.notify(hook_event())
                await notifier.close()
        assert elsewhere.requests == []


async def test_a_receiver_that_cannot_be_reached_is_tried_again():
    clock = SpanClock()
    async with Receiver(200) as receiver:
        url = receiver.url
    notifier = WebhookNotifier(url, clock=clock, attempts=3)
    with pytest.raises(Refused, match="no answer"):
        await notifier.notify(hook_event())
    await notifier.close()
    assert len(clock.spans) == 2


async def test_a_receiver_that_never_answers_ends_in_a_timeout():
    over = asyncio.Event()

    class Silent(Receiver):
        async def answer(self, request):
            await over.wait()
            return web.Response()

    async with Silent() as receiver:
        notifier = WebhookNotifier(
            receiver.url, timeout=timedelta(milliseconds=30), attempts=1, clock=SpanClock()
        )
        with pytest.raises(Refused, match="TimeoutError"):
            await notifier.notify(hook_event())
        await notifier.close()
        over.set()


async def test_close_gives_up_what_waits_for_its_next_attempt():
    async with Receiver(503) as receiver:
        notifier = WebhookNotifier(receiver.url, clock=FakeClock())
        waiting = asyncio.create_task(notifier.notify(hook_event()))
        await receiver.came.wait()
        await notifier.close()
        with pytest.raises(Refused) as raised:
            await waiting
        assert raised.value.code == "notifier-closed"


async def test_a_caller_that_is_cancelled_is_cancelled():
    async with Receiver(503) as receiver:
        notifier = WebhookNotifier(receiver.url, clock=FakeClock())
        waiting = asyncio.create_task(notifier.notify(hook_event()))
        await receiver.came.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await notifier.close()


async def test_no_more_requests_than_allowed_are_under_way():
    under_way, most = 0, 0

    class Counting(Receiver):
        async def answer(self, request):
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            for _ in range(5):
                await asyncio.sleep(0)
            under_way -= 1
            return web.Response()

    async with Counting() as receiver:
        notifier = WebhookNotifier(receiver.url, concurrency=3)
        await asyncio.gather(*(notifier.notify(hook_event(number)) for number in range(20)))
        await notifier.close()
    assert most <= 3


async def test_the_body_is_the_event_and_its_signature_can_be_verified():
    clock = FakeClock()
    async with Receiver(200) as receiver:
        notifier = WebhookNotifier(receiver.url, secret="shared", clock=clock)
        await notifier.notify(hook_event())
        await notifier.close()
    ((path, headers, body),) = receiver.requests
    assert path == "/hooks"
    assert msgspec.json.decode(body)["event_id"] == "run-1/1"
    assert verify_signature("shared", headers[SIGNATURE_HEADER], body, now=clock.now())


async def test_without_a_secret_nothing_is_signed():
    async with Receiver(200) as receiver:
        notifier = WebhookNotifier(receiver.url)
        await notifier.notify(hook_event())
        await notifier.close()
    assert SIGNATURE_HEADER not in receiver.requests[0][1]


def test_a_signature_holds_for_its_body_its_secret_and_its_time_only():
    now = FakeClock().now()
    header = sign("shared", b"body", now)
    minute = timedelta(minutes=1) // MICROSECOND
    assert verify_signature("shared", header, b"body", now=now)
    assert verify_signature(b"shared", header, b"body", now=now + 4 * minute)
    assert not verify_signature("shared", header, b"Body", now=now)
    assert not verify_signature("other", header, b"body", now=now)
    assert not verify_signature("shared", header, b"body", now=now + 6 * minute)
    assert not verify_signature("shared", header, b"body", now=now - 6 * minute)
    moved = header.replace(f"t={now // 1_000_000}", f"t={now // 1_000_000 + 1}")
    assert not verify_signature("shared", moved, b"body", now=now)


@pytest.mark.parametrize("header", ["", "t=1", "v1=00", "t=x,v1=" + "0" * 64, "t=1,v1=" + "é" * 64])
def test_junk_is_no_signature(header):
    assert not verify_signature("shared", header, b"body", now=0)


@pytest.mark.parametrize("url", ["", "ftp://x/y", "http://", "example.com", "file:///etc/passwd"])
def test_an_address_that_is_none_is_refused_at_once(url):
    with pytest.raises(ValueError, match="must begin with http"):
        WebhookNotifier(url)


async def test_credentials_in_the_address_are_not_shown():
    notifier = WebhookNotifier("http://user:hunter2@127.0.0.1:9/x?token=hunter2", attempts=1)
    with pytest.raises(Refused) as raised:
        await notifier.notify(hook_event())
    await notifier.close()
    assert "hunter2" not in str(raised.value)


async def test_a_composite_joins_the_errors_and_tells_the_others():
    class Raising:
        def __init__(self, error):
            self.error = error

        async def notify(self, event):
            raise self.error

        async def close(self):
            raise self.error

    class Keeping:
        def __init__(self):
            self.arrived = []
            self.closed = False

        async def notify(self, event):
            self.arrived.append(event.event_id)

        async def close(self):
            self.closed = True

    good = Keeping()
    both = CompositeNotifier(Raising(OSError("one")), good, Raising(ValueError("two")))
    with pytest.raises(ExceptionGroup, match="not delivered everywhere") as raised:
        await both.notify(hook_event())
    assert [type(error) for error in raised.value.exceptions] == [OSError, ValueError]
    assert good.arrived == ["run-1/1"]
    with pytest.raises(ExceptionGroup):
        await both.close()
    assert good.closed
