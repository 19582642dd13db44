"""Your own functions as executors: python examples/python_functions.py"""

import asyncio

from aether import Aether

app = Aether("memory:")
attempts = 0


@app.executor("fetch-orders")
async def fetch_orders(count: int) -> dict:
    global attempts
    attempts += 1
    if attempts < 3:
        raise ConnectionError("the shop does not answer")
    return {"orders": [{"number": n, "total": 10 * n} for n in range(1, count + 1)]}


@app.executor("invoice")
def invoice(number: int, total: int) -> dict:  # a plain function: it runs in a thread and may block
    return {"invoice": f"order {number}: {total} EUR"}


DOCUMENT = """
apiVersion: aether/v1
kind: Workflow
metadata: {name: invoices}
spec:
  entrypoint: main
  arguments: {parameters: [{name: count, type: int, default: 2}]}
  templates:
    - dag:
        name: main
        tasks:
          - name: fetch
            executor: {type: fetch-orders}
            inputs: {parameters: [{name: count, valueFrom: {parameter: workflow.parameters.count}}]}
            retry: {limit: 3, backoff: {initial: 10ms, factor: 2, jitter: 0.5}}
          - name: bill
            template: bill-all
            dependencies: [fetch]
            arguments:
              parameters: [{name: orders, valueFrom: {parameter: tasks.fetch.outputs.parameters.orders}}]
        outputs:
          parameters:
            - {name: invoices, valueFrom: {parameter: tasks.bill.outputs.parameters.invoice}}
    - loop:
        name: bill-all
        inputs: {parameters: [{name: orders, type: list}]}
        itemsFrom: inputs.parameters.orders
        concurrency: 4
        body: bill
        aggregate: {strategy: list, parameters: [invoice]}
    - task:
        name: bill
        executor: {type: invoice}
        inputs: {parameters: [{name: number, type: int}, {name: total, type: int}]}  # members of the item
"""


async def main() -> None:
    async with app:
        execution = await app.submit_and_wait(DOCUMENT, {"count": 3}, timeout=10)
        print(execution.status, f"fetch needed {execution.task('fetch').attempt} attempts")
        for line in execution.output_values.get("invoices", []):
            print(line)


asyncio.run(main())
