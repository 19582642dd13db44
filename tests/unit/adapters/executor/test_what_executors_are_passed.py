"""What loops, hooks and artifacts bring along reaches shipped executors and breaks none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from aether.adapters.executor import FunctionExecutor, ShellExecutor
from aether.adapters.extra_inputs import strangers
from aether.errors import Refused
from aether.ports import SUCCEEDED, Request


def request(executor_type: str, **more) -> Request:
    return Request(
        run_id="r", task_run_id="r.0", task_name="t", executor_type=executor_type, **more
    )


@pytest.mark.parametrize(
    ("passed", "complaints"),
    [
        ({"known", "__resumed"}, []),
        ({"known", "hook"}, []),
        ({"known", "loop_iter.index", "loop_iter.item", "member-of-the-item"}, []),
        ({"known", "knwon", "other"}, ["knwon", "other"]),
    ],
)
def test_only_what_somebody_wrote_by_mistake_is_a_stranger(passed, complaints):
    assert strangers(passed, ["known"]) == complaints


LOOP = {"loop_iter.index": 0, "loop_iter.item": "a"}
HOOK = {"hook": {"event": "onExit"}}


@pytest.mark.parametrize("along", [LOOP, HOOK])
async def test_a_program_runs_in_a_loop_and_as_a_hook(along):
    inputs = {"command": ["echo", "a"], **along}
    outcome = await ShellExecutor().execute(request("shell", inputs=inputs))
    assert outcome.code == SUCCEEDED


async def test_a_function_runs_as_a_hook_that_does_not_ask_what_happened():
    executor = FunctionExecutor("f", lambda: {"done": True})
    assert await executor.execute(request("f", inputs=HOOK)) == {"done": True}


async def test_a_program_is_told_an_input_that_it_does_not_have():
    with pytest.raises(Refused, match="comand"):
        await ShellExecutor().execute(
            request("shell", inputs={"command": ["true"], "comand": ["x"]})
        )


async def test_a_program_finds_its_artifacts_in_its_environment(tmp_path: Path):
    (tmp_path / "in").write_text("seven")
    copy = 'cp "$AETHER_ARTIFACT_RAW_DATA" "$AETHER_OUTPUTS/copy"'
    outcome = await ShellExecutor().execute(
        request(
            "shell",
            inputs={"command": ["sh", "-c", copy]},
            artifacts={"raw-data": tmp_path / "in"},
            output_dir=tmp_path,
        )
    )
    assert outcome.code == SUCCEEDED
    assert (tmp_path / "copy").read_text() == "seven"
