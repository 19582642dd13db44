"""The inbox of an SQLite store: a second process may post, and the owner sees it without looking much."""

from __future__ import annotations

from pathlib import Path

import pytest

from aether.adapters.store import SqliteStore
from aether.adapters.store.sqlite.inbox import Inbox
from aether.errors import Refused
from aether.ports import Consumed, Message, Posted, Session
from aether.record import RunPatch
from aether.testing.rows import a_run, changing, committed, creating


async def an_owner(path: Path) -> tuple[SqliteStore, int, int]:
    store = SqliteStore(path)
    await store.open()
    mine = (await store.session(Session(lease=1))).number
    return store, mine, await committed(store, creating(a_run("run", owner=mine)))


def a_message(key: str) -> Message:
    return Message(run_id="run", key=key, body=b"body", at=7)


async def test_a_store_that_is_read_only_posts_beside_its_owner(tmp_path: Path) -> None:
    owner, mine, token = await an_owner(tmp_path / "aether.db")
    beside = SqliteStore(tmp_path / "aether.db", read_only=True)
    await beside.open()
    assert list(await owner.inbox(mine)) == []
    assert list(await beside.post([a_message("a")])) == [Posted.ACCEPTED]
    assert list(await owner.inbox(mine)) == [a_message("a")]
    consumed = (Consumed("a", b"no"),)
    await committed(owner, changing("run", token, RunPatch(message="read"), consumed=consumed))
    assert list(await beside.answers("run", ["a"])) == [b"no"]
    with pytest.raises(Refused, match="read"):
        await beside.commit([creating(a_run("other"))])
    await beside.close()
    await owner.close()


async def test_posting_beside_neither_takes_the_lock_nor_shortens_the_log(tmp_path: Path) -> None:
    owner, mine, token = await an_owner(tmp_path / "aether.db")
    beside = SqliteStore(tmp_path / "aether.db", read_only=True)
    await beside.open()
    for number in range(20):
        assert list(await beside.post([a_message(f"k{number}")])) == [Posted.ACCEPTED]
        token = await committed(owner, changing("run", token, RunPatch(seq=number)))
    assert len(await owner.inbox(mine)) == 20
    await beside.close()
    await owner.close()


async def test_the_table_is_not_read_while_nobody_else_has_written(tmp_path: Path) -> None:
    owner, mine, token = await an_owner(tmp_path / "aether.db")
    await owner.claim(["nobody"], mine)
    asked: list[str] = []
    inbox: Inbox = owner._parts().changes().inbox
    real = inbox._db

    class Counting:
        def execute(self, text: str, values: tuple[object, ...] = ()) -> object:
            asked.append(text)
            return real.execute(text, values)

    await owner.inbox(mine)
    inbox._db = Counting()  # type: ignore[assignment]
    for seq in range(5):
        token = await committed(owner, changing("run", token, RunPatch(seq=seq)))
        assert list(await owner.inbox(mine)) == []
    assert asked == ["PRAGMA data_version"] * 5
    inbox._db = real
    await owner.close()


async def test_messages_wait_for_the_next_engine(tmp_path: Path) -> None:
    owner, _, _ = await an_owner(tmp_path / "aether.db")
    await owner.close()
    beside = SqliteStore(tmp_path / "aether.db", read_only=True)
    await beside.open()
    await beside.post([a_message("a")])
    await beside.close()
    again = SqliteStore(tmp_path / "aether.db")
    await again.open()
    mine = (await again.session(Session(lease=1))).number
    assert list(await again.inbox(mine)) == []
    await again.claim(["run"], mine)
    assert list(await again.inbox(mine)) == [a_message("a")]
    await again.close()
