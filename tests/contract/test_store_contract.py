"""Every store keeps every promise of the Store port, and the suite finds those that do not."""

from __future__ import annotations

import msgspec

from aether.adapters.store import MemoryStore, RecordsOver, store_from
from aether.ports import CronPatch, Store
from aether.record import CronRow, HookPatch, RunPatch, TaskPatch, patch_fields
from aether.testing import DictRecords, StoreContract, whole_rows


class TestMemoryStore(StoreContract):
    async def make(self) -> Store:
        return MemoryStore(history=True)


class TestMemoryStoreWithoutHistory(StoreContract):
    async def make(self) -> Store:
        return MemoryStore()


class TestMemoryStoreOfSeveralEngines(StoreContract):
    async def make(self) -> Store:
        return MemoryStore(shared=True)


class TestStoreFromRecords(StoreContract):
    async def make(self) -> Store:
        return store_from(DictRecords())


class TestStoreFromRecordsThatStandOnAStore(StoreContract):
    async def make(self) -> Store:
        return store_from(RecordsOver(MemoryStore()))


def test_the_suites_set_every_member_of_every_row() -> None:
    rows: list[tuple[msgspec.Struct, set[str]]] = [
        (whole_rows.FULL_RUN, {"token", "claimed"}),
        (whole_rows.FULL_TASK, set()),
        (whole_rows.FULL_HOOK, set()),
        (whole_rows.FULL_CRON, {"token"}),
        (whole_rows.full_run(), {"token", "redo", "claimed"}),
        (whole_rows.full_task(), {"token"}),
    ]
    for row, left_out in rows:
        unset = {
            field.name
            for field in msgspec.structs.fields(row)
            if not field.required and getattr(row, field.name) == field.default
        }
        assert unset == left_out, type(row).__name__


def test_the_suites_patch_every_member_of_every_patch() -> None:
    for patches, kind in (
        (whole_rows.run_patches(), RunPatch),
        (whole_rows.task_patches(), TaskPatch),
        (whole_rows.hook_patches(), HookPatch),
    ):
        patched = set().union(*(patch_fields(patch) for patch in patches))
        assert patched == set(kind.__struct_fields__) - {"ordinal", "number"}


def test_a_cron_patch_can_say_all_that_changes_in_a_cron() -> None:
    fixed = {"cron_id", "created_at", "token"}
    assert set(CronPatch.__struct_fields__) == set(CronRow.__struct_fields__) - fixed
