"""The pytest plugin tells the seed of a test that failed, and costs a project nothing that does not ask for it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

FAILS = """
import asyncio
from aether import Context, workflow
from aether.testing import Environment

@workflow
async def draws(ctx: Context) -> float:
    return ctx.random()

def test_draw():
    async def go():
        async with Environment() as env:
            return await env.run(draws)
    drawn = asyncio.run(go())
    print("drawn", drawn)
    assert drawn > 2

def test_fixture(aether_env):
    from aether.testing import Environment
    assert aether_env is Environment
"""
UNTOUCHED = """
import sys

def test_nothing_of_it_is_imported():
    assert not [name for name in sys.modules if name.startswith(("aether.engine", "aether.app", "msgspec"))]
"""


def run(folder: Path, text: str, *more: str) -> str:
    """pytest on `text`, in a project whose conftest asks for the plugin."""
    (folder / "test_it.py").write_text(text)
    (folder / "conftest.py").write_text('pytest_plugins = ["aether.testing.plugin"]\n')
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
    ]
    done = subprocess.run(
        [*command, "-rA", "-c", "/dev/null", "--rootdir", str(folder), *more, "test_it.py"],
        cwd=folder,
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done.stdout + done.stderr


def test_seed_of_a_failure_is_told_and_repeats_it(tmp_path: Path) -> None:
    said = run(tmp_path, FAILS, "-k", "draw")
    seed = said.rpartition("--aether-seed=")[2].split()[0]
    drawn = next(line for line in said.splitlines() if line.startswith("drawn"))
    assert drawn in run(tmp_path, FAILS, "-k", "draw", f"--aether-seed={seed}")
    assert drawn not in run(tmp_path, FAILS, "-k", "draw", f"--aether-seed={int(seed) + 1}")


def test_environment_is_a_fixture(tmp_path: Path) -> None:
    assert "1 passed" in run(tmp_path, FAILS, "-k", "fixture")


def test_asking_for_it_loads_no_engine(tmp_path: Path) -> None:
    assert "1 passed" in run(tmp_path, UNTOUCHED)


def test_installing_aether_adds_nothing_to_other_peoples_tests() -> None:
    """pytest takes every module of a distribution with an entry point apart to rewrite its asserts."""
    assert [each for each in entry_points(group="pytest11") if "aether" in each.value] == []
