"""Sessions, inboxes and hints that last as long as the process: for stores that live in memory.

In: renewals, messages. Out: who stands, what waits. Never: I/O. Without a clock, time is the latest instant
that any session has told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from ..ports import Consumed, Message, Session, SessionAnswer
from ..record import Instant

Heard = Callable[[Sequence[str]], None]


class _Held(msgspec.Struct):
    ends_at: Instant


class Sessions:
    """`number` gives each session its number."""

    def __init__(
        self, number: Callable[[], int], shared: bool, time: Callable[[], Instant] | None = None
    ) -> None:
        self._number = number
        self._shared = shared
        self._held: dict[int, _Held] = {}
        self._time = time
        self._now: Instant = 0

    def _look_at_time(self, told: Instant = 0) -> None:
        """It never goes back."""
        self._now = max(self._now, told if self._time is None else self._time())

    def renew(self, session: Session) -> SessionAnswer:
        self._look_at_time(session.at)
        number = session.number
        if not number:
            number = self._number()
            if not self._shared:
                self._held.clear()
            self._held[number] = _Held(0)
        held = self._held.get(number)
        if held is None:
            return SessionAnswer(number, self._now, stands=False)
        held.ends_at = self._now + session.lease
        return SessionAnswer(number, self._now)

    def end(self, number: int) -> None:
        self._held.pop(number, None)

    def end_others(self, session: int) -> bool:
        """End every other session whose lease has passed. Whether `session` itself stands."""
        self._look_at_time()
        over = [
            number
            for number, held in self._held.items()
            if number != session and held.ends_at <= self._now
        ]
        for number in over:
            del self._held[number]
        return session in self._held

    def stands(self, number: int) -> bool:
        return number in self._held


class _Letter:
    __slots__ = ("answer", "message")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.answer: bytes | None = None


class Inboxes:
    """Messages by run, and those that wait in the order in which they came."""

    def __init__(self) -> None:
        self._runs: dict[str, dict[str, _Letter]] = {}
        self._waiting: dict[tuple[str, str], Message] = {}

    def has(self, message: Message) -> bool:
        return message.key in self._runs.get(message.run_id, ())

    def add(self, message: Message) -> None:
        self._runs.setdefault(message.run_id, {})[message.key] = _Letter(message)
        self._waiting[message.run_id, message.key] = message

    def waiting(self) -> Iterable[Message]:
        return self._waiting.values()

    def all_wait(self, run_id: str, consumed: Sequence[Consumed]) -> bool:
        keys = {each.key for each in consumed}
        return len(keys) == len(consumed) and all((run_id, key) in self._waiting for key in keys)

    def consume(self, run_id: str, consumed: Sequence[Consumed]) -> None:
        for each in consumed:
            del self._waiting[run_id, each.key]
            self._runs[run_id][each.key].answer = each.answer

    def answers(self, run_id: str, keys: Sequence[str]) -> list[bytes | None]:
        letters = self._runs.get(run_id, {})
        return [letters[key].answer if key in letters else None for key in keys]

    def delete(self, run_id: str) -> None:
        for key in self._runs.pop(run_id, ()):
            self._waiting.pop((run_id, key), None)


class Hints:
    """Words for those who listen in this process."""

    def __init__(self) -> None:
        self._heard: list[Heard] = []

    def tell(self, words: Sequence[str]) -> None:
        for heard in tuple(self._heard):
            heard(words)

    def listen(self, heard: Heard) -> Callable[[], None]:
        self._heard.append(heard)

        def stop() -> None:
            if heard in self._heard:
                self._heard.remove(heard)

        return stop
