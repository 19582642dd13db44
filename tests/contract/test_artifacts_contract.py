"""The artifact repositories keep their promises, and the suite finds those that do not."""

import shutil

import pytest
from aiohttp import web

from aether.adapters.artifacts import HttpArtifacts, LocalArtifacts
from aether.errors import NotFound
from aether.testing import ArtifactRepositoryContract, rejects


class TestLocalArtifacts(ArtifactRepositoryContract):
    async def make(self):
        return LocalArtifacts(self.folder())

    def config(self, name):
        return {"path": f"reports/{name}.bin"}

    async def make_unreachable(self):
        file = self.folder() / "no folder"
        file.write_bytes(b"")
        return LocalArtifacts(file)


async def serve(suite, refuse=False):
    kept = {}

    async def answer(request):
        if refuse:
            return web.Response(status=403)
        if request.method == "PUT":
            kept[request.path] = await request.read()
            return web.Response(status=201)
        if request.path not in kept:
            return web.Response(status=404)
        if request.method == "DELETE":
            del kept[request.path]
            return web.Response(status=204)
        return web.Response(body=kept[request.path])

    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{name}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    suite.defer(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    suite.base = f"http://127.0.0.1:{runner.addresses[0][1]}"


class TestHttpArtifacts(ArtifactRepositoryContract):
    async def make(self):
        await serve(self)
        return HttpArtifacts()

    def config(self, name):
        return {"url": f"{self.base}/{name}", "headers": {"X-Team": "data"}}

    async def make_unreachable(self):
        await serve(self, refuse=True)
        return HttpArtifacts()


class LocalSuite(ArtifactRepositoryContract):
    def config(self, name):
        return {"path": name}


class FirstWins(LocalArtifacts):
    async def upload(self, config, file):
        if not self.check(config) and (self._root / config["path"]).exists():
            return config
        return await super().upload(config, file)


class TextArtifacts(LocalArtifacts):
    """Takes every file for text."""

    async def upload(self, config, file):
        kept = await super().upload(config, file)
        place = self._root / config["path"]
        place.write_bytes(place.read_bytes().replace(b"\r\n", b"\n"))
        return kept


class TruncatingArtifacts(LocalArtifacts):
    """Opens its own file before it has read the other."""

    async def upload(self, config, file):
        if not self.check(config):
            (self._root / config["path"]).write_bytes(b"")
        return await super().upload(config, file)


class EagerTarget(LocalArtifacts):
    """Makes the target before it knows that there is something to put in."""

    async def download(self, config, target):
        if not self.check(config):
            target.write_bytes(b"")
        await super().download(config, target)


class LitteringArtifacts(LocalArtifacts):
    async def download(self, config, target):
        await super().download(config, target)
        shutil.copy(target, target.with_suffix(".part"))


class TouchyDelete(LocalArtifacts):
    async def delete(self, config):
        if not self.check(config) and not (self._root / config["path"]).exists():
            raise NotFound(())
        await super().delete(config)


class GreedyDelete(LocalArtifacts):
    async def delete(self, config):
        if not self.check(config):
            shutil.rmtree(self._root)
            self._root.mkdir()
        else:
            await super().delete(config)


class Credulous(LocalArtifacts):
    def check(self, config):
        return []


class RawErrors(LocalArtifacts):
    """Lets the system's errors through."""

    def _keep(self, file, kept):
        shutil.copy(file, kept)


@pytest.mark.parametrize(
    ("broken", "by"),
    [
        (FirstWins, "test_uploading_again_replaces"),
        (TextArtifacts, "test_the_bytes_come_back_under_the_config_returned"),
        (TruncatingArtifacts, "test_an_upload_that_fails_leaves_what_was_kept"),
        (EagerTarget, "test_what_does_not_exist_is_not_found_and_the_target_is_untouched"),
        (LitteringArtifacts, "test_a_download_replaces_and_leaves_nothing_beside_its_target"),
        (TouchyDelete, "test_delete_removes_and_does_nothing_when_it_is_gone"),
        (GreedyDelete, "test_delete_removes_and_does_nothing_when_it_is_gone"),
        (Credulous, "test_check_finds_fault_with_junk_and_takes_any_object"),
        (RawErrors, "test_an_upload_that_fails_leaves_what_was_kept"),
    ],
)
def test_the_suite_rejects(broken, by, tmp_path_factory):
    def factory():
        return broken(tmp_path_factory.mktemp("kept"))

    factory.__name__ = broken.__name__
    rejects(LocalSuite, factory, by=by, seconds=5)
