"""The worker registry keeps its promises, and the suite finds those that do not."""

import pytest
from msgspec.structs import replace

from aether.adapters.workers import MemoryWorkers
from aether.errors import NotFound
from aether.testing import WorkerRegistryContract, rejects


class TestMemoryWorkers(WorkerRegistryContract):
    async def make(self, clock, ttl):
        return MemoryWorkers(clock, ttl)


class UnstampedWorkers(MemoryWorkers):
    async def register(self, info):
        self._workers[info.worker_id] = replace(info, heartbeat_at=self._clock.now())


class ImmortalWorkers(MemoryWorkers):
    def _forget_the_silent(self):
        """Nobody is ever gone."""


class HastyWorkers(MemoryWorkers):
    def __init__(self, clock, ttl):
        super().__init__(clock, ttl * 0.9)


class RevivingWorkers(MemoryWorkers):
    """A heartbeat looks only whether the worker is known."""

    async def heartbeat(self, worker_id):
        info = self._workers.get(worker_id)
        if info is None:
            await super().heartbeat(worker_id)
        self._workers[worker_id] = replace(info, heartbeat_at=self._clock.now())


class WelcomingWorkers(MemoryWorkers):
    async def heartbeat(self, worker_id):
        try:
            await super().heartbeat(worker_id)
        except NotFound:
            return


class StrictWorkers(MemoryWorkers):
    async def unregister(self, worker_id):
        del self._workers[worker_id]


class SortedWorkers(MemoryWorkers):
    async def list(self, executor_type=""):
        return sorted(await super().list(executor_type), key=lambda info: info.worker_id)


class LiteralWorkers(MemoryWorkers):
    """No types means no work."""

    async def list(self, executor_type=""):
        found = await super().list(executor_type)
        return [info for info in found if not executor_type or executor_type in info.executor_types]


class SharingWorkers(MemoryWorkers):
    async def get(self, worker_id):
        self._forget_the_silent()
        return self._workers.get(worker_id)


class AbsoluteWorkers(MemoryWorkers):
    """A heartbeat from the future is as bad as an old one."""

    def _forget_the_silent(self):
        now = self._clock.now()
        for name, info in list(self._workers.items()):
            if abs(now - info.heartbeat_at) > self._ttl:
                del self._workers[name]


@pytest.mark.parametrize(
    ("broken", "by"),
    [
        (UnstampedWorkers, "test_a_registered_worker_is_found_with_both_instants_stamped"),
        (ImmortalWorkers, "test_a_silent_worker_is_gone_and_not_before_its_time"),
        (HastyWorkers, "test_a_silent_worker_is_gone_and_not_before_its_time"),
        (RevivingWorkers, "test_a_heartbeat_of_an_expired_worker_does_not_revive_it"),
        (WelcomingWorkers, "test_a_heartbeat_of_an_unknown_worker_is_not_found"),
        (StrictWorkers, "test_unregister_removes_and_ignores_the_unknown"),
        (SortedWorkers, "test_lists_are_ordered_by_registration_and_heartbeats_move_nobody"),
        (LiteralWorkers, "test_a_list_for_a_type_shows_those_that_serve_it"),
        (SharingWorkers, "test_everything_handed_in_or_out_is_a_copy"),
        (AbsoluteWorkers, "test_a_clock_that_went_backwards_makes_nobody_gone"),
    ],
)
def test_the_suite_rejects(broken, by):
    rejects(WorkerRegistryContract, broken, by=by)
