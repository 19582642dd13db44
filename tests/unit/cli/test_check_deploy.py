"""`aether check-deploy`: new code is held against the runs under way, before it is deployed. What it finds is
what would happen."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from aether.cli import exits
from aether.cli.main import run_cli

HEAD = """
from aether import Aether, Context
app = Aether("{url}", finish=False)
done = []

def work(name):
    done.append(name)
    return name

@app.workflow("shop")
async def shop(ctx: Context, order: str) -> str:
"""
OLD = """
    await ctx.step("check-stock", work, "a")
    await ctx.step("charge", work, "b")
    await ctx.wait_for("go")
    return await ctx.step("send", work, "c")
"""
LAST = OLD.replace('"send", work, "c"', '"send-it", work, "c"')  # not on record yet
CHANGED = {
    "reordered": (
        (
            '    await ctx.step("charge", work, "b")\n'
            '    await ctx.step("check-stock", work, "a")\n'
            '    await ctx.wait_for("go")\n'
        ),
        ("step 'check-stock'", "step 'charge'"),
    ),
    "renamed": (OLD.replace('"charge"', '"bill"'), ("step 'charge'", "step 'bill'")),
    "removed": (
        '    await ctx.step("check-stock", work, "a")\n    await ctx.wait_for("go")\n',
        ("step 'charge'", "wait 'go'"),
    ),
    "added": (
        OLD.replace('    await ctx.step("charge"', '    await ctx.step("new", work, "n")\n    await ctx.step("charge"'),
        ("step 'charge'", "step 'new'"),
    ),
}  # fmt: skip


class Shop:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/aether.db"
        self.file = folder / "shop_app.py"

    def deploy(self, body: str) -> ModuleType:
        self.file.write_text(HEAD.format(url=self.url) + body)
        spec = importlib.util.spec_from_file_location("shop_app", self.file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["shop_app"] = module
        # not by the loader: two versions within a second have the same time in the cache
        exec(compile(self.file.read_text(), str(self.file), "exec"), vars(module))
        return module

    async def serve(self, body: str, *, go: bool = False) -> tuple[str, list[str], object]:
        """Serves the code, until the run rests: (phase, what it waits for, its result)."""
        module = self.deploy(body)
        async with module.app:
            run = await module.shop.start("o-1", id="o-1")
            if go:
                await run.signal("go", key="once")
            async for execution in run.watch():
                waits = " ".join(execution.waiting_for)
                if execution.status.is_terminal:
                    return execution.status, [], await run.result()
                if "stuck" in waits or ("signal 'go'" in waits and not go):
                    return execution.status, execution.waiting_for, None
        raise AssertionError("it went away")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def check(shop: Shop, body: str, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    shop.file.write_text(HEAD.format(url=shop.url) + body)
    capsys.readouterr()
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        code = run_cli(["check-deploy", str(shop.file), *(more or ("--db", shop.url))])
    finally:
        sys.dont_write_bytecode = before
    return code, capsys.readouterr().out


@pytest.mark.parametrize("change", CHANGED)
def test_change_that_does_not_fit_is_found_first_and_the_run_waits_for_code_that_fits(
    change: str, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    body, (recorded, called) = CHANGED[change]
    phase, waits, _ = asyncio.run(shop.serve(OLD))
    assert "signal 'go'" in " ".join(waits)
    code, said = check(shop, body, capsys)
    assert code == exits.VERIFY
    assert "1 unfinished run: 0 fit, 1 does not" in said
    assert recorded in said
    assert called in said
    assert f"{shop.file}:" in said
    phase, waits, _ = asyncio.run(shop.serve(body, go=True))
    assert phase not in ("Failed", "Error")
    assert "stuck" in waits[0]
    assert recorded in waits[0]
    assert called in waits[0]
    assert sys.modules["shop_app"].done == []
    code, said = check(shop, OLD, capsys)
    assert code == exits.OK
    phase, waits, result = asyncio.run(shop.serve(OLD, go=True))
    assert (phase, result) == ("Succeeded", "c")
    assert sys.modules["shop_app"].done == ["c"]


def test_change_behind_what_is_recorded_fits(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(shop.serve(OLD))
    code, said = check(shop, LAST, capsys)
    assert (code, "1 unfinished run: it fits" in said) == (exits.OK, True)


def test_json_shows_both_sides_with_their_lines(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(shop.serve(OLD))
    code, said = check(shop, CHANGED["renamed"][0], capsys, "--url", shop.url, "--json")
    told = json.loads(said)
    assert (code, told["fits"]) == (exits.VERIFY, False)
    [workflow] = told["workflows"]
    assert (workflow["name"], workflow["runs"], workflow["fit"]) == ("shop", 1, 0)
    [misfit] = workflow["misfits"]
    assert misfit["runID"] == "o-1"
    assert misfit["version"] != workflow["version"]
    assert misfit["recorded"]["call"] == "step 'charge'"
    assert misfit["code"]["call"] == "step 'bill'"
    assert misfit["code"]["source"] == 'await ctx.step("bill", work, "b")'


def test_exported_history_needs_no_database(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(shop.serve(OLD))
    file = str(shop.folder / "o-1.jsonl")
    assert run_cli(["audit", "export", "o-1", "--db", shop.url, "--out", file]) == exits.OK
    assert check(shop, OLD, capsys, "--history", file)[0] == exits.OK
    assert check(shop, CHANGED["removed"][0], capsys, "--history", file)[0] == exits.VERIFY

    async def replayed(body: str) -> None:
        from aether.testing import replay

        await replay(file, shop.deploy(body).shop)

    asyncio.run(replayed(LAST))
    with pytest.raises(AssertionError, match="does not fit"):
        asyncio.run(replayed(CHANGED["added"][0]))


def test_version_that_a_run_began_with_is_shown(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(shop.serve(OLD))
    version = sys.modules["shop_app"].shop.definition.version
    shop.deploy(LAST)
    assert run_cli(["show", "o-1", "--db", shop.url]) == exits.OK
    assert f"begun with code {version}" in capsys.readouterr().out


@pytest.mark.parametrize("target", ["nowhere.py", "shop_app.py:other", "not_there_at_all"])
def test_target_without_workflows_is_refused(
    target: str, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.deploy(OLD)
    place = str(shop.folder / target) if ".py" in target else target
    assert run_cli(["check-deploy", place, "--db", shop.url]) == exits.USAGE
