"""What every Records promises."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import pytest
from msgspec.structs import replace

from ..errors import Refused, TokenMismatch
from ..ports import CronPatch, Records, RunRecord, RunRecordPatch, TaskRecord
from ..record import Phase, RunPatch, TaskPatch
from .records_definitions_contract import RecordsDefinitionPromises
from .records_suite import missing, patched
from .rows import START, TEXT, a_cron, a_run_record, a_task_record
from .whole_rows import full_run, full_task


class RecordsContract(RecordsDefinitionPromises):
    """Every sentence of the port's docstring, as tests. `make` returns fresh and empty records, not
    opened yet; override `reopen` too where more than the object outlives it.
    """

    # Runs

    async def test_a_new_run_is_kept_whole(self) -> None:
        records = await self.opened()
        new = full_run()
        made = await records.create_run(new)
        assert made == replace(new, token=made.token)
        assert await records.get_run("run") == made

    async def test_creating_a_run_that_exists_is_a_mismatch(self) -> None:
        records = await self.opened()
        made = await records.create_run(a_run_record("run"))
        with pytest.raises(TokenMismatch):
            await records.create_run(a_run_record("run", name="other"))
        assert await records.get_run("run") == made

    async def test_a_run_patch_writes_only_what_it_sets(self) -> None:
        records = await self.opened()
        kept = await records.create_run(full_run())
        patches: list[RunPatch] = [
            RunPatch(),
            RunPatch(phase=Phase.SUCCEEDED, message="", outputs=None, started_at=None),
            RunRecordPatch(finished_at=None, deadline_at=None, due_at=None, warnings=()),
            RunPatch(paused_at=None, paused_by="", total=9, done=8, epoch=2, seq=7),
        ]
        for patch in patches:
            now = await records.update_run("run", patch, kept.token)
            assert now.token != kept.token
            assert now == patched(kept, patch, now.token)
            assert await records.get_run("run") == now
            kept = now

    async def test_redo_is_kept_until_it_is_cleared(self) -> None:
        records = await self.opened()
        if not self.stands_alone:
            for call in (
                records.create_run(a_run_record("new", redo=b"x")),
                records.update_run("run", RunRecordPatch(redo=b"x"), 1),
            ):
                with pytest.raises(Refused) as caught:
                    await call
                assert caught.value.code == "redo-not-kept"
            return
        kept = await records.create_run(a_run_record("run", redo=b"\x00first"))
        assert kept.redo == b"\x00first"
        kept = await records.update_run("run", RunPatch(message="m"), kept.token)
        assert kept.redo == b"\x00first"
        kept = await records.update_run("run", RunRecordPatch(redo=b""), kept.token)
        assert (kept.redo, kept.message) == (b"", "m")
        kept = await records.update_run("run", RunRecordPatch(redo=None), kept.token)
        assert (await records.get_run("run")).redo is None

    async def test_an_update_under_another_token_writes_nothing(self) -> None:
        records = await self.opened()
        old = await records.create_run(a_run_record("run"))
        now = await records.update_run("run", RunPatch(message="now"), old.token)
        for token in (old.token, now.token + 1000, -1):
            with pytest.raises(TokenMismatch):
                await records.update_run("run", RunPatch(message="late"), token)
        assert await records.get_run("run") == now

    async def test_every_update_gives_a_token_the_record_never_had(self) -> None:
        records = await self.opened()
        run = await records.create_run(a_run_record("run", token=55))
        task = await records.create_task_run(a_task_record("run", 0, token=55))
        cron = await records.create_cron(a_cron("c", token=55))
        tokens: dict[str, list[int]] = {"run": [], "task": [task.token], "cron": [cron.token]}
        for _ in range(5):
            run = await records.get_run("run")
            run = await records.update_run("run", RunPatch(), run.token)
            tokens["run"].append(run.token)
            task = await records.get_task_run("run.0")
            task = await records.update_task_run("run.0", TaskPatch(0), task.token)
            tokens["task"].append(task.token)
            cron = await records.update_cron("c", CronPatch(), cron.token)
            tokens["cron"].append(cron.token)
        for kind, given in tokens.items():
            assert len(set(given)) == len(given), kind

    async def test_a_token_changes_with_its_own_record_alone(self) -> None:
        records = await self.opened()
        run = await records.create_run(a_run_record("run"))
        first = await records.create_task_run(a_task_record("run", 0))
        second = await records.create_task_run(a_task_record("run", 1))
        if not self.stands_alone:
            with pytest.raises(TokenMismatch):
                await records.update_run("run", RunPatch(), run.token)
            return
        await records.update_task_run("run.0", TaskPatch(0, message="m"), first.token)
        await records.update_run("run", RunPatch(message="m"), run.token)
        assert (await records.get_task_run("run.1")).token == second.token
        await records.update_task_run("run.1", TaskPatch(1, message="m"), second.token)

    async def test_runs_are_listed_by_creation_then_id(self) -> None:
        records = await self.opened()
        for run_id, created_at, cron_id in (
            ("b", 5, "c"),
            ("c", 1, ""),
            ("a", 5, "c"),
            ("d", 3, "c"),
            ("e", 0, "other"),
        ):
            await records.create_run(a_run_record(run_id, created_at=created_at, cron_id=cron_id))
        assert _ids(await records.list_runs()) == ["e", "c", "d", "a", "b"]
        assert _ids(await records.list_runs_by_cron("c")) == ["d", "a", "b"]
        assert _ids(await records.list_runs_by_cron("nobody")) == []
        assert (await records.list_runs())[0].text == TEXT

    async def test_active_runs_are_those_that_are_not_terminal_or_have_a_redo(self) -> None:
        records = await self.opened()
        for number, run_id in enumerate("cab"):
            await records.create_run(a_run_record(run_id, created_at=START - number))
        assert _ids(await records.list_active_runs()) == ["b", "a", "c"]
        done = RunPatch(phase=Phase.SUCCEEDED)
        kept = await records.update_run("a", done, (await records.get_run("a")).token)
        assert _ids(await records.list_active_runs()) == ["b", "c"]
        if self.stands_alone:
            kept = await records.update_run("a", RunRecordPatch(redo=b""), kept.token)
            assert _ids(await records.list_active_runs()) == ["b", "a", "c"]
            await records.update_run("a", RunRecordPatch(redo=None), kept.token)
            assert _ids(await records.list_active_runs()) == ["b", "c"]

    async def test_deleting_a_run_deletes_its_task_runs(self) -> None:
        records = await self.opened()
        for run_id in ("a", "b"):
            await records.create_run(a_run_record(run_id, cron_id="c"))
            await records.create_task_run(a_task_record(run_id, 0))
        await records.delete_run("a")
        await missing("run-not-found", records.get_run("a"))
        await missing("task-run-not-found", records.get_task_run("a.0"))
        assert list(await records.list_task_runs("a")) == []
        assert _ids(await records.list_runs_by_cron("c")) == ["b"]
        assert _task_ids(await records.list_active_task_runs()) == ["b.0"]
        await records.create_run(a_run_record("a"))
        assert list(await records.list_task_runs("a")) == []

    # Task runs

    async def test_a_new_task_run_is_kept_whole(self) -> None:
        records = await self.opened()
        await records.create_run(a_run_record("run"))
        new = full_task()
        made = await records.create_task_run(new)
        assert made == replace(new, token=made.token)
        assert await records.get_task_run("run.4") == made

    async def test_creating_a_task_run_twice_by_its_key_changes_nothing(self) -> None:
        records = await self.opened()
        await records.create_run(a_run_record("run"))
        made = await records.create_task_run(a_task_record("run", 0, scope="s/", task_name="t"))
        made = await records.update_task_run("run.0", TaskPatch(0, worker="w"), made.token)
        for ordinal in (0, 7):
            again = a_task_record("run", ordinal, scope="s/", task_name="t", message="again")
            assert await records.create_task_run(again) == made
        assert list(await records.list_task_runs("run")) == [made]

    async def test_each_part_of_the_key_makes_another_task_run(self) -> None:
        records = await self.opened()
        for run_id in ("run", "other"):
            await records.create_run(a_run_record(run_id))
        await records.create_task_run(a_task_record("run", 0, task_name="t"))
        await records.create_task_run(a_task_record("run", 1, task_name="u"))
        await records.create_task_run(a_task_record("run", 2, task_name="t", scope="s/"))
        await records.create_task_run(a_task_record("run", 3, task_name="t", parent=0))
        await records.create_task_run(a_task_record("other", 0, task_name="t"))
        assert len(await records.list_task_runs("run")) == 4
        assert len(await records.list_task_runs("other")) == 1

    async def test_another_task_run_under_a_taken_ordinal_is_refused(self) -> None:
        records = await self.opened()
        await records.create_run(a_run_record("run"))
        made = await records.create_task_run(a_task_record("run", 0, task_name="a"))
        with pytest.raises(Refused) as caught:
            await records.create_task_run(a_task_record("run", 0, task_name="b"))
        assert caught.value.code == "task-run-exists"
        assert await _comparable(records, "run") == [replace(made, token=0)]

    async def test_a_task_patch_writes_only_what_it_sets(self) -> None:
        records = await self.opened()
        await records.create_run(a_run_record("run"))
        kept = await records.create_task_run(full_task())
        for patch in (
            TaskPatch(99),
            TaskPatch(0, phase=Phase.READY, message="", code=None, inputs=None, outputs=None),
            TaskPatch(0, attempt=5, delivery=6, retry_count=7, losses=8, worker=""),
            TaskPatch(0, ready_at=None, started_at=None, finished_at=None, deadline_at=None),
            TaskPatch(0, retry_at=None, omitted=(), items=None, artifacts_in=None),
        ):
            now = await records.update_task_run("run.4", patch, kept.token)
            assert now == patched(kept, patch, now.token)
            assert await records.get_task_run("run.4") == now
            kept = now

    async def test_a_task_update_under_another_token_writes_nothing(self) -> None:
        records = await self.opened()
        await records.create_run(a_run_record("run"))
        old = await records.create_task_run(a_task_record("run", 0))
        now = await records.update_task_run("run.0", TaskPatch(0, message="now"), old.token)
        for token in (old.token, now.token + 1000, -1):
            with pytest.raises(TokenMismatch):
                await records.update_task_run("run.0", TaskPatch(0, message="late"), token)
        assert await records.get_task_run("run.0") == now

    async def test_task_runs_ascend_by_ordinal(self) -> None:
        records = await self.opened()
        hooks = (-2, -1) if self.stands_alone else ()
        for run_id in ("b", "a"):
            await records.create_run(a_run_record(run_id))
            for ordinal in (10, 2, 0, 5, *hooks):
                parent = None if ordinal in (0, 5) else 0
                await records.create_task_run(a_task_record(run_id, ordinal, parent=parent))
        ordinals = [task.ordinal for task in await records.list_task_runs("a")]
        assert ordinals == [*hooks, 0, 2, 5, 10]
        assert _task_ids(await records.list_children("a", None)) == ["a.0", "a.5"]
        assert _task_ids(await records.list_children("a", 0))[-2:] == ["a.2", "a.10"]
        assert list(await records.list_children("a", 10)) == []
        assert list(await records.list_children("nobody", None)) == []
        assert list(await records.list_task_runs("nobody")) == []

    async def test_a_negative_ordinal_names_a_hook(self) -> None:
        records = await self.opened()
        await records.create_run(a_run_record("run"))
        if not self.stands_alone:
            with pytest.raises(Refused) as caught:
                await records.create_task_run(a_task_record("run", -1))
            assert caught.value.code == "hook-not-kept"
            return
        made = await records.create_task_run(a_task_record("run", -1, kind="hook"))
        assert await records.get_task_run("run.h0") == made
        now = await records.update_task_run("run.h0", TaskPatch(-1, inputs=b"\x01"), made.token)
        assert (now.ordinal, now.inputs) == (-1, b"\x01")

    async def test_active_task_runs_are_those_of_all_runs_that_are_not_terminal(self) -> None:
        records = await self.opened()
        for run_id in ("b", "a"):
            await records.create_run(a_run_record(run_id))
            for ordinal in (2, 0, 1):
                await records.create_task_run(a_task_record(run_id, ordinal))
        token = (await records.get_task_run("a.1")).token
        await records.update_task_run("a.1", TaskPatch(1, phase=Phase.SKIPPED), token)
        active = _task_ids(await records.list_active_task_runs())
        assert active == ["a.0", "a.2", "b.0", "b.1", "b.2"]

    async def test_what_does_not_exist_is_not_found(self) -> None:
        records = await self.opened()
        await records.create_run(a_run_record("run"))
        await missing("run-not-found", records.get_run("nobody"))
        await missing("run-not-found", records.update_run("nobody", RunPatch(), 1))
        await missing("run-not-found", records.delete_run("nobody"))
        await missing("run-not-found", records.create_task_run(a_task_record("nobody", 0)))
        for task_run_id in ("run.0", "nobody.0", "run", "", "run.h0"):
            await missing("task-run-not-found", records.get_task_run(task_run_id))
            update = records.update_task_run(task_run_id, TaskPatch(0), 1)
            await missing("task-run-not-found", update)
        await missing("cron-not-found", records.get_cron("nobody"))
        await missing("cron-not-found", records.update_cron("nobody", CronPatch(), 1))
        await missing("cron-not-found", records.delete_cron("nobody"))
        await missing("template-not-found", records.delete_template("nobody", "1"))

    # Copies, closing

    async def test_records_go_in_and_out_as_copies(self) -> None:
        records = await self.opened()
        run, task, cron = full_run(), full_task(), a_cron("c")
        await records.create_run(run)
        await records.create_task_run(task)
        await records.create_cron(cron)
        _spoil(run, task, cron)
        before = deepcopy(await _everything(records))
        assert "spoilt" not in str(before)
        run_patch = RunPatch(message="m")
        _spoil(
            *await _everything(records),
            *await records.list_active_runs(),
            *await records.list_runs_by_cron("cron"),
            *await records.list_children("run", 7),
            *await records.list_active_task_runs(),
            *await records.list_crons(),
        )
        assert await _everything(records) == before
        now = await records.update_run("run", run_patch, (await records.get_run("run")).token)
        _spoil(now)
        assert (await records.get_run("run")).message == "m"

    async def test_what_was_written_is_there_after_close_and_open(self) -> None:
        records = await self.opened()
        await records.create_run(full_run())
        await records.create_task_run(full_task())
        await records.create_cron(a_cron("c"))
        before = await _everything(records)
        records = await self.reopen(records)
        assert await _everything(records) == before
        await records.open()
        await records.close()
        await records.close()


async def _everything(records: Records) -> list[Any]:
    return [
        *await records.list_runs(),
        await records.get_run("run"),
        *await records.list_task_runs("run"),
        await records.get_task_run("run.4"),
        await records.get_cron("c"),
    ]


async def _comparable(records: Records, run_id: str) -> list[TaskRecord]:
    return [replace(task, token=0) for task in await records.list_task_runs(run_id)]


def _spoil(*records: Any) -> None:
    for record in records:
        if hasattr(record, "message"):
            record.message = "spoilt"
        else:
            record.last_run_id = "spoilt"
        if getattr(record, "labels", None):
            record.labels["tier"] = "spoilt"


def _ids(runs: Iterable[RunRecord]) -> list[str]:
    return [run.run_id for run in runs]


def _task_ids(tasks: Iterable[TaskRecord]) -> list[str]:
    return [task.task_run_id for task in tasks]
