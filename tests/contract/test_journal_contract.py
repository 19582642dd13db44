"""The engine over its stores keeps what a Journal promises, and so does the fake of the functions' tests."""

import asyncio
from datetime import timedelta

import pytest

from aether.adapters.errors import CollectingSink
from aether.adapters.ids import CounterIds
from aether.adapters.store.memory import MemoryStore
from aether.adapters.store.sqlite import SqliteStore
from aether.adapters.timeouts import HeapTimeoutWatcher
from aether.engine import Engine
from aether.ports import FunctionStart
from aether.testing import FakeClock, JournalContract, rejects
from aether.testing.flow_fakes import MemoryJournal
from unit.engine.engine_world import HandBroker


class EngineWorld:
    """An engine, and a test that plays the worker."""

    def __init__(self, store):
        self.clock = FakeClock()
        self.store = store
        self.engine = None

    async def start(self):
        self.broker = HandBroker()
        self.engine = Engine(
            store=self.store,
            broker=self.broker,
            id_generator=CounterIds(),
            clock=self.clock,
            timeout_watcher=HeapTimeoutWatcher(self.clock),
            error_sink=CollectingSink(),
        )
        await self.engine.start()
        await self.advance(0)

    async def stop(self):
        await self.engine.stop()
        await self.store.close()

    @property
    def journal(self):
        return self.engine.journal

    def now(self):
        return self.clock.now()

    async def begin(self, run_id):
        await self.engine.start_function(FunctionStart(name="f", version="1", run_id=run_id))
        await self.advance(0)
        return self.fence(run_id)

    def fence(self, run_id):
        return self.broker.named("f").fence

    async def signal(self, run_id, name, payload):
        await self.engine.signal(run_id, name, payload)
        await self.advance(0)

    async def update(self, run_id, name, payload):
        from aether.plan import UpdateRequested

        await self.engine._runs.request(run_id, UpdateRequested(name, payload, self.now()))
        await self.advance(0)

    async def cancel(self, run_id):
        # One that no worker ever began would end at once.
        self.broker.start(self.broker.named("f"))
        await self.engine.cancel(run_id)
        await self.advance(0)

    async def take_over(self, run_id):
        from aether.plan import RunTakenOver

        await self.engine._runs.request(run_id, RunTakenOver(self.now()))
        await self.advance(0)

    async def advance(self, seconds):
        await self.clock.advance(timedelta(seconds=seconds))
        while any(live.busy or live.queued for live in self.engine._runs._live.values()):
            await asyncio.sleep(0.0005)  # the disk is real
            await self.clock.settle()


class TestEngineOverMemory(JournalContract):
    async def make(self):
        world = EngineWorld(MemoryStore())
        await world.start()
        self.defer(world.stop)
        return world


class TestEngineOverSqlite(JournalContract):
    async def make(self):
        world = EngineWorld(SqliteStore(self.folder() / "a.db"))
        await world.start()
        self.defer(world.stop)
        return world


class FakeWorld:
    def __init__(self, kind):
        self.clock = FakeClock()
        self.fences = {}
        self.journal = kind(self.clock, self.fences.__setitem__)

    def now(self):
        return self.clock.now()

    async def begin(self, run_id):
        self.journal.begin(run_id, "f")
        return self.fence(run_id)

    def fence(self, run_id):
        return self.fences[run_id]

    async def signal(self, run_id, name, payload):
        self.journal.signal(run_id, name, payload)

    async def update(self, run_id, name, payload):
        self.journal.update(run_id, name, payload)

    async def cancel(self, run_id):
        self.journal.cancel(run_id)

    async def take_over(self, run_id):
        self.journal.take_over(run_id)

    async def advance(self, seconds):
        await self.clock.advance(timedelta(seconds=seconds))


class TestMemoryJournal(JournalContract):
    async def make(self):
        return FakeWorld(MemoryJournal)


class SharingJournal(MemoryJournal):
    async def rows(self, run_id):
        return self.book(run_id).rows


class OpenJournal(MemoryJournal):
    """Takes facts from whoever brings them."""

    def _serves(self, book, fence):
        return True


class ForgetfulJournal(MemoryJournal):
    """A signal that nobody waits for is lost."""

    def _take_early(self, book, wait):
        """There is none."""


class SleepyJournal(MemoryJournal):
    def _redeliver(self, book):
        """Nobody is told."""


@pytest.mark.parametrize(
    ("broken", "by"),
    [
        (SharingJournal, "test_rows_handed_out_are_copies"),
        (OpenJournal, "test_nothing_of_a_delivery_that_is_over_is_recorded"),
        (ForgetfulJournal, "test_signals_are_kept_and_matched_in_order"),
        (SleepyJournal, "test_a_parked_run_is_handed_out_again_for_an_answer"),
    ],
)
def test_the_suite_rejects(broken, by):
    rejects(JournalContract, lambda: FakeWorld(broken), by=by)
