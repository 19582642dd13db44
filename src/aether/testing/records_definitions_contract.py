"""What every Records promises about schemas, crons and templates."""

from __future__ import annotations

import pytest

from ..errors import TokenMismatch
from ..ports import CronPatch
from ..record import SchemaRow
from .records_suite import RecordsSuite, missing, patched
from .rows import START, a_cron, a_template


class RecordsDefinitionPromises(RecordsSuite):
    # Schemas, crons, templates

    async def test_schemas_are_replaced_and_listed_by_worker_then_type(self) -> None:
        records = await self.opened()
        for worker_id, kind in (("w2", "b"), ("w1", "b"), ("", "z"), ("w1", "a")):
            await records.upsert_schema(SchemaRow(worker_id=worker_id, type=kind, schema=b"1"))
        await records.upsert_schema(SchemaRow(worker_id="w1", type="b", schema=b"2"))
        assert [(row.worker_id, row.type, row.schema) for row in await records.list_schemas()] == [
            ("", "z", b"1"),
            ("w1", "a", b"1"),
            ("w1", "b", b"2"),
            ("w2", "b", b"1"),
        ]

    async def test_schemas_are_deleted_where_all_given_filters_match(self) -> None:
        for kind, worker_id, left in (
            ("a", "", ["w1b"]),
            ("", "w1", ["w2a"]),
            ("a", "w1", ["w1b", "w2a"]),
            ("", "", []),
        ):
            records = await self.opened()
            for row in (("w1", "a"), ("w1", "b"), ("w2", "a")):
                await records.upsert_schema(SchemaRow(worker_id=row[0], type=row[1], schema=b""))
            assert await records.delete_schemas(kind, worker_id) == 3 - len(left)
            assert [row.worker_id + row.type for row in await records.list_schemas()] == left

    async def test_a_cron_is_created_once_and_updated_in_part_under_its_token(self) -> None:
        records = await self.opened()
        made = await records.create_cron(a_cron("c", last_run_id="r"))
        assert made == a_cron("c", last_run_id="r", token=made.token)
        with pytest.raises(TokenMismatch):
            await records.create_cron(a_cron("c", name="again"))
        patch = CronPatch(last_fire_at=7, suspended=True, pending=(("r", START, None),))
        now = await records.update_cron("c", patch, made.token)
        assert now == patched(made, patch, now.token)
        for token in (made.token, now.token + 1000):
            with pytest.raises(TokenMismatch):
                await records.update_cron("c", CronPatch(name="late"), token)
        assert await records.get_cron("c") == now

    async def test_crons_are_listed_by_id_and_deleted(self) -> None:
        records = await self.opened()
        for cron_id in ("b", "c", "a"):
            await records.create_cron(a_cron(cron_id))
        await records.delete_cron("b")
        assert [row.cron_id for row in await records.list_crons()] == ["a", "c"]
        await missing("cron-not-found", records.get_cron("b"))

    async def test_templates_are_listed_by_name_then_creation_then_as_they_were_put(self) -> None:
        records = await self.opened()
        for name, version, created_at in (
            ("b", "1", 5),
            ("a", "9", 30),
            ("a", "10", 30),
            ("a", "2", 10),
        ):
            await records.create_template(a_template(name, version, created_at))
        with pytest.raises(TokenMismatch):
            await records.create_template(a_template("a", "9", 99))
        listed = [row.name + row.version for row in await records.list_templates()]
        assert listed == ["a2", "a9", "a10", "b1"]
        await records.delete_template("a", "9")
        assert [row.version for row in await records.list_templates("a")] == ["2", "10"]
        assert list(await records.list_templates("z")) == []
