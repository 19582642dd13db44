"""References to templates that nobody stored are told at submit, with their line."""

from __future__ import annotations

import pytest

from aether import Aether, InvalidDocument

REFERS = """
apiVersion: aether/v1
kind: {kind}
metadata: {{name: refers}}
spec:{cron}
    entrypoint: main
    templates:
      - dag: {{name: main, tasks: [{{name: hello, templateRef: {{name: nobody}}}}]}}
"""
CRON = """
  schedule: "@daily"
  workflowSpec:"""


async def test_a_reference_to_nothing_is_refused_with_its_line():
    async with Aether("memory:") as app:
        with pytest.raises(InvalidDocument) as caught:
            await app.submit(REFERS.format(kind="Workflow", cron=""))
    (problem,) = caught.value.problems
    assert problem.code == "unknown-workflow-template"
    assert problem.where.line == 8


async def test_a_cron_that_refers_to_nothing_is_refused_before_its_first_fire():
    async with Aether("memory:") as app:
        with pytest.raises(InvalidDocument) as caught:
            await app.submit_cron(REFERS.format(kind="CronWorkflow", cron=CRON))
    assert caught.value.code == "unknown-workflow-template"


@pytest.mark.parametrize("name", ["nobody", "nobody@1.0"])
async def test_a_name_of_nothing_is_refused(name):
    async with Aether("memory:") as app:
        with pytest.raises(InvalidDocument) as caught:
            await app.submit(name)
    assert caught.value.code == "unknown-workflow-template"
