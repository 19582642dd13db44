"""LocalBroker keeps the broker's promises, and the suite finds the brokers that do not."""

from collections import deque

import pytest

from aether.adapters.broker import LocalBroker
from aether.testing.broker_contract import BrokerContract
from aether.testing.suites import rejects


class TestLocalBroker(BrokerContract):
    async def make(self):
        return LocalBroker()


class BlindToPriority(LocalBroker):
    async def dispatch(self, assignments):
        for assignment in assignments:
            assignment.priority = 500
        await super().dispatch(assignments)


class LastInFirstOut(LocalBroker):
    def _take(self, worker_id, types, limit):
        for queue in self._queues.values():
            for priority, lane in queue.lanes.items():
                queue.lanes[priority] = deque(reversed(lane))
        return super()._take(worker_id, types, limit)


class BlindToTypes(LocalBroker):
    async def fetch(self, worker_id, executor_types=(), limit=1):
        return await super().fetch(worker_id, (), limit)


class Greedy(LocalBroker):
    """Takes more than it was asked for."""

    async def fetch(self, worker_id, executor_types=(), limit=1):
        return await super().fetch(worker_id, executor_types, limit + 1)


class Impatient(LocalBroker):
    """Answers at once when there is nothing."""

    async def fetch(self, worker_id, executor_types=(), limit=1):
        return self._take(worker_id, executor_types, max(1, limit))


class Twofold(LocalBroker):
    """Leaves what it hands out in the queue."""

    async def fetch(self, worker_id, executor_types=(), limit=1):
        batch = await super().fetch(worker_id, executor_types, limit)
        for assignment in batch[:1]:
            if assignment.task_name == "0":
                self._held.pop((assignment.task_run_id, assignment.fence))
                await self.dispatch([assignment])
        return batch


class DeafToCancel(LocalBroker):
    async def cancel(self, cancellations):
        return


class CancelsWholeTasks(LocalBroker):
    """Forgets the fence of a cancellation."""

    async def cancel(self, cancellations):
        for stop in cancellations:
            for task_run_id, fence in list(self._held):
                if task_run_id == stop.task_run_id:
                    await super().cancel([type(stop)(task_run_id, fence, stop.reason)])


class SharesOneMailbox(LocalBroker):
    """Whoever asks first hears of the cancellation, whoever holds the delivery."""

    async def cancelled(self, worker_id):
        return await super().cancelled("w1")


class StartsAnything(LocalBroker):
    async def start(self, assignment, worker_id):
        self._events.on_task_started(assignment.task_run_id, assignment.fence, worker_id)
        return True


class ForgetsTheWorker(LocalBroker):
    async def start(self, assignment, worker_id):
        self._events.on_task_started(assignment.task_run_id, assignment.fence)
        return True


class ForgetsHowFarItIs(LocalBroker):
    async def heartbeat(self, assignment, details=None):
        return await super().heartbeat(assignment)


class AlwaysAlive(LocalBroker):
    """Lets the holder of a cancelled delivery go on."""

    async def heartbeat(self, assignment, details=None):
        await super().heartbeat(assignment, details)
        return True


class DropsUnknownResults(LocalBroker):
    async def complete(self, result):
        if (result.task_run_id, result.fence) in self._held:
            await super().complete(result)


class LosesCancelledFetches(LocalBroker):
    """Hands work to a waiting fetch before that has woken up."""

    def _wake_for_what_is_left(self):
        return


class NeverWakes(LocalBroker):
    def _wake(self, executor_type):
        return


class HangsAtClose(LocalBroker):
    async def close(self):
        self._closed = True
        self._queues.clear()


class WorksOnAfterClose(LocalBroker):
    async def close(self):
        await super().close()
        self._closed = False


class ReportsTwice(LocalBroker):
    async def complete(self, result):
        await super().complete(result)
        await super().complete(result)


BROKEN = {
    BlindToPriority: "test_higher_priority_is_fetched_first",
    LastInFirstOut: "test_equal_priority_is_fetched_in_the_order_of_dispatch",
    BlindToTypes: "test_fetch_waits_while_there_is_work_of_other_types_only",
    Greedy: "test_fetch_returns_at_most_the_limit",
    Impatient: "test_fetch_waits_until_there_is_work",
    Twofold: "test_no_two_fetches_get_the_same_delivery",
    DeafToCancel: "test_a_cancelled_queued_delivery_is_never_fetched",
    CancelsWholeTasks: "test_cancelling_one_delivery_leaves_another_of_the_same_task_alone",
    SharesOneMailbox: "test_cancelling_tells_the_worker_that_holds_the_delivery",
    StartsAnything: "test_start_of_a_delivery_cancelled_meanwhile_is_false_and_not_reported",
    ForgetsTheWorker: "test_start_is_reported_with_fence_and_worker",
    ForgetsHowFarItIs: "test_a_heartbeat_is_reported_with_its_details",
    AlwaysAlive: "test_a_heartbeat_of_a_cancelled_delivery_is_told_to_stop_and_not_reported",
    DropsUnknownResults: "test_results_of_unknown_and_cancelled_deliveries_are_reported_too",
    LosesCancelledFetches: "test_a_cancelled_fetch_passes_its_turn_on",
    NeverWakes: "test_fetch_waits_until_there_is_work",
    HangsAtClose: "test_close_lets_waiting_fetches_and_listeners_return_empty",
    WorksOnAfterClose: "test_dispatch_after_close_is_refused",
    ReportsTwice: "test_complete_is_reported_as_it_was_said",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_the_suite_finds_a_broker_that_is_broken(broken):
    async def make():
        return broken()

    make.__name__ = broken.__name__
    rejects(BrokerContract, make, by=BROKEN[broken], seconds=0.2)
