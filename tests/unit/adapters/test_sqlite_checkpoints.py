"""The thread that moves the log comes to an end whenever it is asked to."""

from __future__ import annotations

import threading
from pathlib import Path

import apsw
import pytest

from aether.adapters.store.sqlite import checkpoints
from aether.adapters.store.sqlite.checkpoints import LONG, Checkpoints


class Slow:
    """A connection whose checkpoint takes until somebody closes."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.closed = False

    def wal_checkpoint(self, **_: object) -> None:
        self.begun.set()
        assert self.may_end.wait(20)

    def close(self) -> None:
        self.closed = True


def test_a_close_that_comes_during_a_checkpoint_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slow = Slow()
    monkeypatch.setattr(checkpoints, "connect", lambda path, durability: slow)
    thread = Checkpoints(tmp_path / "aether.db", "full")
    writer = apsw.Connection(":memory:")
    thread.grown(writer, "main", LONG)
    assert slow.begun.wait(20)
    closing = threading.Thread(target=thread.close, daemon=True)
    asked = thread._wanted.set

    def ask() -> None:
        asked()
        slow.may_end.set()

    monkeypatch.setattr(thread._wanted, "set", ask)
    closing.start()
    closing.join(5)
    assert not closing.is_alive()
    assert slow.closed
    writer.close()
