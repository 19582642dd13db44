"""An agent: a model that chooses tools until it is done. Every model answer and tool call is a step, so a
crash costs neither tokens nor a second effect. The model here is a stand-in of four lines.

python agent_loop.py
"""

import asyncio
from collections.abc import Callable
from typing import Any

from aether import Aether, Context

app = Aether("memory:")


async def model(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Stands for the call of a language model."""
    results = [m["content"] for m in messages if m["role"] == "tool"]
    if len(results) < 2:
        return {"tool": ("add", "double")[len(results)], "args": results or [20, 1]}
    return {"answer": f"the result is {results[-1]}"}


async def add(a: int, b: int) -> int:
    return a + b


async def double(a: int) -> int:
    return 2 * a


TOOLS: dict[str, Callable[..., Any]] = {"add": add, "double": double}


@app.workflow("agent")
async def agent(ctx: Context, question: str) -> str:
    messages: list[dict[str, Any]] = [{"role": "user", "content": question}]
    for turn in range(10):
        reply = await ctx.step("model", model, messages)
        if "answer" in reply:
            return str(reply["answer"])
        tool = reply["tool"]
        ctx.set_status({"turn": turn, "tool": tool})
        result = await ctx.step(tool, TOOLS[tool], *reply["args"])
        messages += [{"role": "assistant", **reply}, {"role": "tool", "content": result}]
    return "gave up"


async def main() -> None:
    async with app:
        print(await agent.start_and_wait("what is twice twenty-one?"))


if __name__ == "__main__":
    asyncio.run(main())
