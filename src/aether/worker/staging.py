"""The files around an execution: input artifacts before it, output artifacts after it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..errors import Problem, Refused
from ..ports import SUCCEEDED, ArtifactRepository, ArtifactTransfer, Assignment, Offload, Request
from .archives import pack, unpack
from .faults import Faults
from .outcome import Verdict

T = TypeVar("T")


class Staging:
    """Everything lies in one temporary folder per execution, which is gone when it is over."""

    def __init__(
        self,
        repositories: Mapping[str, ArtifactRepository],
        offload: Offload | None,
        faults: Faults,
    ) -> None:
        self._repositories = repositories
        self._offload = offload
        self._faults = faults

    async def run(
        self, assignment: Assignment, request: Request, answer: Coroutine[Any, Any, Verdict]
    ) -> Verdict:
        """`answer` runs the executor. Raises ProblemError when an artifact cannot be moved."""
        folder = Path(tempfile.mkdtemp(prefix="aether-"))
        try:
            request.output_dir = folder / "out"
            request.output_dir.mkdir()
            request.artifacts = {
                transfer.name: await self._fetch(transfer, folder)
                for transfer in assignment.artifacts
                if not transfer.output
            }
            verdict = await answer
            if verdict.outcome.code != SUCCEEDED:
                return verdict
            kept: dict[str, Any] = dict(verdict.outcome.artifacts)
            for transfer in assignment.artifacts:
                if transfer.output:
                    config = await self._keep(transfer, folder, assignment)
                    if config is not None:
                        kept[transfer.name] = config
            outcome = msgspec.structs.replace(verdict.outcome, artifacts=kept)
            return Verdict(outcome, verdict.outputs)
        finally:
            answer.close()  # does nothing unless it was never begun
            await self._away(partial(shutil.rmtree, folder, ignore_errors=True))

    async def _fetch(self, transfer: ArtifactTransfer, folder: Path) -> Path:
        repository = self._repository(transfer)
        target = _inside(folder / "in", transfer.name)
        if transfer.archive in ("", "none"):
            await repository.download(transfer.config, target)
            return target
        archive = _inside(folder / "packed", transfer.name)
        await repository.download(transfer.config, archive)
        await self._away(partial(unpack, archive, transfer.archive, target))
        archive.unlink()
        return target

    async def _keep(
        self, transfer: ArtifactTransfer, folder: Path, assignment: Assignment
    ) -> dict[str, Any] | None:
        """The config under which it is found again; None if the executor left nothing."""
        repository = self._repository(transfer)
        source = _inside(folder / "out", transfer.name)
        if source.is_symlink() or not source.exists():
            self._faults.report_task(
                "keep an artifact",
                f"the executor '{assignment.executor_type}' left no artifact '{transfer.name}'",
                assignment,
                None,
                "the task goes on without it",
            )
            return None
        if transfer.archive not in ("", "none"):
            packed = _inside(folder / "packed", transfer.name)
            await self._away(partial(pack, source, transfer.archive, packed))
            source = packed
        elif source.is_dir():
            raise Refused(
                Problem(
                    "artifact-archive",
                    f"the artifact '{transfer.name}' is a folder and can be kept only packed",
                    fix="declare `archive: {type: tar.gz}` for it, or write one file",
                )
            )
        return dict(await repository.upload(transfer.config, source))

    def _repository(self, transfer: ArtifactTransfer) -> ArtifactRepository:
        repository = self._repositories.get(transfer.type)
        if repository is None:
            known = ", ".join(sorted(self._repositories)) or "none"
            raise Refused(
                Problem(
                    "artifact-repository-unknown",
                    f"the artifact '{transfer.name}' lives in a repository of type '{transfer.type}', "
                    f"which this worker does not have (it has: {known})",
                    fix=f"hand an ArtifactRepository of type '{transfer.type}' to the worker",
                )
            )
        return repository

    async def _away(self, work: Callable[[], T]) -> T:
        return work() if self._offload is None else await self._offload(work)


def _inside(folder: Path, name: str) -> Path:
    """`folder / name`, provided that this is directly inside `folder`."""
    if not name or name in (".", "..") or any(sign in name for sign in "/\\\0:"):
        raise Refused(
            Problem(
                "artifact-name",
                f"'{name}' cannot be the name of an artifact's file",
                fix="use letters, digits, dots, - and _",
            )
        )
    folder.mkdir(exist_ok=True)
    return folder / name
