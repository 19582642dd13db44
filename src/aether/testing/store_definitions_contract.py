"""What every Store promises about crons, templates and executor schemas."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ..errors import TokenMismatch
from ..ports import RunQuery
from ..record import (
    SchemaRow,
)
from .rows import (
    START,
    TEXT,
    a_cron,
    a_run,
    a_template,
    committed,
    creating,
)
from .store_suite import StoreSuite, listed_ids
from .whole_rows import (
    FULL_CRON,
)


class DefinitionPromises(StoreSuite):
    # Crons, templates, schemas

    async def test_a_cron_is_created_once_and_replaced_under_its_token(self) -> None:
        store = await self.opened()
        first = await store.put_cron(a_cron("c", token=99), None)
        assert await store.cron("c") == a_cron("c", token=first)
        with pytest.raises(TokenMismatch):
            await store.put_cron(a_cron("c", name="again"), None)
        changed = replace(FULL_CRON, name="weekly", document=b"{}")
        second = await store.put_cron(replace(changed, created_at=1), first)
        assert second != first
        assert await store.cron("c") == replace(changed, token=second)
        for token in (first, second + 1000):
            with pytest.raises(TokenMismatch):
                await store.put_cron(a_cron("c", name="late"), token)
        assert await store.cron("c") == replace(changed, token=second)

    async def test_a_cron_that_does_not_exist_cannot_be_replaced(self) -> None:
        store = await self.opened()
        with pytest.raises(TokenMismatch):
            await store.put_cron(a_cron("c"), 1)
        assert await store.cron("c") is None

    async def test_crons_are_listed_by_id_and_deleted(self) -> None:
        store = await self.opened()
        for cron_id in ("b", "c", "a"):
            await store.put_cron(a_cron(cron_id), None)
        assert [row.cron_id for row in await store.crons()] == ["a", "b", "c"]
        await committed(store, creating(a_run("run", cron_id="b")))
        assert await store.delete_cron("b") is True
        assert await store.delete_cron("b") is False
        assert await store.cron("b") is None
        assert [row.cron_id for row in await store.crons()] == ["a", "c"]
        assert await listed_ids(store, RunQuery(cron_id="b")) == ["run"]

    async def test_a_template_version_is_put_once(self) -> None:
        store = await self.opened()
        await store.put_template(a_template("t", "1"))
        with pytest.raises(TokenMismatch):
            await store.put_template(a_template("t", "1", START + 1))
        assert await store.templates() == [a_template("t", "1")]

    async def test_the_newest_template_is_the_last_created(self) -> None:
        store = await self.opened()
        for version, created_at in (("1", 30), ("2", 10), ("9", 30), ("10", 30), ("3", 20)):
            await store.put_template(a_template("t", version, created_at))
        newest = await store.template("t")
        assert newest is not None
        assert newest.version == "10"
        assert await store.template("t", "2") == a_template("t", "2", 10)
        assert await store.template("t", "4") is None
        assert await store.template("u") is None
        versions = [row.version for row in await store.templates("t")]
        assert versions == ["2", "3", "1", "9", "10"]

    async def test_templates_are_listed_by_name_and_deleted_by_version(self) -> None:
        store = await self.opened()
        for name, version in (("b", "1"), ("a", "2"), ("a", "1"), ("c", "1")):
            await store.put_template(a_template(name, version))
        listed = [(row.name, row.version) for row in await store.templates()]
        assert listed == [("a", "2"), ("a", "1"), ("b", "1"), ("c", "1")]
        assert list(await store.templates("z")) == []
        assert await store.delete_template("a", "1") is True
        assert await store.delete_template("a", "1") is False
        assert await store.delete_template("z", "1") is False
        assert [row.version for row in await store.templates("a")] == ["2"]
        await store.put_template(a_template("a", "1"))

    async def test_schemas_are_replaced_and_listed_by_worker_then_type(self) -> None:
        store = await self.opened()
        for worker_id, kind in (("w2", "b"), ("w1", "b"), ("", "z"), ("w1", "a")):
            await store.put_schema(SchemaRow(worker_id=worker_id, type=kind, schema=b"1"))
        await store.put_schema(SchemaRow(worker_id="w1", type="b", schema=b"2"))
        listed = [(row.worker_id, row.type, row.schema) for row in await store.schemas()]
        assert listed == [
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
            ("b", "w2", ["w1a", "w1b", "w2a"]),
            ("", "", []),
        ):
            store = await self.opened()
            for row in (("w1", "a"), ("w1", "b"), ("w2", "a")):
                await store.put_schema(SchemaRow(worker_id=row[0], type=row[1], schema=b""))
            assert await store.delete_schemas(kind, worker_id) == 3 - len(left)
            assert [row.worker_id + row.type for row in await store.schemas()] == left

    async def test_definitions_go_in_and_out_as_copies(self) -> None:
        store = await self.opened()
        cron, template = a_cron("c"), a_template("t", "1")
        schema = SchemaRow(worker_id="w", type="echo", schema=b"{}")
        await store.put_cron(cron, None)
        await store.put_template(template)
        await store.put_schema(schema)
        cron.name, template.document, schema.schema = "changed", b"changed", b"changed"
        for _ in range(2):
            out = await store.cron("c")
            newest = await store.template("t")
            assert out is not None
            assert newest is not None
            crons, templates, schemas = (
                await store.crons(),
                await store.templates(),
                await store.schemas(),
            )
            assert [out.name, crons[0].name] == ["nightly", "nightly"]
            assert [newest.document, templates[0].document] == [TEXT, TEXT]
            assert schemas[0].schema == b"{}"
            out.name = crons[0].name = "changed"
            newest.document = templates[0].document = schemas[0].schema = b"changed"
