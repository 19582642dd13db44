"""Calls about a run from outside of every engine: the engine that owns it carries them out.

In: an open store. Out: what the owner said, if it said so in time. Never: a decision.
"""

from __future__ import annotations

import asyncio

from ..errors import InvalidState, NotFound, Problem
from ..plan import Event
from ..ports import Clock, Message, Posted, Store
from .letters import INBOX, decode_refusal, encode_event

_LOOK = 100_000
"""Microseconds between two looks for the answer: whoever waits here is a person at a terminal."""


async def ask(
    store: Store, clock: Clock, run_id: str, event: Event, key: str, timeout: int
) -> bool:
    """Leave `event` for the engine that owns the run, and wait for its answer for `timeout` microseconds.
    False: none came yet; the engine finds the call when it runs. `key` makes one call of many tries.

    Raises NotFound, InvalidState `run-over`, and whatever the owner refuses the call with.
    """
    message = Message(run_id=run_id, key=key, body=encode_event(event), at=clock.now())
    [posted] = await store.post([message])
    if posted is Posted.UNKNOWN:
        raise NotFound(
            Problem(
                "run-not-found", f"there is no run '{run_id}'", fix="list the runs to find its id"
            )
        )
    if posted is Posted.OVER:
        raise InvalidState(
            Problem(
                "run-over",
                f"run {run_id} is over",
                fix="only a run that is not over can be changed",
            )
        )
    row = await store.run(run_id)
    if row is not None:
        store.tell([INBOX + str(row.held_by)])
    waited = 0
    while True:
        [answer] = await store.answers(run_id, [key])
        if answer:
            raise decode_refusal(answer)
        if answer is not None:
            return True
        if waited >= timeout:
            return False
        await _nap(clock, _LOOK)
        waited += _LOOK


async def _nap(clock: Clock, span: int) -> None:
    woken = asyncio.Event()
    handle = clock.call_in(span, woken.set)
    try:
        await woken.wait()
    finally:
        handle.cancel()
