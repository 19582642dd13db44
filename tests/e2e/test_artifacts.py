"""Artifacts from one task to the next, through an engine, a worker and a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aether import Aether, Outcome, Request, Schema
from aether.adapters.artifacts import LocalArtifacts

DOCUMENT: dict[str, Any] = {
    "apiVersion": "aether/v1",
    "kind": "Workflow",
    "metadata": {"name": "chain"},
    "spec": {
        "entrypoint": "main",
        "templates": [
            {
                "dag": {
                    "name": "main",
                    "tasks": [
                        {
                            "name": "write",
                            "executor": {"type": "write"},
                            "outputs": {
                                "artifacts": [{"name": "report", "archive": {"type": "tar.gz"}}]
                            },
                        },
                        {
                            "name": "read",
                            "executor": {"type": "read"},
                            "dependencies": ["write"],
                            "inputs": {
                                "artifacts": [
                                    {"name": "in", "from": "tasks.write.outputs.artifacts.report"}
                                ]
                            },
                        },
                    ],
                }
            }
        ],
    },
}


class Write:
    schema = Schema(type="write")

    async def execute(self, request: Request) -> Outcome:
        assert request.output_dir is not None
        folder = request.output_dir / "report"
        folder.mkdir()
        (folder / "text.txt").write_text("hello from afar")
        return Outcome()


class Read:
    schema = Schema(type="read")

    async def execute(self, request: Request) -> Outcome:
        found = list(request.artifacts["in"].rglob("*.txt"))
        return Outcome.succeeded(text=found[0].read_text())


async def test_an_output_folder_is_packed_kept_and_unpacked_for_the_next_task(
    tmp_path: Path,
) -> None:
    app = Aether("memory:", artifacts=[LocalArtifacts(tmp_path)])
    app.register(Write())
    app.register(Read())
    async with app:
        execution = await app.submit_and_wait(DOCUMENT, timeout=10)
        assert execution.task("read").message == ""
        assert execution.task("read").output_values == {"text": "hello from afar"}
        assert [path for path in tmp_path.rglob("*") if path.is_file()]

        await app.delete(execution.run_id)
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
