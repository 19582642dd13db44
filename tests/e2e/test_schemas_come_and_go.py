"""Executor schemas: stored when registered, reloaded at start, removed when their worker leaves."""

from __future__ import annotations

import pytest

from aether import Aether, Engine, Execution, InvalidDocument, MemoryStore, Schema, UuidV7Ids
from aether.adapters.broker import LocalBroker
from aether.ports import Field


async def test_what_an_app_serves_is_stored_while_it_is_up() -> None:
    store = MemoryStore()
    app = Aether(store=store)
    app.executor("resize")(lambda width: {"width": width})
    async with app:
        assert "resize" in {row.type for row in await store.schemas()}
        await store.open()
    assert await store.schemas() == []


async def test_schema_of_another_worker_is_reloaded_by_the_next_engine() -> None:
    store = MemoryStore()
    schema = Schema(type="resize", inputs=(Field("width", "int", required=True),))
    async with Engine(store=store, broker=LocalBroker(), id_generator=UuidV7Ids()) as engine:
        await engine.register_schema(schema, "worker-1")
    document = {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "w"},
        "spec": {
            "entrypoint": "main",
            "templates": [{"task": {"name": "main", "executor": {"type": "resize"}}}],
        },
    }
    async with Engine(store=store, broker=LocalBroker(), id_generator=UuidV7Ids()) as engine:
        with pytest.raises(InvalidDocument, match="requires the input 'width'"):
            await engine.submit(document)
        await engine.unregister_schemas("worker-1")
        execution: Execution = await engine.get(await engine.submit(document))
    assert execution.status == "Ready"
