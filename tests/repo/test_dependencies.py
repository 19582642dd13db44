"""The dependencies are few, justified, and locked with hashes that any package index can serve."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCKS = [ROOT / "requirements" / name for name in ("run.txt", "dev.txt")]


def canonical(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def rows(heading: str) -> list[list[str]]:
    page = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    section = page.split(f"## {heading}\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1:]]


def pinned(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", lock.read_text("utf-8")))


def test_every_dependency_has_its_reason_and_every_reason_its_dependency() -> None:
    declared = {canonical(requirement) for requirement in PROJECT["dependencies"]}
    assert {
        canonical(row[0]) for row in rows("What `pip install aether-workflows` brings")
    } == declared


def test_every_extra_has_its_reason() -> None:
    declared = {
        (extra, canonical(requirement))
        for extra, requirements in PROJECT["optional-dependencies"].items()
        if extra != "dev"
        for requirement in requirements
    }
    assert {(row[0], canonical(row[1])) for row in rows("Extras")} == declared


def test_every_tool_has_its_reason() -> None:
    declared = {canonical(tool) for tool in PROJECT["optional-dependencies"]["dev"]}
    assert {canonical(row[0]) for row in rows("What developers use besides")} == declared


def test_a_reason_is_a_sentence_and_not_a_blank() -> None:
    for heading in (
        "What `pip install aether-workflows` brings",
        "Extras",
        "What developers use besides",
    ):
        assert all(len(row[-1]) > 15 for row in rows(heading)), heading


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_the_lock_holds_nothing_but_versions_and_hashes(lock: Path) -> None:
    line = re.compile(r"[\w.-]+==[\w.+!]+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?|#.*|")
    odd = [text for text in lock.read_text("utf-8").splitlines() if not line.fullmatch(text)]
    assert not odd


def test_the_locks_hold_every_dependency_and_the_build_backend() -> None:
    run = {canonical(requirement) for requirement in PROJECT["dependencies"]} - {"tzdata"}
    extras = PROJECT["optional-dependencies"]
    run |= {canonical(requirement) for extra in ("http", "server") for requirement in extras[extra]}
    dev = {canonical(tool) for extra in ("dev", "testing") for tool in extras[extra]}
    assert run | {"hatchling"} <= {canonical(name) for name in pinned(LOCKS[0])}
    assert run | dev <= {canonical(name) for name in pinned(LOCKS[1])}


def test_both_locks_name_the_same_versions() -> None:
    run, dev = pinned(LOCKS[0]), pinned(LOCKS[1])
    assert {name: dev.get(name) for name in run} == run
