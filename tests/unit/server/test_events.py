"""Live events: of one run, of a filter, of everything; resumed, and never paid for by others."""

from __future__ import annotations

import asyncio
from pathlib import Path

from http_world import ECHO, WAITS, World, world

from aether.server.feed import Feed
from aether.testing import FakeClock


async def test_the_stream_of_a_run_begins_with_it_and_ends_behind_its_last_change(
    there: World,
) -> None:
    run_id, task = await there.suspended()
    async with there.ask.stream(f"/runs/{run_id}/events") as listening:
        kind, seen, data = await listening.event()
        assert (kind, data["status"], seen) == ("run", "Running", str(data["seq"]))
        await there.ask("POST", f"/runs/{run_id}/resume", {"taskRunId": task})
        while data["status"] != "Succeeded":
            _, seen, data = await listening.event()
        await asyncio.wait_for(listening.ended.wait(), 10)
    async with there.ask.stream(f"/runs/{run_id}/events", {"last-event-id": seen}) as again:
        await asyncio.wait_for(again.ended.wait(), 10)  # it has seen all there is


async def test_a_stream_of_a_run_that_is_not_there_is_an_error(there: World) -> None:
    assert (await there.ask("GET", "/runs/none/events")).status == 404


async def test_a_stream_of_a_run_ends_when_the_run_is_deleted(there: World) -> None:
    run_id, _ = await there.suspended()
    async with there.ask.stream(f"/runs/{run_id}/events") as listening:
        await listening.event()
        await there.ask("POST", f"/runs/{run_id}/cancel", {})
        await there.ask("DELETE", f"/runs/{run_id}")
        await asyncio.wait_for(listening.ended.wait(), 10)


async def test_everything_is_followed_and_a_filter_lets_through_what_fits(there: World) -> None:
    async with there.ask.stream("/events") as every, there.ask.stream("/events?name=hello") as some:
        await every.parts.get()
        await some.parts.get()
        await there.submitted(WAITS)
        run_id = await there.submitted(ECHO)
        kind, _, data = await some.event()
        assert (kind, data["runId"], data["name"]) == ("run", run_id, "hello")
        names: set[str] = set()
        while names != {"hello", "approval"}:
            names.add((await every.event())[2]["name"])


async def test_a_client_that_comes_back_gets_what_followed(there: World) -> None:
    async with there.ask.stream("/events") as listening:
        await listening.parts.get()
        await there.submitted()
        _, seen, _ = await listening.event()
    missed = await there.submitted(WAITS)
    async with there.ask.stream("/events?name=approval", {"last-event-id": seen}) as listening:
        assert (await listening.event())[2]["runId"] == missed


async def test_a_client_of_a_server_that_was_started_anew_is_told_to_look(there: World) -> None:
    async with there.ask.stream("/events", {"last-event-id": "e0-12"}) as listening:
        assert (await listening.event())[0] == "resync"
        run_id = await there.submitted()
        assert (await listening.event())[2]["runId"] == run_id


async def test_a_client_that_is_too_far_behind_is_told_to_look(tmp_path: Path) -> None:
    async with world(tmp_path, kept=4) as there:
        for _ in range(6):
            run_id = await there.submitted()
            await there.ask("GET", f"/runs/{run_id}/result?wait=30s")
        async with there.ask.stream("/events", {"last-event-id": "e1-1"}) as listening:
            assert (await listening.event())[0] == "resync"


async def test_readers_that_never_read_cost_nothing_and_delay_nobody(there: World) -> None:
    stuck = asyncio.Event()
    async with there.ask.stream("/events") as reader:
        await reader.parts.get()
        idle = [there.ask.stream("/events") for _ in range(50)]
        listenings = [await each.__aenter__() for each in idle]
        for listening in listenings:
            await listening.parts.get()
            listening.stuck = stuck
        for _ in range(200):
            await there.submitted()
        seen: set[str] = set()
        while len(seen) < 200:
            seen.add((await reader.event())[2]["runId"])
        assert all(listening.parts.qsize() <= 1 for listening in listenings)
        stuck.set()
        for each in idle:
            await each.__aexit__(None, None, None)
    assert there.services.streams == 0


async def test_more_streams_than_allowed_are_refused(there: World) -> None:
    there.services.streams = there.services.limits.streams
    reply = await there.ask("GET", "/events")
    assert (reply.status, reply.json["code"]) == (503, "too-many-streams")
    there.services.streams = 0


async def test_streams_end_when_the_server_does(there: World) -> None:
    async with there.ask.stream("/events") as listening:
        await listening.parts.get()
        there.services.draining.set()
        there.services.feed.close()
        await asyncio.wait_for(listening.ended.wait(), 10)
    assert (await there.ask("GET", "/events")).status == 503


async def test_a_silent_stream_says_that_it_lives() -> None:
    clock = FakeClock()
    feed = Feed(clock)
    waiting = asyncio.ensure_future(feed.after(0, lambda _: True))
    await clock.settle()
    await clock.advance(to=clock.now() + 15_000_000)
    batch = await waiting
    assert batch is not None
    assert (batch.events, batch.missed) == ([], False)
