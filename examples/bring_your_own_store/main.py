"""A run in files, kept by a store of your own, begun by one engine and ended by the next: python main.py"""

import asyncio
import tempfile
from pathlib import Path

from file_records import FileRecords

from aether import Aether
from aether.adapters.store import store_from

DOCUMENT = Path(__file__).parents[1] / "documents" / "approval.yaml"


async def main(folder: Path) -> None:
    async with Aether(store=store_from(FileRecords(folder))) as app:
        run_id = await app.submit(DOCUMENT.read_text())
        async for execution in app.watch(run_id):
            if execution.tasks and execution.task("ask").status == "Suspended":
                break
    files = sum(path.suffix == ".json" for path in (folder / "tasks").iterdir())
    print(f"the run is {execution.status}, and its tasks are {files} files")

    async with Aether(store=store_from(FileRecords(folder))) as app:
        ask = (await app.get(run_id)).task("ask")
        await app.resume(run_id, ask.task_run_id, {"approved": True})
        print("another engine has ended it:", (await app.wait(run_id, timeout=10)).status)


with tempfile.TemporaryDirectory() as temporary:
    asyncio.run(main(Path(temporary)))
