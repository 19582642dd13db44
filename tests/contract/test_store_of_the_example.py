"""The store of examples/bring_your_own_store keeps every promise, as a store and as record calls."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from aether.adapters.store import store_from
from aether.ports import Records, RunRecordPatch, Store
from aether.record import Phase, RunPatch
from aether.testing import RecordsContract, StoreContract
from aether.testing.rows import a_run_record, a_task_record

FILE = Path(__file__).parents[2] / "examples" / "bring_your_own_store" / "file_records.py"


def example() -> Any:
    if "file_records" not in sys.modules:
        spec = spec_from_file_location("file_records", FILE)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules["file_records"] = module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["file_records"].FileRecords


class TestFileRecords(RecordsContract):
    async def make(self) -> Records:
        records: Records = example()(self.folder())
        return records


class TestStoreFromFileRecords(StoreContract):
    async def make(self) -> Store:
        return store_from(example()(self.folder()))


def test_a_store_of_your_own_takes_under_200_lines() -> None:
    assert len(FILE.read_text("utf-8").splitlines()) < 200


async def test_what_a_dead_process_left_half_done_is_cleared_away(tmp_path: Path) -> None:
    records = example()(tmp_path)
    await records.open()
    run = await records.create_run(a_run_record("run"))
    await records.create_task_run(a_task_record("run", 0))
    await records.update_run("run", RunRecordPatch(redo=b"steps"), run.token)
    (tmp_path / "runs" / "half.new").write_bytes(b'{"run_id"')
    for path in (tmp_path / "tasks").iterdir():
        (tmp_path / "tasks" / f"copy-{path.name}").write_bytes(
            path.read_bytes().replace(b'"run_id":"run"', b'"run_id":"gone"')
        )
    again = example()(tmp_path)
    await again.open()
    assert [each.redo for each in await again.list_active_runs()] == [b"steps"]
    assert await again.list_task_runs("gone") == []
    assert len(await again.list_task_runs("run")) == 1
    held = await again.get_run("run")
    ended = await again.update_run("run", RunPatch(phase=Phase.FAILED), held.token)
    assert (held.phase, ended.phase) == (Phase.CREATED, Phase.FAILED)
