"""Watch a run, and answer for a person when a task waits for approval: python examples/watching_a_run.py"""

import asyncio
from pathlib import Path

from aether import Aether, Phase

DOCUMENT = Path(__file__).with_name("documents") / "approval.yaml"


async def main() -> None:
    async with Aether("memory:") as app:
        run_id = await app.submit(DOCUMENT.read_text())
        async for execution in app.watch(run_id):  # now, and again after each change
            print(f"{execution.status} {execution.progress}".rstrip())
            for task in execution.tasks:
                if task.status is Phase.SUSPENDED:
                    print(f"  {task.task_name} asks: {task.message}")
                    await app.resume(run_id, task.task_run_id, {"approved": True, "by": "Ada"})
        print(execution.task("ask").output_values)
        print(execution.task("deploy").output_values)


asyncio.run(main())
