"""A workflow that runs by itself, every night at three in Berlin, and once now because we ask for it.

python schedules.py
"""

import asyncio

from aether import Aether, Context

app = Aether("memory:")
reported = asyncio.Event()


@app.step
async def report() -> str:
    reported.set()
    return "all is well"


@app.workflow("nightly-report", cron="0 3 * * *", timezone="Europe/Berlin", catch_up="last")
async def nightly_report(ctx: Context) -> str:
    return await report()


async def main() -> None:
    async with app:
        (cron,) = await app.list_crons()
        await app.trigger_cron(cron.cron_id)
        await asyncio.wait_for(reported.wait(), 10)
        print(f"{cron.name} at {cron.schedule} in {cron.timezone}: made once by hand")


if __name__ == "__main__":
    asyncio.run(main())
