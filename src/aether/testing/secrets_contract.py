"""What every SecretProvider promises."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import pytest

from ..errors import StoreUnavailable
from ..ports import SecretProvider
from .suites import ContractSuite

Secrets = Mapping[str, Mapping[str, str]]

KEPT: Secrets = {
    "billing": {"token": "hunter2-hunter2", "api-key": "k-123"},
    "texts": {"lines": "one\ntwo", "unicode": "pässwörd→", "blank": " x ", "empty": ""},
}
STRANGE = ("../billing", "..", ".", "", "/etc", "a/b", "a\\b", "a\x00b", "~", "n" * 5000, "ü", " ")


class SecretProviderContract(ContractSuite):
    """`make` returns a provider that holds the secrets given, text by name and key. `change` alters one
    where it is kept; `make_unavailable` returns a provider that cannot reach its secrets."""

    def make(self, secrets: Secrets) -> SecretProvider:
        raise NotImplementedError

    def change(self, provider: SecretProvider, name: str, key: str, value: str) -> None:
        pytest.skip("override change to show that a changed secret is seen")

    def make_unavailable(self) -> SecretProvider:
        pytest.skip("override make_unavailable if the place of the secrets can be out of reach")

    async def test_every_secret_is_found_as_it_is_kept(self) -> None:
        provider = self.make(KEPT)
        for name, keys in KEPT.items():
            for key, value in keys.items():
                assert await provider.get(name, key) == value, f"{name}/{key}"

    async def test_an_empty_text_is_a_secret(self) -> None:
        assert await self.make(KEPT).get("texts", "empty") == ""

    async def test_what_does_not_exist_is_none(self) -> None:
        provider = self.make(KEPT)
        assert await provider.get("nobody", "token") is None
        assert await provider.get("billing", "nothing") is None
        assert await provider.get("billing", "lines") is None

    async def test_names_and_keys_that_try_to_leave_do_not_exist(self) -> None:
        provider = self.make(KEPT)
        for strange in STRANGE:
            assert await provider.get(strange, "token") is None, repr(strange)
            assert await provider.get("billing", strange) is None, repr(strange)
        assert await provider.get("billing", "../billing/token") is None
        assert await provider.get("billing/token", "") is None

    async def test_a_changed_secret_is_seen_by_the_next_call(self) -> None:
        provider = self.make(KEPT)
        assert await provider.get("billing", "token") == "hunter2-hunter2"
        self.change(provider, "billing", "token", "changed")
        assert await provider.get("billing", "token") == "changed"

    async def test_values_are_neither_logged_nor_shown(self) -> None:
        heard: list[str] = []

        class Listener(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                heard.append(self.format(record))

        root, listener = logging.getLogger(), Listener()
        level = root.level
        root.addHandler(listener)
        root.setLevel(logging.DEBUG)
        try:
            provider = self.make(KEPT)
            await provider.get("billing", "token")
            await provider.get("billing", "nothing")
        finally:
            root.removeHandler(listener)
            root.setLevel(level)
        shown = [*heard, repr(provider), str(provider)]
        assert not [text for text in shown if "hunter2" in text]

    async def test_many_calls_at_the_same_time_are_answered(self) -> None:
        provider = self.make(KEPT)
        asked = [(name, key) for name, keys in KEPT.items() for key in keys] * 10
        answers = await asyncio.gather(*(provider.get(name, key) for name, key in asked))
        assert answers == [KEPT[name][key] for name, key in asked]

    async def test_a_place_out_of_reach_is_no_missing_secret(self) -> None:
        provider = self.make_unavailable()
        with pytest.raises(StoreUnavailable):
            await provider.get("billing", "token")
