"""Every example of functions, killed after each thing that it records, on every store and tier."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aether.adapters.store import PostgresStore, SqliteStore
from aether.ports import Store
from aether.record import ACTION_LOG, MEMORY, SNAPSHOT
from aether.testing import CrashReport, Environment, crash_at_every_step
from aether.testing.postgres import PostgresServer, postgres_server

__all__ = ["postgres_server"]  # a fixture

EXAMPLES = Path(__file__).parents[2] / "examples" / "functions"
APPROVAL = {"approval": {"approved": True, "by": "Grace"}}

CASES: dict[str, tuple[str, str, tuple[Any, ...], dict[str, Any], Any]] = {
    "quickstart": ("quickstart", "hello", ("Ada",), {}, "HELLO, ADA!!!"),
    "order": ("order_processing", "order", ("o-1",), {},
              {"order": "o-1", "label": "label for o-1", "receipt": "o-1: 45 paid, thank you"}),
    "order out of stock": ("order_processing", "order", ("gone-1",), {}, None),
    "parallel": ("parallel", "sum_of_squares", (12,), {},
                 {"few": 14, "many": 506, "asyncio": 3000}),
    "children": ("child_workflows", "album", (["a", "b"],), {},
                 {n: [f"{n}@{w}" for w in (64, 128, 256)] for n in "ab"}),
    "conditional": ("conditional", "payment", (2500,), {}, "paid after 3 checks"),
    "approved": ("human_approval", "expense", (5,), {"signals": APPROVAL}, "approved by Grace"),
    "nobody answers": ("human_approval", "expense", (5,), {}, "nobody answered"),
    "agent": ("agent_loop", "agent", ("what is twice twenty-one?",), {}, "the result is 42"),
    # How far the lost attempt was is what its last heartbeat on record says.
    "long": ("long_running", "copy", (100,), {"same": lambda one, other: "of 100 rows" in other}, ...),
    "saga": ("error_handling", "travel", (), {}, None),
    "mixed": ("mixed", "party", (["tea", "cake"],), {}, 10),
}  # fmt: skip
_schemas = count(1)


@contextmanager
def loaded(name: str) -> Iterator[ModuleType]:
    """The example, as a process that begins would have it."""
    known = f"example_{name}"
    spec = importlib.util.spec_from_file_location(known, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[known] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[known]


async def died_everywhere(case: str, store: str | Callable[[], Store], tier: str) -> CrashReport:
    file, function, args, options, expected = CASES[case]
    with loaded(file) as module:

        async def prepare(env: Environment) -> None:
            if file == "mixed":
                await env.app.put_template(module.shop.template())

        report = await crash_at_every_step(
            getattr(module, function),
            *args,
            url=store,
            tier=tier,
            prepare=prepare,
            serve=(module.app,),
            before=lambda: module.booked.clear() if file == "error_handling" else None,
            **options,
        )
        if file == "error_handling":
            assert "NoSeat" in report.error
            assert not module.booked, "what was booked was not undone"
    if expected is None:
        assert report.error
    elif expected is not ...:
        assert report.result == expected
    assert report.crashes >= report.commits // 2  # several things may share a commit, and did once
    return report


@pytest.mark.parametrize("tier", [ACTION_LOG, SNAPSHOT, MEMORY])
@pytest.mark.parametrize("case", CASES)
async def test_example_ends_the_same_wherever_it_is_killed(case: str, tier: str) -> None:
    await died_everywhere(case, "memory:", tier)


@pytest.mark.slow
@pytest.mark.parametrize("tier", [ACTION_LOG, SNAPSHOT])
@pytest.mark.parametrize("case", CASES)
async def test_the_same_on_sqlite(case: str, tier: str, tmp_path: Path) -> None:
    await died_everywhere(case, lambda: SqliteStore(tmp_path / "a.db"), tier)


@pytest.mark.slow
@pytest.mark.parametrize("tier", [ACTION_LOG, SNAPSHOT])
@pytest.mark.parametrize("case", CASES)
async def test_the_same_on_postgres(case: str, tier: str, postgres_server: PostgresServer) -> None:
    schema = f"examples_{next(_schemas)}"
    await died_everywhere(case, lambda: PostgresStore(postgres_server.dsn, schema=schema), tier)


def test_every_example_is_killed() -> None:
    """All that can be imported without running at once."""
    known = {path.stem for path in EXAMPLES.glob("*.py") if "__main__" in path.read_text("utf-8")}
    assert known - {file for file, *_ in CASES.values()} <= _NOT_KILLED


_NOT_KILLED = {"fastapi_app", "schedules"}
"""A server, and workflows that the clock starts: their runs are like any others."""
