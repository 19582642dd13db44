"""Runs of functions as the commands show them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from aether.adapters.store.sqlite import SqliteStore
from aether.cli.main import cli
from aether.flow import Context
from unit.engine.function_engine import FunctionEngine


async def order(ctx: Context, order_id: str) -> str:
    ctx.set_status({"stage": "paying"})
    ctx.set_attributes(customer="ann")
    await ctx.step("stock", lambda: 3)
    await ctx.sleep(days=1)
    return order_id


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = tmp_path / "runs.db"

    async def fill() -> None:
        world = FunctionEngine(order=order)
        world.store = SqliteStore(path)
        async with world:
            await world.start("order", "o-1", run_id="o-1")
            while (await world.rows("o-1")).run.status is None:
                await asyncio.sleep(0.001)
                await world.settle()
                await world.advance(seconds=1)

    asyncio.run(fill())
    return f"sqlite:///{path}"


def call(*words: str) -> str:
    result = CliRunner().invoke(cli, list(words), standalone_mode=False)
    assert result.exception is None
    assert not result.return_value, result.output
    return result.output


def test_the_list_shows_what_a_function_says_and_finds_it_by_its_attributes(database: str) -> None:
    shown = call("list", "--db", database, "--label", "customer=ann")
    assert 'says: stage = "paying"' in shown
    assert "sleep: timer due at" in shown
    assert call("list", "--db", database, "--label", "customer=bob").startswith("no runs")
    [run] = json.loads(call("list", "--db", database, "--json"))["runs"]
    assert (run["reported"], run["attributes"]) == ({"stage": "paying"}, {"customer": "ann"})


def test_show_and_log_tell_the_kind_of_each_call(database: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    shown = call("show", "o-1", "--db", database, "--report", str(page))
    assert "stock (step) Succeeded" in shown
    assert "sleep (timer) Running" in shown
    assert 'says stage = "paying"' in shown
    assert "attribute customer" in shown
    assert "stock" in page.read_text("utf-8")
    log = call("log", "o-1", "--db", database)
    assert "stock: step Succeeded" in log
    assert "sleep: created (a timer), Running" in log
    assert "attributes customer" in log
