"""Workflows behind a web API: begin, signal, look at and await them in routes.

uvicorn fastapi_app:api, or python fastapi_app.py, which asks itself.
"""

import asyncio

from fastapi import FastAPI, HTTPException

from aether import Aether, Context, InvalidState, NotFound, WaitTimeout

app = Aether("memory:")
api = FastAPI(lifespan=app.lifespan)
outbox: dict[str, str] = {}


@app.step
async def mail(email: str, code: str) -> None:
    outbox[email] = code


@app.workflow("onboarding")
async def onboarding(ctx: Context, email: str) -> str:
    code = str(ctx.uuid())[:8]
    await mail(email, code)
    for _ in range(3):
        ctx.set_status({"stage": "waiting for the code"})
        try:
            given = await ctx.wait_for("code", type=str, timeout="1d")
        except TimeoutError:
            return f"{email} never answered"
        if given == code:
            return f"{email} is welcome"
    return f"{email} is refused"


@api.post("/onboarding/{email}", status_code=202)
async def begin(email: str) -> dict[str, str]:
    run = await onboarding.start(email, id=f"onboarding-{email}")  # a second click changes nothing
    return {"run": run.id}


@api.get("/onboarding/{email}")
async def look(email: str) -> dict[str, object]:
    try:
        run = await app.handle(f"onboarding-{email}").status()
    except NotFound as error:
        raise HTTPException(404, str(error)) from error
    return {"phase": run.status, **run.reported}


@api.post("/onboarding/{email}/code")
async def confirm(email: str, code: str) -> dict[str, str]:
    run = app.handle(f"onboarding-{email}", str)
    try:
        await run.signal("code", code)
        return {"result": await run.result(timeout=0.5)}
    except NotFound as error:
        raise HTTPException(404, str(error)) from error
    except InvalidState as error:
        raise HTTPException(409, str(error)) from error
    except WaitTimeout as error:
        raise HTTPException(403, "that is not the code") from error


async def main() -> None:
    from httpx import ASGITransport, AsyncClient

    transport = ASGITransport(api)
    async with (
        api.router.lifespan_context(api),  # a server does this by itself
        AsyncClient(transport=transport, base_url="http://here") as client,
    ):
        print((await client.post("/onboarding/ada")).json())
        print((await client.post("/onboarding/ada")).json())
        print((await client.post("/onboarding/ada/code", params={"code": "guess"})).status_code)
        print((await client.get("/onboarding/ada")).json())
        code = outbox["ada"]
        print((await client.post("/onboarding/ada/code", params={"code": code})).json())
        print((await client.get("/onboarding/bob")).status_code)


if __name__ == "__main__":
    asyncio.run(main())
