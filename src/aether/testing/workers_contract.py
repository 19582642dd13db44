"""What every WorkerRegistry promises."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ..errors import NotFound
from ..ports import WorkerInfo, WorkerRegistry
from .clock import FakeClock
from .suites import ContractSuite

TTL = timedelta(seconds=30)
BEYOND = TTL + timedelta(microseconds=1)


def _worker(name: str, *types: str) -> WorkerInfo:
    return WorkerInfo(worker_id=name, executor_types=types, slots=4, tags={"zone": "a"})


class WorkerRegistryContract(ContractSuite):
    """`make` returns an empty registry over this clock, in which a worker lives for `ttl`."""

    async def make(self, clock: FakeClock, ttl: timedelta) -> WorkerRegistry:
        raise NotImplementedError

    async def _names(self, registry: WorkerRegistry, executor_type: str = "") -> list[str]:
        return [info.worker_id for info in await registry.list(executor_type)]

    async def test_a_registered_worker_is_found_with_both_instants_stamped(self) -> None:
        clock = FakeClock()
        registry = await self.make(clock, TTL)
        await registry.register(_worker("w1", "shell"))
        found = await registry.get("w1")
        assert found is not None
        assert (found.worker_id, found.executor_types, found.slots) == ("w1", ("shell",), 4)
        assert dict(found.tags) == {"zone": "a"}
        assert (found.registered_at, found.heartbeat_at) == (clock.now(), clock.now())

    async def test_registering_again_replaces(self) -> None:
        clock = FakeClock()
        registry = await self.make(clock, TTL)
        await registry.register(_worker("w1", "shell"))
        await registry.register(_worker("w2", "shell"))
        await clock.advance(timedelta(seconds=5))
        await registry.register(_worker("w1", "http"))
        found = await registry.get("w1")
        assert found is not None
        assert (found.executor_types, found.registered_at) == (("http",), clock.now())
        assert await self._names(registry) == ["w2", "w1"]

    async def test_a_heartbeat_renews_and_leaves_the_registration(self) -> None:
        clock = FakeClock()
        registry = await self.make(clock, TTL)
        await registry.register(_worker("w1"))
        registered_at = clock.now()
        for _ in range(5):
            await clock.advance(TTL)
            await registry.heartbeat("w1")
        found = await registry.get("w1")
        assert found is not None
        assert (found.registered_at, found.heartbeat_at) == (registered_at, clock.now())

    async def test_a_silent_worker_is_gone_and_not_before_its_time(self) -> None:
        clock = FakeClock()
        registry = await self.make(clock, TTL)
        await registry.register(_worker("w1", "shell"))
        await clock.advance(TTL)
        assert await self._names(registry) == ["w1"]
        await clock.advance(timedelta(microseconds=1))
        assert await registry.get("w1") is None
        assert await self._names(registry) == []
        assert await self._names(registry, "shell") == []

    async def test_a_heartbeat_of_an_expired_worker_does_not_revive_it(self) -> None:
        clock = FakeClock()
        registry = await self.make(clock, TTL)
        await registry.register(_worker("w1"))
        await clock.advance(BEYOND)
        with pytest.raises(NotFound) as raised:
            await registry.heartbeat("w1")
        assert raised.value.code == "worker-not-found"
        assert await registry.get("w1") is None
        await registry.register(_worker("w1"))
        await registry.heartbeat("w1")

    async def test_a_heartbeat_of_an_unknown_worker_is_not_found(self) -> None:
        registry = await self.make(FakeClock(), TTL)
        with pytest.raises(NotFound) as raised:
            await registry.heartbeat("nobody")
        assert raised.value.code == "worker-not-found"
        assert await self._names(registry) == []

    async def test_a_clock_that_went_backwards_makes_nobody_gone(self) -> None:
        clock = FakeClock()
        registry = await self.make(clock, TTL)
        await registry.register(_worker("w1"))
        clock.set_back(timedelta(hours=1))
        assert await self._names(registry) == ["w1"]
        await registry.heartbeat("w1")
        assert await self._names(registry) == ["w1"]

    async def test_unregister_removes_and_ignores_the_unknown(self) -> None:
        registry = await self.make(FakeClock(), TTL)
        await registry.register(_worker("w1"))
        await registry.register(_worker("w2"))
        for _ in range(2):
            await registry.unregister("w1")
        assert await registry.get("w1") is None
        assert await self._names(registry) == ["w2"]

    async def test_lists_are_ordered_by_registration_and_heartbeats_move_nobody(self) -> None:
        clock = FakeClock()
        registry = await self.make(clock, TTL)
        for name in ("c", "a", "b"):
            await registry.register(_worker(name))
            await clock.advance(timedelta(seconds=1))
        await registry.heartbeat("c")
        assert await self._names(registry) == ["c", "a", "b"]

    async def test_a_list_for_a_type_shows_those_that_serve_it(self) -> None:
        registry = await self.make(FakeClock(), TTL)
        await registry.register(_worker("shell", "shell", "echo"))
        await registry.register(_worker("http", "http"))
        await registry.register(_worker("any"))
        assert await self._names(registry, "echo") == ["shell", "any"]
        assert await self._names(registry, "http") == ["http", "any"]
        assert await self._names(registry, "nothing") == ["any"]
        assert await self._names(registry) == ["shell", "http", "any"]

    async def test_everything_handed_in_or_out_is_a_copy(self) -> None:
        registry = await self.make(FakeClock(), TTL)
        tags = {"zone": "a"}
        await registry.register(WorkerInfo(worker_id="w1", tags=tags))
        tags["zone"] = "changed"
        for found in [await registry.get("w1"), *await registry.list()]:
            assert found is not None
            if isinstance(found.tags, dict):
                found.tags["zone"] = "changed too"
        listed = await registry.list()
        if isinstance(listed, list):
            listed.clear()
        found = await registry.get("w1")
        assert found is not None
        assert dict(found.tags) == {"zone": "a"}
        assert await self._names(registry) == ["w1"]
