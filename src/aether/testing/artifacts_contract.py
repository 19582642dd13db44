"""What every ArtifactRepository promises."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ..errors import NotFound, Refused
from ..ports import ArtifactRepository
from .suites import ContractSuite

CONTENTS = (b"", b"text\n", bytes(range(256)) * 40, b"\r\n\x00\x1a" * 700_000)
JUNK: tuple[Mapping[str, Any], ...] = (
    {},
    {"unknown": 1},
    {"path": None, "url": None},
    {"path": 7, "url": 7, "bucket": 7},
    {"path": "", "url": "", "key": ""},
    {"path": ["a"], "url": {"a": 1}, "headers": "x"},
)


class ArtifactRepositoryContract(ContractSuite):
    """`make` returns an empty repository and `config` a right config for an artifact of this name.

    `make_unreachable` returns a repository that cannot be reached, or refuses everything.
    """

    async def make(self) -> ArtifactRepository:
        raise NotImplementedError

    def config(self, name: str) -> Mapping[str, Any]:
        raise NotImplementedError

    async def make_unreachable(self) -> ArtifactRepository:
        pytest.skip("override make_unreachable to show what happens without the repository")

    def _file(self, content: bytes) -> Path:
        file = self.folder() / "source"
        file.write_bytes(content)
        return file

    async def test_it_names_its_type(self) -> None:
        repository = await self.make()
        assert isinstance(repository.type, str)
        assert repository.type

    async def test_the_bytes_come_back_under_the_config_returned(self) -> None:
        repository = await self.make()
        target = self.folder() / "target"
        for number, content in enumerate(CONTENTS):
            kept = await repository.upload(self.config(f"a-{number}"), self._file(content))
            await repository.download(kept, target)
            assert target.read_bytes() == content

    async def test_the_config_returned_passes_the_check(self) -> None:
        repository = await self.make()
        kept = await repository.upload(self.config("a"), self._file(b"x"))
        assert repository.check(kept) == []

    async def test_uploading_again_replaces(self) -> None:
        repository = await self.make()
        await repository.upload(self.config("a"), self._file(b"long first text"))
        kept = await repository.upload(self.config("a"), self._file(b"second"))
        target = self.folder() / "target"
        await repository.download(kept, target)
        assert target.read_bytes() == b"second"

    async def test_an_upload_that_fails_leaves_what_was_kept(self) -> None:
        repository = await self.make()
        kept = await repository.upload(self.config("a"), self._file(b"first"))
        folder = self.folder()
        for unreadable in (folder / "missing", folder):
            with pytest.raises(Refused) as raised:
                await repository.upload(self.config("a"), unreadable)
            assert raised.value.code == "artifact-transfer"
        target = folder / "target"
        await repository.download(kept, target)
        assert target.read_bytes() == b"first"

    async def test_two_names_are_two_artifacts(self) -> None:
        repository = await self.make()
        kept = [
            await repository.upload(self.config(name), self._file(name.encode())) for name in "ab"
        ]
        target = self.folder() / "target"
        for name, config in zip("ab", kept, strict=True):
            await repository.download(config, target)
            assert target.read_bytes() == name.encode()

    async def test_what_does_not_exist_is_not_found_and_the_target_is_untouched(self) -> None:
        repository = await self.make()
        folder = self.folder()
        target = folder / "target"
        with pytest.raises(NotFound) as raised:
            await repository.download(self.config("nothing"), target)
        assert raised.value.code == "artifact-not-found"
        assert list(folder.iterdir()) == []
        target.write_bytes(b"before")
        with pytest.raises(NotFound):
            await repository.download(self.config("nothing"), target)
        assert target.read_bytes() == b"before"

    async def test_a_download_replaces_and_leaves_nothing_beside_its_target(self) -> None:
        repository = await self.make()
        kept = await repository.upload(self.config("a"), self._file(b"new"))
        folder = self.folder()
        target = folder / "target"
        target.write_bytes(b"older and longer")
        await repository.download(kept, target)
        assert target.read_bytes() == b"new"
        assert list(folder.iterdir()) == [target]

    async def test_a_target_that_cannot_be_written_is_refused(self) -> None:
        repository = await self.make()
        kept = await repository.upload(self.config("a"), self._file(b"x"))
        folder = self.folder()
        (folder / "full").mkdir()
        (folder / "full" / "file").write_bytes(b"")
        with pytest.raises(Refused) as raised:
            await repository.download(kept, folder / "full")
        assert raised.value.code == "artifact-transfer"

    async def test_delete_removes_and_does_nothing_when_it_is_gone(self) -> None:
        repository = await self.make()
        kept = await repository.upload(self.config("a"), self._file(b"x"))
        other = await repository.upload(self.config("b"), self._file(b"y"))
        await repository.delete(kept)
        await repository.delete(kept)
        with pytest.raises(NotFound):
            await repository.download(kept, self.folder() / "target")
        await repository.download(other, self.folder() / "target")

    async def test_several_transfers_may_run_at_the_same_time(self) -> None:
        repository = await self.make()
        names = [f"n-{number}" for number in range(8)]
        files = [self._file(name.encode() * 50_000) for name in names]
        kept = await asyncio.gather(
            *(
                repository.upload(self.config(name), file)
                for name, file in zip(names, files, strict=True)
            )
        )
        targets = [self.folder() / name for name in names]
        await asyncio.gather(
            *(
                repository.download(config, target)
                for config, target in zip(kept, targets, strict=True)
            )
        )
        assert [target.read_bytes() for target in targets] == [file.read_bytes() for file in files]

    async def test_check_says_nothing_about_a_right_config(self) -> None:
        repository = await self.make()
        sentences: object = repository.check(self.config("a"))
        if inspect.iscoroutine(sentences):
            sentences.close()
        assert sentences == []

    async def test_check_finds_fault_with_junk_and_takes_any_object(self) -> None:
        repository = await self.make()
        for junk in JUNK:
            sentences = repository.check(junk)
            assert sentences, f"nothing wrong with {junk}?"
            assert all(isinstance(sentence, str) and sentence for sentence in sentences)

    async def test_a_config_that_check_finds_fault_with_is_refused(self) -> None:
        repository = await self.make()
        file, target = self._file(b"x"), self.folder() / "target"
        for junk in JUNK:
            for call in (
                repository.upload(junk, file),
                repository.download(junk, target),
                repository.delete(junk),
            ):
                with pytest.raises(Refused) as raised:
                    await call
                assert raised.value.code == "artifact-transfer"
        assert not target.exists()

    async def test_a_repository_out_of_reach_refuses_and_the_target_is_untouched(self) -> None:
        repository = await self.make_unreachable()
        target = self._file(b"before")
        for call in (
            repository.upload(self.config("a"), self._file(b"x")),
            repository.download(self.config("a"), target),
        ):
            with pytest.raises(Refused) as raised:
                await call
            assert raised.value.code == "artifact-transfer"
        assert target.read_bytes() == b"before"
