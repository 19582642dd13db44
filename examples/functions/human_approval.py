"""A workflow that waits for a person: two days at most, and no slot, thread or timer meanwhile.

python human_approval.py
"""

import asyncio
from dataclasses import dataclass

from aether import Aether, Context, SignalTimeout

app = Aether("memory:")


@dataclass
class Approval:
    approved: bool
    by: str


@app.workflow("expense")
async def expense(ctx: Context, amount: int, patience: str = "2d") -> str:
    ctx.set_status({"amount": amount, "stage": "waiting for approval"})
    ctx.on_query("amount", lambda: amount)
    try:
        answer = await ctx.wait_for("approval", type=Approval, timeout=patience)
    except SignalTimeout:
        return "nobody answered"
    return f"{'approved' if answer.approved else 'refused'} by {answer.by}"


async def main() -> None:
    async with app:
        run = await expense.start(120, id="expense-120")
        print("asked about", await run.query("amount"))
        await run.signal("approval", Approval(approved=True, by="Grace"))
        print(await run.result())
        print(await expense.start_and_wait(80, patience="50ms"))


if __name__ == "__main__":
    asyncio.run(main())
