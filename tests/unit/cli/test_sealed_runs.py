"""What the commands say of a database whose values are sealed, with its key and without."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from aether.adapters.secrets import EnvSecrets
from aether.adapters.store import SqliteStore
from aether.app import Aether
from aether.cli import exits
from aether.cli.main import run_cli

SECRETS = {
    "AETHER_SECRET_KEYS_ONE": base64.b64encode(bytes(range(32))).decode(),
    "AETHER_SECRET_KEYS_TWO": (b"\x05" * 32).hex(),
}
CARD = "4111 1111 1111 1111"
LARGE = "the same row again; " * 10_000


def document(text: str) -> dict[str, object]:
    task = {
        "name": "main",
        "executor": {"type": "echo"},
        "inputs": {"parameters": [{"name": "text", "value": text}]},
    }
    return {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "pay"},
        "spec": {"entrypoint": "main", "templates": [{"task": task}]},
    }


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run sealed with the first key, and one with the second, which is the newest."""
    path = tmp_path / "aether.db"

    async def live() -> None:
        for key, text in (("one", CARD), ("two", LARGE)):
            store = SqliteStore(path, durability="normal")
            secrets = EnvSecrets(environment=SECRETS)
            async with Aether(store=store, secrets=secrets, encryption=f"keys/{key}") as app:
                await app.wait(await app.submit(document(text), run_id=key))

    asyncio.run(live())
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return f"sqlite:///{path}"


def test_nothing_of_the_values_can_be_read_in_the_file(url: str) -> None:
    path = Path(url.removeprefix("sqlite:///"))
    told = b"".join(each.read_bytes() for each in path.parent.glob("aether.db*"))
    assert CARD.encode() not in told
    assert b"the same row again" not in told


def test_with_the_key_everything_is_shown(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AETHER_ENCRYPTION", "keys/two")
    assert run_cli(["show", "one", "--db", url]) == exits.OK
    assert CARD in capsys.readouterr().out
    assert run_cli(["audit", "verify", "--db", url]) == exits.OK
    assert "sealed" not in capsys.readouterr().out


def test_without_the_key_runs_are_listed_and_their_chain_is_verified(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["list", "--db", url]) == exits.OK
    assert "pay" in capsys.readouterr().out
    assert run_cli(["audit", "verify", "--db", url]) == exits.OK
    assert "the chain was read, the values were not" in capsys.readouterr().out


def test_without_the_key_a_command_that_shows_values_names_it(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["show", "one", "--db", url]) != exits.OK
    said = capsys.readouterr()
    assert "payload-key-missing" in said.out + said.err
    assert "'one'" in said.out + said.err


def test_an_export_seals_the_copy_with_the_newest_key(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = f"sqlite:///{tmp_path / 'copy.db'}"
    monkeypatch.setenv("AETHER_ENCRYPTION", "keys/two")
    assert run_cli(["db", "export", copy, "--db", url]) == exits.OK
    monkeypatch.delenv("AETHER_SECRET_KEYS_ONE")
    assert run_cli(["show", "one", "--db", copy]) == exits.OK
    assert CARD in capsys.readouterr().out
