"""Real scripts in real processes: quiet at their end, and killed half-way they go on."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pages import blocks

ROOT = Path(__file__).parents[2]
HEAD = """
import asyncio
from aether import Aether, BlockingContext, Context
app = Aether()

@app.step
def greet(name: str) -> str:
    return f"Hello, {name}!"

@app.workflow("hello")
async def hello(ctx: Context, name: str) -> str:
    return await greet(name)
"""


def begin(folder: Path, script: str, *flags: str) -> subprocess.Popen[str]:
    (folder / "script.py").write_text(script, "utf-8")
    env = {name: value for name, value in os.environ.items() if not name.startswith("AETHER_")}
    return subprocess.Popen(
        [sys.executable, "-W", "error", *flags, "script.py"],
        cwd=folder,
        env={**env, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(folder: Path, script: str) -> str:
    """What it prints; it must say nothing else, not even in development mode."""
    process = begin(folder, script, "-X", "dev")
    out, errors = process.communicate(timeout=60)
    assert errors == ""
    assert process.returncode == 0
    return out


def first_script() -> str:
    """The first code-first script of the README."""
    found = [
        block
        for block in blocks(ROOT / "README.md")
        if block.language == "python" and "app.workflow" in block.code
    ]
    return found[0].code


def read_until(process: subprocess.Popen[str], text: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.strip())
        if text in line:
            return lines
    raise AssertionError(f"{text!r} was never printed, but {lines}")


def test_the_first_script_prints_its_result_with_less_than_a_second_of_work(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = begin(tmp_path, first_script())
    out, errors = process.communicate(timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (out.splitlines()[-1], errors) == ("{'paid': 42, 'parcel': 'parcel for o-1'}", "")
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


def test_the_first_script_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    killed = begin(tmp_path, first_script())
    assert read_until(killed, "shipping") == ["charging o-1", "shipping o-1"]
    killed.kill()
    killed.communicate()
    expected = ["shipping o-1", "{'paid': 42, 'parcel': 'parcel for o-1'}"]
    assert run(tmp_path, first_script()).splitlines() == expected
    assert run(tmp_path, first_script()).splitlines() == expected[1:]


@pytest.mark.parametrize(
    "tail",
    [
        "async def main():\n    print(await hello.start_and_wait('Ada'))\nasyncio.run(main())\n",
        """
async def main():
    await app.serve([hello])
    print(await hello.start_and_wait('Ada'))
asyncio.run(main())
""",
        "print(asyncio.run(hello.start_and_wait('Ada')))\n",
        "print(app.sync.start_and_wait(hello, 'Ada'))\n",
        "with app.sync as sync:\n    print(sync.start_and_wait(hello, 'Ada'))\n",
    ],
    ids=["started by the first run", "served", "one line", "blocking", "blocking and closed"],
)
def test_a_script_that_stops_nothing_ends_quietly(tmp_path: Path, tail: str) -> None:
    assert run(tmp_path, HEAD + tail) == "Hello, Ada!\n"


def test_a_script_that_waits_for_nothing_leaves_its_run_to_the_next(tmp_path: Path) -> None:
    start = "async def main():\n    await hello.start('Ada', id='one')\nasyncio.run(main())\n"
    assert run(tmp_path, HEAD + start) == ""
    wait = "print(asyncio.run(hello.start_and_wait('Ada', id='one')))\n"
    assert run(tmp_path, HEAD + wait) == "Hello, Ada!\n"


WAITING = """
@app.workflow("waiting")
async def waiting(ctx: Context) -> str:
    await ctx.step("said", lambda: print("waiting", flush=True))
    return await ctx.wait_for("go", type=str)
"""


def test_an_interrupted_script_says_no_more_than_python_does(tmp_path: Path) -> None:
    process = begin(tmp_path, HEAD + WAITING + "asyncio.run(waiting.start_and_wait(id='one'))\n")
    read_until(process, "waiting")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "never retrieved" not in errors
    assert "destroyed" not in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_serves_until_it_is_told_to_stop_and_ends_well(
    tmp_path: Path, number: signal.Signals
) -> None:
    tell = (
        "@app.executor('serving')\n"
        "def serving():\n    print('serving', flush=True)\n"
        "@app.workflow('ready')\n"
        "async def ready(ctx: Context) -> None:\n    await ctx.activity('serving')\n"
        "    await ctx.sleep(days=1)\n"
    )
    start = "asyncio.run(ready.start(id='one'))\n"  # it is taken up by the worker
    process = begin(tmp_path, HEAD + tell + start + "app.run()\n")
    read_until(process, "serving")
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
