"""An order: stock, payment and label side by side, a wait, a receipt from a child workflow.

python order_processing.py
"""

import asyncio
from dataclasses import dataclass

from aether import Aether, Context, Retry, WorkflowFailed

app = Aether()


@dataclass
class Receipt:
    order: str
    paid: int
    text: str


class OutOfStock(Exception):
    pass


@app.step
async def check_inventory(order_id: str) -> dict[str, bool]:
    return {"available": not order_id.startswith("gone")}


@app.activity(retry=Retry(attempts=5, initial="100ms"), timeout="30s")
def charge(order_id: str) -> int:
    return 42 + len(order_id)


@app.activity
def print_label(order_id: str) -> str:
    return f"label for {order_id}"


@app.workflow("send-receipt")
async def send_receipt(ctx: Context, order_id: str, paid: int) -> Receipt:
    text = await ctx.step("write", lambda: f"{order_id}: {paid} paid, thank you")
    return Receipt(order_id, paid, text)


@app.workflow("order-processing")
async def order(ctx: Context, order_id: str) -> dict[str, object]:
    stock = await ctx.step("check-inventory", check_inventory, order_id)
    if not stock["available"]:
        raise OutOfStock(order_id)
    paid, label = await ctx.parallel([lambda: charge(order_id), lambda: print_label(order_id)])
    await ctx.sleep(0.05)
    receipt = await ctx.child(send_receipt, order_id, paid)
    return {"order": order_id, "label": label, "receipt": receipt.text}


async def main() -> None:
    async with app:
        print(await order.start_and_wait("o-1"))
        try:
            await order.start_and_wait("gone-2")
        except WorkflowFailed as error:
            print(f"{type(error).__name__} from {error.__cause__!r}")


if __name__ == "__main__":
    asyncio.run(main())
