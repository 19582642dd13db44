"""The face of the package: what `import aether` offers."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import aether


@pytest.mark.parametrize("name", aether.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(aether, name).__name__.removeprefix("aether.") == name


def test_names_are_sorted_and_the_same_for_type_checkers() -> None:
    tree = ast.parse(Path(aether.__file__).read_text())
    for_checkers = {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    assert list(aether.__all__) == sorted(for_checkers)  # type: ignore[type-var]  # all are renamed


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="Aethre"):
        aether.Aethre


def test_importing_the_package_loads_no_engine() -> None:
    code = "import sys, aether; print([m for m in sys.modules if m.startswith('aether.')])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
