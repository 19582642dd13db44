"""An executor and a broker of your own, wired to an engine by hand: python main.py"""

import asyncio
from pathlib import Path

from aether import CounterIds, Engine, MemoryStore, Outcome, Schema, Worker


class Shout:
    """Runs tasks of type `shout`."""

    schema = Schema(type="shout")

    async def execute(self, request):
        return Outcome.succeeded(text=request.inputs["text"].upper() + "!")


class QueueBroker:
    """Hands assignments to workers through an asyncio.Queue, first in, first out."""

    def connect(self, events):
        self.queue, self.events = asyncio.Queue(), events

    async def dispatch(self, assignments):
        for assignment in assignments:
            await self.queue.put(assignment)

    async def cancel(self, cancellations):
        pass  # a cancelled task still runs here; its result comes too late to change anything

    async def fetch(self, worker_id, executor_types=(), limit=1):
        return [await self.queue.get()]

    async def start(self, assignment, worker_id):
        self.events.on_task_started(assignment.task_run_id, assignment.fence, worker_id)
        return True

    async def heartbeat(self, assignment, details=None):
        return True  # go on: nothing here is ever called off

    async def complete(self, result):
        self.events.on_task_completed(result)

    async def cancelled(self, worker_id):
        return await asyncio.Future()  # never: nothing is called off

    async def close(self):
        pass


async def main():
    broker, document = QueueBroker(), Path(__file__).with_name("workflow.yaml").read_text()
    engine = Engine(store=MemoryStore(), broker=broker, id_generator=CounterIds())
    async with engine, Worker(broker, [Shout()]):
        execution = await engine.wait(await engine.submit(document), timeout=10)
        print(execution.status, execution.output_values)


asyncio.run(main())
