"""A run that is begun by one engine and ended by the next: python examples/surviving_a_restart.py"""

import asyncio
import tempfile
from pathlib import Path

from aether import Aether

DOCUMENT = Path(__file__).with_name("documents") / "approval.yaml"


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/runs.db"

        async with Aether(url) as app:
            run_id = await app.submit(DOCUMENT.read_text())
            async for execution in app.watch(run_id):
                if execution.tasks and execution.task("ask").status == "Suspended":
                    break
        print("the first engine has stopped; the run is", execution.status)

        async with Aether(url) as app:
            ask = (await app.get(run_id)).task("ask")
            await app.resume(run_id, ask.task_run_id, {"approved": True})
            execution = await app.wait(run_id, timeout=10)
        print("the second engine has ended it:", execution.status)


asyncio.run(main())
