from __future__ import annotations

import pytest

from aether import Aether, Context


@pytest.fixture
async def app():
    """In memory, and up as soon as something is started."""
    app = Aether("memory:")
    yield app
    await app.stop()


@pytest.fixture
def waiting(app):
    """A workflow that waits for the signal `go`, and returns it with its argument."""

    @app.workflow("waiting")
    async def waiting(ctx: Context, what: str = "x") -> str:
        return f"{what}: {await ctx.wait_for('go', type=str)}"

    return waiting
