"""Letters: events for a run that another engine decides for, and those that others send for ours.

In: requests. Out: messages in the run's inbox, and what became of them; from our own inboxes, events like any
others, consumed by the commit of what follows from them. Never: a letter decided twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from .. import errors
from ..errors import (
    CommitUnknown,
    EngineBug,
    NotFound,
    Problem,
    ProblemError,
    StoreError,
    StoreUnavailable,
)
from ..plan import Event
from ..ports import Claim, Clock, Consumed, Message, Posted, Store
from .faults import Faults
from .live import Request
from .membership import Membership

_PAGE = 256
_SECOND = 1_000_000
"""Microseconds after which the sender of a letter looks for an answer although nobody told it of one."""

INBOX, ANSWER = "i", "a"
"""What words of the store's hints begin with: a session has mail, a letter has its answer."""

_KINDS: dict[str, type] = {kind.__name__: kind for kind in Event.__args__}
_encode = msgspec.msgpack.Encoder().encode
_decode_event = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw]).decode
_decode_refusal = msgspec.msgpack.Decoder(tuple[str, list[Problem]]).decode


def encode_event(event: Event) -> bytes:
    return _encode((type(event).__name__, event))


def decode_event(body: bytes) -> Event:
    """Raises ValueError for what no engine of this version sends."""
    name, raw = _decode_event(body)
    if name not in _KINDS:
        raise ValueError(f"there is no event '{name}'")
    event: Event = msgspec.msgpack.decode(raw, type=_KINDS[name])
    return event


def encode_refusal(error: ProblemError) -> bytes:
    return _encode((type(error).__name__, error.problems))


def decode_refusal(answer: bytes) -> ProblemError:
    name, problems = _decode_refusal(answer)
    kind = getattr(errors, name, ProblemError)
    known = isinstance(kind, type) and issubclass(kind, ProblemError)
    return kind(problems) if known else ProblemError(problems)


class Letter(Request):
    """An event out of an inbox. The answer goes into the commit; `done` and `refused` only tell that it
    is no longer here."""

    __slots__ = ("_gone", "key")

    def __init__(self, event: Event, key: str, gone: Callable[[bool], None]) -> None:
        super().__init__(event)
        self.key = key
        self._gone = gone

    def done(self) -> None:
        self._gone(True)

    def refused(self, error: BaseException) -> None:
        self._gone(False)

    def leave(self) -> None:
        """It stays in its inbox, if it is there still."""
        self._gone(False)


def consumed(item: Event | Request, answer: bytes = b"") -> tuple[Consumed, ...]:
    return (Consumed(item.key, answer),) if isinstance(item, Letter) else ()


class Letters:
    """`deliver` hands a letter to its run; `decide_here` a request whose run nobody else has any more;
    `take_up` a run that turned out to be nobody's."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        faults: Faults,
        membership: Membership,
        deliver: Callable[[str, Letter], None],
        decide_here: Callable[[str, Request], None],
        take_up: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._faults = faults
        self._membership = membership
        self._deliver = deliver
        self._decide_here = decide_here
        self._take_up = take_up
        self._read: set[tuple[str, str]] = set()  # letters that are being decided here
        self._full = False  # the last page of the inbox: more may wait
        self._wanted = True  # somebody said that there is mail
        self._sending: dict[asyncio.Task[None], Request | None] = {}
        self._answered: dict[str, asyncio.Event] = {}
        self._count = 0
        self.wake: Callable[[], None] = lambda: None

    async def stop(self, error: Exception) -> None:
        sending = dict(self._sending)
        for task in sending:
            task.cancel()
        if sending:
            await asyncio.wait(sending)
        for request in sending.values():
            if request is not None:
                request.refused(error)

    # Ours

    def look_soon(self) -> None:
        self._wanted = True
        self.wake()

    async def look(self, always: bool) -> None:
        """Hand out what waits in the inboxes of our runs."""
        if not (always or self._wanted):
            return
        self._wanted = False
        messages = await self._store.inbox(self._membership.number, _PAGE)
        self._full = len(messages) == _PAGE
        for message in messages:
            place = message.run_id, message.key
            if place not in self._read:
                self._hand_out(message, place)

    def _hand_out(self, message: Message, place: tuple[str, str]) -> None:
        try:
            event = decode_event(message.body)
        except (ValueError, msgspec.DecodeError) as error:
            what = f"a message for run {message.run_id} cannot be read: {error}"
            then = "it waits for an engine that can: is another one of a newer version?"
            self._faults.report("read the inbox", what, then=then, run_id=message.run_id)
            return
        self._read.add(place)

        def gone(answered: bool) -> None:
            self._read.discard(place)
            if answered:
                self._store.tell([ANSWER + message.key])
            if self._full or not answered:
                self.look_soon()

        self._deliver(message.run_id, Letter(event, message.key, gone))

    # Those of others

    def hear_answer(self, key: str) -> None:
        if key in self._answered:
            self._answered[key].set()

    def send(self, run_id: str, holder: int, request: Request) -> None:
        """Have the engine that holds the run decide, and tell whoever made the request what it said."""
        self._count += 1
        key = f"{self._membership.number}:{self._count}"
        self._start(self._message(run_id, key, request.event), holder, request)

    def forward(self, run_id: str, key: str, holder: int, event: Event) -> None:
        """Likewise, where nobody waits for an answer."""
        self._start(self._message(run_id, key, event), holder, None)

    def _message(self, run_id: str, key: str, event: Event) -> Message:
        body = encode_event(event)
        return Message(run_id=run_id, key=key, body=body, at=self._clock.now())

    def _start(self, message: Message, holder: int, request: Request | None) -> None:
        task = asyncio.create_task(
            self._send(message, holder, request), name=f"aether: a letter to {message.run_id}"
        )
        self._sending[task] = request
        task.add_done_callback(lambda done: self._sending.pop(done, None))

    async def _send(self, message: Message, holder: int, request: Request | None) -> None:
        try:
            if await self._posted(message) and request is not None:
                self._store.tell([INBOX + str(holder)])
                await self._wait(message, request)
            elif request is not None:
                self._decide_here(message.run_id, request)
        except ProblemError as error:
            if request is not None:
                request.refused(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits is told
            what = f"a message for run {message.run_id} could not be sent: {error}"
            self._faults.report("send a message", what, error, run_id=message.run_id)
            if request is not None:
                request.refused(EngineBug(what))

    async def _posted(self, message: Message) -> bool:
        """False: the run is over. Raises NotFound."""
        while True:
            try:
                [answer] = await self._store.post([message])
            except (StoreUnavailable, CommitUnknown):  # its key makes it safe to ask again
                await self._membership.nap(_SECOND)
                continue
            if answer is Posted.UNKNOWN:
                raise _unknown(message.run_id)
            return answer is Posted.ACCEPTED

    async def _wait(self, message: Message, request: Request) -> None:
        heard = self._answered[message.key] = asyncio.Event()
        try:
            while True:
                heard.clear()
                try:
                    if await self._is_answered(message, request):
                        return
                except StoreError:
                    pass  # it is asked again
                await self._hear(heard)
        finally:
            del self._answered[message.key]

    async def _hear(self, heard: asyncio.Event) -> None:
        handle = self._clock.call_in(_SECOND, heard.set)
        try:
            await heard.wait()
        finally:
            handle.cancel()

    async def _is_answered(self, message: Message, request: Request) -> bool:
        run_id = message.run_id
        if self._tell(request, await self._told(message)):
            return True
        [claim] = await self._store.claim([run_id], self._membership.number)
        if claim is Claim.UNKNOWN:
            raise _unknown(run_id)
        if claim is Claim.OVER:
            if not self._tell(request, await self._told(message)):
                self._decide_here(run_id, request)
            return True
        if claim in (Claim.TAKEN, Claim.MINE):  # its engine has died: now we read the letter
            self._take_up(run_id)
            self.look_soon()
        elif claim is Claim.LOST:
            await self._membership.confirm()
        return False

    async def _told(self, message: Message) -> bytes | None:
        return (await self._store.answers(message.run_id, [message.key]))[0]

    def _tell(self, request: Request, answer: bytes | None) -> bool:
        if answer is None:
            return False
        if answer:
            request.refused(decode_refusal(answer))
        else:
            request.done()
        return True


def _unknown(run_id: str) -> NotFound:
    return NotFound(
        Problem("run-not-found", f"there is no run '{run_id}'", fix="list the runs to find its id")
    )
