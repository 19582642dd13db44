"""Hold a run between two tasks, and let it go on: python examples/pausing_a_run.py"""

import asyncio

from aether import Aether

app = Aether("memory:")
began = asyncio.Event()
go_on = asyncio.Event()


@app.executor("copy")
async def copy(table: str) -> dict:
    began.set()
    await go_on.wait()
    return {"copied": table}


DOCUMENT = """
apiVersion: aether/v1
kind: Workflow
metadata: {name: migration}
spec:
  entrypoint: main
  templates:
    - dag:
        name: main
        tasks:
          - name: orders
            executor: {type: copy}
            inputs: {parameters: [{name: table, value: orders}]}
          - name: customers
            executor: {type: copy}
            dependencies: [orders]
            inputs: {parameters: [{name: table, value: customers}]}
"""


async def main() -> None:
    async with app:
        run_id = await app.submit(DOCUMENT)
        await began.wait()
        await app.pause(run_id, by="Ada")  # what runs may finish; nothing more is handed out
        go_on.set()
        async for execution in app.watch(run_id):
            orders, *later = execution.tasks[1:]
            if orders.status.is_terminal and later:
                break
        print(f"{orders.task_name}: {orders.status}; {later[0].task_name}: {later[0].waiting_for}")

        await app.unpause(run_id)
        execution = await app.wait(run_id, timeout=10)
        print(execution.status, [task.output_values for task in execution.tasks[1:]])


asyncio.run(main())
