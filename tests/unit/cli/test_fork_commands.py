"""`aether fork` and `aether retry`: one run, or all that a filter finds."""

from __future__ import annotations

import json

import pytest

from aether.cli import exits
from aether.cli.main import run_cli

DOCUMENT = """
apiVersion: aether/v1
kind: Workflow
metadata: {name: etl}
spec:
  entrypoint: main
  arguments: {parameters: [{name: fails, type: int, value: 9}]}
  templates:
    - dag:
        name: main
        tasks:
          - {name: load, executor: {type: echo}}
          - name: work
            executor: {type: echo}
            dependencies: [load]
            inputs:
              parameters:
                - {name: fail-count, valueFrom: {parameter: workflow.parameters.fails}}
"""


@pytest.fixture
def shell(tmp_path, capsys):
    """Runs a command on one database; answers its exit code and what it printed."""
    (tmp_path / "etl.yaml").write_text(DOCUMENT)
    url = f"sqlite:///{tmp_path / 'runs.db'}"

    def call(*arguments):
        code = run_cli([str(each) for each in arguments] + ["--db", url])
        return code, capsys.readouterr()

    call.file = tmp_path / "etl.yaml"
    return call


def fork_json(shell, *arguments):
    code, told = shell(*arguments, "--json")
    answer = json.loads(told.out)
    assert answer["exitCode"] == code
    return code, answer


def test_a_fork_is_watched_to_its_end_and_linked_both_ways(shell):
    assert shell("run", shell.file)[0] == exits.FAILED
    code, told = shell("fork", "last", "--from", "work", "--set", "fails=0")
    assert code == exits.OK, told.err
    assert "which is as it was" in told.out
    [new, old] = json.loads(shell("list", "--json")[1].out)["runs"]
    seq = old["seq"]
    assert new["origin"] == {"runID": old["runID"], "kind": "fork", "seq": seq, "task": "main/work"}
    assert [fork["runID"] for fork in old["forks"]] == [new["runID"]]
    assert f"fork of {old['runID']} at step {seq}, from main/work" in shell("show", "last")[1].out
    assert (
        f"fork at step {seq}, from main/work: {new['runID']}" in shell("show", old["runID"])[1].out
    )
    assert shell("audit", "verify")[0] == exits.OK


def test_a_number_is_a_step_and_an_input_is_for_the_task(shell):
    shell("run", shell.file)
    code, answer = fork_json(shell, "fork", "last", "--from", "2", "--set", "fails=0")
    assert code == exits.OK
    assert answer["runs"][0]["origin"]["seq"] == 2
    shell("run", shell.file)
    code, answer = fork_json(shell, "fork", "last", "--from", "work", "--input", "fail-count=0")
    assert code == exits.OK
    assert [task["phase"] for task in answer["runs"][0]["tasks"]] == ["Succeeded"] * 3


def test_a_retry_ends_as_its_run_does(shell):
    shell("run", shell.file)
    code, answer = fork_json(shell, "retry", "last")
    assert code == exits.FAILED
    assert answer["runs"][0]["origin"]["kind"] == "retry"


def test_what_one_run_cannot_do_is_told_as_elsewhere(shell):
    shell("run", shell.file, "-a", "fails=0")
    assert shell("retry", "last")[0] == exits.INVALID
    assert shell("retry", "none")[0] == exits.NOT_FOUND
    assert shell("fork", "last", "--from", "99")[0] == exits.NOT_FOUND
    assert shell("fork", "last", "--from", "nobody")[0] == exits.NOT_FOUND
    code, told = shell("fork", "last", "--from", "work", "--set", "nothing=1")
    assert (code, "unknown-argument" in told.err) == (exits.INVALID, True)
    assert shell("fork", "last")[0] == exits.USAGE


def test_either_a_run_or_a_filter_is_meant(shell):
    shell("run", shell.file)
    assert shell("retry")[0] == exits.INVALID
    assert shell("retry", "last", "--name", "etl")[0] == exits.INVALID


def test_a_filter_takes_each_run_by_itself(shell):
    shell("run", shell.file)
    shell("run", shell.file, "-a", "fails=0")
    code, answer = fork_json(shell, "retry", "--name", "etl")
    assert code == exits.FAILED
    assert [bool(each["runID"]) for each in answer["forks"]] == [True, False]
    assert answer["forks"][1]["problem"]["code"] == "nothing-to-retry"
    code, told = shell("fork", "--from", "work", "--set", "fails=0", "--phase", "failed")
    assert code == exits.OK
    assert "2 of 2 runs begun anew, 0 refused" in told.out
    code, told = shell("fork", "--from", "load", "--set", "nothing=1", "--phase", "succeeded")
    assert code == exits.INVALID
    assert told.err.count("unknown-argument") == 3
    assert shell("retry", "--label", "team=none")[0] == exits.OK
