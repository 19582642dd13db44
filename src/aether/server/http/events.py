"""Server-sent events: what changes, of one run, of a filter, or of everything.

Each event has an id, `<epoch>-<number>`; a client that comes back with the last one it saw gets what followed.
Where that is gone (the server was started anew, or too much has happened) it gets one event `resync` and looks
at the runs themselves. A reader sets its own pace: what it has not read is not kept for it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import msgspec

from ...errors import NotFound, Problem
from ..feed import Event
from .filters import RunFilter, matcher
from .messages import Rejected, Request, Stream
from .services import Services
from .views import summary

_HEADERS = {
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # a proxy that gathers them makes them late
}
_BEGIN = b"retry: 1000\n\n"
_RESYNC = b"event: resync\ndata: {}\n"
GONE = -1


async def all_events(services: Services, request: Request) -> Stream:
    filters: RunFilter = request.query
    wanted = matcher(filters, request.who)
    place = _place(services, request)
    return _stream(services, _follow(services, wanted, place))


async def run_events(services: Services, request: Request) -> Stream:
    """One run: as it stands, unless the caller has seen that, then each change; ends behind its last."""
    run_id = request.names["run"]
    await services.control.header(run_id)  # an unknown run is an error, not silence
    seen = request.headers.get("last-event-id", "")
    seq = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 19 else -1
    wanted = matcher(RunFilter(), request.who, run_id)
    return _stream(services, _of_run(services, run_id, seq, wanted))


async def _follow(
    services: Services, wanted: Callable[[Event], bool], place: int | None
) -> AsyncGenerator[bytes, None]:
    feed = services.feed
    yield _BEGIN
    if place is None:
        place = feed.head
        yield _mark(services, place)
    elif place == GONE:
        place = feed.head
        yield _RESYNC + _mark(services, place)
    while (batch := await feed.after(place, wanted)) is not None:
        place = batch.upto
        if batch.missed:
            yield _RESYNC + _mark(services, place)
        elif batch.events:
            yield b"".join(_line(services, event) for event in batch.events)
        else:
            yield b":\n" + _mark(services, place)


async def _of_run(
    services: Services, run_id: str, seq: int, wanted: Callable[[Event], bool]
) -> AsyncGenerator[bytes, None]:
    """The ids are the numbers of the run's decisions. Another engine may decide for it: when nothing was
    heard of it for a while, its row is looked at."""
    feed = services.feed
    yield _BEGIN
    while True:
        place = feed.head
        try:
            row = await services.control.header(run_id)
        except NotFound:
            return  # it was deleted
        if row.seq != seq:
            seq = row.seq
            yield (
                b"event: run\ndata: "
                + msgspec.json.encode(summary(row))
                + f"\nid: {seq}\n\n".encode()
            )
        else:
            yield b":\n\n"
        if row.phase.is_terminal:
            return
        while True:
            batch = await feed.after(place, wanted)
            if batch is None:
                return
            quiet = batch.upto == place
            place = batch.upto
            if batch.events or batch.missed or quiet:
                break


def _line(services: Services, event: Event) -> bytes:
    return b"event: run\ndata: " + event.encoded() + b"\n" + _mark(services, event.number)


def _mark(services: Services, place: int) -> bytes:
    return f"id: {services.epoch}-{place}\n\n".encode()


def _place(services: Services, request: Request) -> int | None:
    """Where to go on; GONE for a place that is no more, None without one."""
    text = request.headers.get("last-event-id", "")
    if not text:
        return None
    epoch, _, number = text.rpartition("-")
    if epoch != services.epoch or not number.isascii() or not number.isdigit() or len(number) > 18:
        return GONE
    return int(number)


def _stream(services: Services, parts: AsyncGenerator[bytes, None]) -> Stream:
    if services.draining.is_set():
        raise Rejected(503, Problem("draining", "the server is about to end"), {"retry-after": "5"})
    if services.streams >= services.limits.streams:
        raise Rejected(
            503,
            Problem(
                "too-many-streams",
                f"{services.streams} streams are open, and more are not allowed",
                fix="close some, or come again",
            ),
            {"retry-after": "5"},
        )
    return Stream(parts=parts, headers=_HEADERS)
