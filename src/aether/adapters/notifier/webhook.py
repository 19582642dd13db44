"""Hooks as signed HTTP requests.

In: an event. Out: one POST that was answered with 2xx, or an error. Never: a redirect followed, an
answer's body read, more than `concurrency` requests under way.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ...errors import InvalidState, Problem, Refused
from ...ports import Clock, ErrorSink, Fault, HookEvent
from ..clock import SystemClock
from ..signature import SIGNATURE_HEADER, sign

AGAIN = frozenset({408, 425, 429})


class WebhookNotifier:
    """POSTs each event as JSON to `url`. Needs the extra `http`.

    Headers: `Aether-Event` is the event's id, the same at every delivery: receivers drop repeats by it.
    With a `secret`, `Aether-Signature` proves the sender; see `verify_signature`. Anything but 2xx is a
    failure. Answers 5xx, 408, 425 and 429, and connections that fail or take longer than `timeout`, are
    tried again, `attempts` times in all, waiting `backoff`, then twice as long each time, `longest_wait`
    at most. Other answers, redirects among them, will not change and are not tried again. Giving up is
    one Fault to `errors`, and Refused `webhook-failed`.
    """

    def __init__(
        self,
        url: str,
        *,
        secret: str | bytes = b"",
        attempts: int = 5,
        backoff: timedelta = timedelta(seconds=1),
        longest_wait: timedelta = timedelta(minutes=1),
        timeout: timedelta = timedelta(seconds=10),
        concurrency: int = 16,
        clock: Clock | None = None,
        errors: ErrorSink | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url {url!r} must begin with http:// or https:// and name a host")
        if attempts < 1 or concurrency < 1:
            raise ValueError("attempts and concurrency count from 1")
        self._url = url
        self._shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self._secret = secret
        self._attempts = attempts
        self._backoff = backoff
        self._longest_wait = longest_wait
        self._timeout = timeout.total_seconds()
        self._clock = clock or SystemClock()
        self._errors = errors
        self._turns = asyncio.Semaphore(concurrency)
        self._session: Any = None
        self._running: set[asyncio.Task[None]] = set()
        self._closed = False

    async def notify(self, event: HookEvent) -> None:
        if self._closed:
            raise self._is_closed()
        task = asyncio.create_task(self._deliver(event), name=f"webhook {event.event_id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if self._closed and not (current and current.cancelling()):
                raise self._is_closed() from None
            raise

    async def close(self) -> None:
        self._closed = True
        for task in list(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(list(self._running))
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _deliver(self, event: HookEvent) -> None:
        body = msgspec.json.encode(event)
        wait = self._backoff
        failure = ""
        for attempt in range(1, self._attempts + 1):
            async with self._turns:
                failure, again = await self._post(event, body)
            if not failure:
                return
            if not again or attempt == self._attempts:
                break
            await self._pause(min(wait, self._longest_wait))
            wait *= 2
        raise self._give_up(event, failure, attempt)

    async def _post(self, event: HookEvent, body: bytes) -> tuple[str, bool]:
        """What went wrong, "" if nothing did, and whether it may go better next time."""
        aiohttp = _aiohttp()
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        headers = {"Content-Type": "application/json", "Aether-Event": event.event_id}
        if self._secret:
            headers[SIGNATURE_HEADER] = sign(self._secret, body, self._clock.now())
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                if 200 <= answer.status < 300:
                    return "", False
                answer.close()  # its body is of no interest, however long
                return (
                    f"it answered with {answer.status}",
                    answer.status >= 500 or answer.status in AGAIN,
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            return f"no answer: {type(exc).__name__}", True
        except ValueError as exc:  # a header or address that HTTP cannot carry
            return f"it cannot be sent: {exc}", False

    async def _pause(self, span: timedelta) -> None:
        over = asyncio.Event()
        handle = self._clock.call_in(span // timedelta(microseconds=1), over.set)
        try:
            await over.wait()
        finally:
            handle.cancel()

    def _give_up(self, event: HookEvent, failure: str, attempts: int) -> Refused:
        what = f"{self._shown} was told {attempts} times: {failure}"
        if self._errors is not None:
            fault = Fault(
                operation=f"deliver the hook {event.hook}",
                what=what,
                next="this event is given up; the run goes on",
                run_id=event.run_id,
                task_run_id=event.task_run_id,
            )
            with suppress(Exception):  # whatever a sink raises is dropped
                self._errors.on_error(fault)
        return Refused(
            Problem(
                "webhook-failed",
                f"the hook {event.hook} was not delivered: {what}",
                fix="check the receiver, and that it answers with 2xx",
            )
        )

    def _is_closed(self) -> Refused:
        return Refused(
            Problem(
                "notifier-closed", f"the notifier of {self._shown} is closed", fix="make another"
            )
        )


def _aiohttp() -> Any:
    try:
        import aiohttp
    except ImportError as exc:
        raise InvalidState(
            Problem(
                "extra-missing",
                "webhooks need the package aiohttp",
                fix="pip install 'aether-workflows[http]'",
            )
        ) from exc
    return aiohttp
