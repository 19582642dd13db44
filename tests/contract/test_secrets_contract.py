"""The secret providers keep their promises, and the suite finds those that do not."""

import asyncio
import logging
from pathlib import Path

import pytest

from aether.adapters.secrets import DirectorySecrets, EnvSecrets
from aether.testing import SecretProviderContract, rejects


class TestEnvSecrets(SecretProviderContract):
    def make(self, secrets):
        self.environment = {}
        provider = EnvSecrets("S_", self.environment)
        for name, keys in secrets.items():
            for key, value in keys.items():
                self.environment[provider.variable(name, key)] = value
        return provider

    def change(self, provider, name, key, value):
        self.environment[provider.variable(name, key)] = value


class TestDirectorySecrets(SecretProviderContract):
    def make(self, secrets):
        self.root = self.folder()
        for name, keys in secrets.items():
            (self.root / name).mkdir()
            for key, value in keys.items():
                (self.root / name / key).write_text(value)
        return DirectorySecrets(self.root)

    def change(self, provider, name, key, value):
        (self.root / name / key).write_text(value)

    def make_unavailable(self):
        return DirectorySecrets(self.folder() / "not mounted")


class PlainSecrets:
    """A good provider, and the base of the broken ones below."""

    def __init__(self, secrets):
        self.kept = {name: dict(keys) for name, keys in secrets.items()}

    async def get(self, name, key):
        return self.kept.get(name, {}).get(key)


class PlainSuite(SecretProviderContract):
    def make(self, secrets):
        return PlainSecrets(secrets)

    def change(self, provider, name, key, value):
        provider.kept[name][key] = value


class TestPlainSecrets(PlainSuite):
    pass


class FalsySecrets(PlainSecrets):
    async def get(self, name, key):
        return await super().get(name, key) or None


class StrippingSecrets(PlainSecrets):
    async def get(self, name, key):
        value = await super().get(name, key)
        return value and value.strip()


class RaisingSecrets(PlainSecrets):
    async def get(self, name, key):
        return self.kept[name][key]


class CachingSecrets(PlainSecrets):
    def __init__(self, secrets):
        super().__init__(secrets)
        self.cache = {}

    async def get(self, name, key):
        return self.cache.setdefault((name, key), await super().get(name, key))


class TalkativeSecrets(PlainSecrets):
    async def get(self, name, key):
        value = await super().get(name, key)
        logging.getLogger("talk").debug("%s/%s is %s", name, key, value)
        return value


class ShowingSecrets(PlainSecrets):
    def __repr__(self):
        return f"ShowingSecrets({self.kept})"


class WanderingSecrets(PlainSecrets):
    """Normalises a path, and so finds its way out and in again."""

    async def get(self, name, key):
        parts = [part for part in Path(name, key).parts if part not in ("/", "..", ".")]
        return await super().get(*parts[-2:]) if len(parts) > 1 else None


class SharedBuffer(PlainSecrets):
    """Calls at the same time get each other's values."""

    async def get(self, name, key):
        self.asked = (name, key)
        await asyncio.sleep(0)
        return await super().get(*self.asked)


@pytest.mark.parametrize(
    ("broken", "by"),
    [
        (FalsySecrets, "test_an_empty_text_is_a_secret"),
        (StrippingSecrets, "test_every_secret_is_found_as_it_is_kept"),
        (RaisingSecrets, "test_what_does_not_exist_is_none"),
        (CachingSecrets, "test_a_changed_secret_is_seen_by_the_next_call"),
        (TalkativeSecrets, "test_values_are_neither_logged_nor_shown"),
        (ShowingSecrets, "test_values_are_neither_logged_nor_shown"),
        (WanderingSecrets, "test_names_and_keys_that_try_to_leave_do_not_exist"),
        (SharedBuffer, "test_many_calls_at_the_same_time_are_answered"),
    ],
)
def test_the_suite_rejects(broken, by):
    rejects(PlainSuite, broken, by=by)


def test_the_suite_rejects_a_provider_that_takes_a_lost_mount_for_a_missing_secret():
    class Suite(PlainSuite):
        def make_unavailable(self):
            return PlainSecrets({})

    rejects(Suite, PlainSecrets, by="test_a_place_out_of_reach_is_no_missing_secret")
