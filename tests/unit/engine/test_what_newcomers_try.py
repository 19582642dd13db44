"""The first mistakes that people make are answered with what to do instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from aether import Aether, InvalidState, Refused, WaitTimeout

DOCUMENT = """
apiVersion: aether/v1
kind: Workflow
metadata: {name: lonely}
spec:
  entrypoint: main
  templates: [{task: {name: main, executor: {type: nobody}}}]
"""


@pytest.mark.parametrize("given", ["hello.yaml", "a/b.json", Path("hello.yaml"), None, 7])
async def test_what_is_no_document_is_told_how_to_read_a_file(given):
    async with Aether("memory:") as app:
        with pytest.raises(Refused, match="read_text") as caught:
            await app.submit(given)
    assert caught.value.code == "not-a-document"


@pytest.mark.parametrize("given", [[1], "x=1"])
async def test_arguments_that_are_no_mapping_are_refused(given):
    async with Aether("memory:") as app:
        with pytest.raises(Refused) as caught:
            await app.submit(DOCUMENT, given)
    assert caught.value.code == "argument-type"


async def test_a_wait_that_ends_says_what_the_run_waits_for():
    async with Aether("memory:") as app:
        with pytest.raises(WaitTimeout, match="no worker serves executor type 'nobody'"):
            await app.submit_and_wait(DOCUMENT, timeout=0)


async def test_after_a_stop_calls_are_refused_until_the_app_is_started_again():
    async with Aether("memory:") as app:
        pass
    with pytest.raises(InvalidState, match="has been stopped"):
        await app.submit(DOCUMENT)
    async with app:
        assert await app.submit(DOCUMENT)
