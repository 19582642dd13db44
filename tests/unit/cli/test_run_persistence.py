"""`aether run --persistence`: how much of the run is in the database afterwards."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from aether.cli import exits
from aether.cli.main import cli

DOCUMENT = {
    "apiVersion": "aether/v1",
    "kind": "Workflow",
    "metadata": {"name": "hello"},
    "spec": {
        "entrypoint": "hello",
        "templates": [{"task": {"name": "hello", "executor": {"type": "echo"}}}],
    },
}


def aether(*arguments):
    return CliRunner().invoke(cli, list(arguments), standalone_mode=False)


@pytest.mark.parametrize(
    ("tier", "kept"), [("memory", 0), ("snapshot", 1), ("state-action-log", 1)]
)
def test_database_has_what_the_tier_promises(tmp_path, tier, kept):
    document, db = tmp_path / "hello.json", f"sqlite:{tmp_path / 'runs.db'}"
    document.write_text(json.dumps(DOCUMENT))
    report = tmp_path / "report.html"
    ran = aether("run", str(document), "--db", db, "--persistence", tier, "--report", str(report))
    assert ran.return_value == exits.OK, ran.output
    assert "hello" in report.read_text()
    listed = json.loads(aether("list", "--db", db, "--json").output)
    assert len(listed["runs"]) == kept


def test_unknown_tier_is_refused_by_name(tmp_path):
    document = tmp_path / "hello.json"
    document.write_text(json.dumps(DOCUMENT))
    refused = CliRunner().invoke(cli, ["run", str(document), "--persistence", "diamond"])
    assert refused.exit_code == exits.USAGE
    assert "state-action-log" in refused.output
