"""What a store does for several engines: sessions, ownership, inboxes, hints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from ..record import Instant, Token


class DueRun(msgspec.Struct, frozen=True, gc=False):
    run_id: str
    due_at: Instant | None
    owner: int = 0  # the session that holds it


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One engine's hold on its runs. `number` 0 asks for a new one. `at` is the engine's own time, for
    stores that have no clock."""

    lease: int  # microseconds
    number: int = 0
    name: str = ""  # who it is, for people
    at: Instant = 0


class SessionAnswer(msgspec.Struct, frozen=True, gc=False):
    """`stands` False: the session is over, for good. `now` is the store's time."""

    number: int
    now: Instant
    stands: bool = True


class Claim(StrEnum):
    """What became of a claim on a run."""

    TAKEN = "taken"  # it is the session's now, and was not before
    MINE = "mine"  # it was the session's already
    HELD = "held"  # its session stands
    OVER = "over"  # nobody need decide for it any more
    UNKNOWN = "unknown"  # there is no such run
    LOST = "lost"  # the claiming session is over itself


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something for the owner of a run. `body` is opaque to a store; `key` is unique in its run."""

    run_id: str
    key: str
    body: bytes
    at: Instant = 0


class Consumed(msgspec.Struct, frozen=True, gc=False):
    """A message that a commit deals with, and what its sender is to be told."""

    key: str
    answer: bytes = b""


class Posted(StrEnum):
    ACCEPTED = "accepted"
    OVER = "over"  # nobody will look at it: the run is over
    UNKNOWN = "unknown"  # there is no such run


class Cluster(Protocol):
    """The part of a Store by which engines share it. All calls but `tell` and `listen` raise what
    `commit` raises when the store fails; a claim or a post that is unknown may be made again.

    Sessions. `session` with number 0 takes a new session, whose number no other session of this store
    ever had; with a number it renews that one for `lease` microseconds of the store's clock. The answer
    says whether it stands: one that is over stays over. A session is over when `end_session` was called
    for it, whoever calls; when another session asked for `orphans` or claimed after its lease had
    passed; and, in a store that is not `shared`, as soon as a new one is taken: one engine owns such a
    store. So a session whose lease has passed unnoticed may still be renewed, and nobody ends its own.

    Ownership. A new run belongs to the session in its row's `owner`, 0 for none; a patch that sets
    `owner` changes that. `claim` gives runs to a session, each on its own: those that are unfinished
    and whose session is over, or that have none. A run that is TAKEN has a new token, and `claimed` in
    its row until a patch sets `owner`; nothing else of it has changed. A session that is over claims
    nothing: LOST for each run. `orphans` lists the unfinished runs that `session` could claim, by (the
    session that held them, run id), behind `after`, at most `limit`; those of sessions that stand cost
    nothing. `tokens` answers the token of each run, None where there is none.

    Inboxes. `post` adds messages for runs, all or none, in order, and answers for each. A message whose
    run has one of that key already is not added, and ACCEPTED, even if that one was answered. One for a
    run that is over (not `unfinished`) and has no message of that key is not added either. `inbox`
    lists the messages that wait, of runs that `session` holds, oldest first, at most `limit`. Who
    commits names in `Commit.consumed` the messages that this decision deals with: they wait no longer,
    in the same commit. If one of them does not wait, the commit is a Conflict. `answers` gives what the
    senders of messages of one run are to be told, None for those that wait or are unknown. Messages
    with their answers are deleted with their run.

    Hints. `tell` passes words on to everybody who listens on this store, itself included, and never
    fails or waits: what is told may be lost, come late, twice, or joined with other words. `listen`
    calls `heard` with them, in the loop's thread, until the function it returns is called. `poll` is
    after how many microseconds to look at inboxes all the same; 0: nobody outside this process can post.
    """

    @property
    def shared(self) -> bool:
        """Whether several engines may use this store at once."""

    @property
    def poll(self) -> int: ...

    async def session(self, session: Session) -> SessionAnswer: ...

    async def end_session(self, number: int) -> None: ...

    async def claim(self, run_ids: Sequence[str], session: int) -> Sequence[Claim]: ...

    async def orphans(
        self, session: int, after: DueRun | None = None, limit: int = 256
    ) -> Sequence[DueRun]: ...

    async def tokens(self, run_ids: Sequence[str]) -> Sequence[Token | None]: ...

    async def post(self, messages: Sequence[Message]) -> Sequence[Posted]: ...

    async def inbox(self, session: int, limit: int = 256) -> Sequence[Message]: ...

    async def answers(self, run_id: str, keys: Sequence[str]) -> Sequence[bytes | None]: ...

    def tell(self, words: Sequence[str]) -> None: ...

    async def listen(self, heard: Callable[[Sequence[str]], None]) -> Callable[[], None]: ...
