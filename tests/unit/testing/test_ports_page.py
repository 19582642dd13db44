"""The page about ports names every port, and only names that exist."""

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import aether.adapters
import aether.ports
import aether.testing

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "ports.md").read_text("utf-8")
TABLE = PAGE[PAGE.index("| port |") : PAGE.index("The evaluator")]
ELSEWHERE = {"TaskEvents"}  # what a broker tells the engine: no port that somebody adapts


def shipped() -> set[str]:
    names = set(aether.testing.__all__)
    for module in pkgutil.walk_packages(aether.adapters.__path__, "aether.adapters."):
        names |= set(vars(importlib.import_module(module.name)))
    return names


def test_every_port_is_in_the_table():
    ports = {
        name
        for name, member in vars(aether.ports).items()
        if getattr(member, "_is_protocol", False) and name != "Handle"
    }
    assert {port for port in ports - ELSEWHERE if f"`{port}`" not in TABLE} == set()


def test_every_adapter_and_suite_in_the_table_exists():
    rows = [row.split("|")[3:5] for row in TABLE.splitlines()[2:] if row.startswith("|")]
    named = {name for row in rows for cell in row for name in re.findall(r"`([A-Za-z_]\w*)`", cell)}
    assert len(named) > 30
    assert named - shipped() == set()


def test_what_type_checkers_see_of_the_suites_is_what_there_is():
    tree = ast.parse(Path(aether.testing.__file__).read_text("utf-8"))
    seen = {
        alias.asname: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    assert seen == aether.testing._FILES
