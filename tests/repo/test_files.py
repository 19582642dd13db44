"""What no file of the repository may contain, and what some have to."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
from rooms import findings

ROOT = Path(__file__).parents[2]
# Put together here, so that this file does not name them either.
INDEX_WORDS = re.compile(
    "|".join(
        [
            "py" + r"pi\.(org|python)",
            "python" + "hosted",
            "index" + "-url",
            "npm" + r"js\.",
            "find" + "-links=",
        ]
    )
)
MACHINE_PATHS = re.compile(r"(^|[^A-Za-z0-9_.])/(work|farm|root|opt/p)[a-z]*/")


def tracked() -> list[Path]:
    """Every text file that git keeps; in an unpacked archive, every file that is not generated."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode == 0:
        found = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        found = [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    return [path for path in found if path.is_file() and b"\0" not in path.read_bytes()[:8192]]


def lines_with(pattern: re.Pattern[str], *but_not: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in tracked()
        if path.name not in but_not
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_package_index() -> None:
    # The lock verb and its test name pip-compile's options that leave the index out.
    assert not lines_with(INDEX_WORDS, "Makefile")


def test_no_file_names_a_path_of_one_machine() -> None:
    assert not lines_with(MACHINE_PATHS)


@pytest.mark.parametrize("text", ["open('/wo" + "rk/x')", "cd /fa" + "rm/a", " /ro" + "ot/b"])
def test_a_path_of_one_machine_would_be_found(text: str) -> None:
    assert MACHINE_PATHS.search(text)


def test_the_changelog_speaks_of_what_comes_next_or_of_this_version() -> None:
    headings = re.findall(r"(?m)^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"))
    assert any(re.match(r"\[?(Unreleased|0\.1\.0)\b", heading) for heading in headings)


def test_files_of_the_product_stay_short_enough_to_be_one_idea() -> None:
    long = {
        str(path.relative_to(ROOT)): size
        for path in tracked()
        if path.is_relative_to(ROOT / "src")
        and (size := len(path.read_text("utf-8").splitlines())) > 450
    }
    assert not long


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "src").rglob("*.py")
        if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert not silent


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("plan/x.py", "import yaml", "standard library and msgspec"),
        ("engine/x.py", "def f():\n    from rich import print", "standard library and msgspec"),
        ("sdk/x.py", "import aether", "relative"),
        ("app.py", "from . import Aether", "plain `aether`"),
        ("cli/x.py", "from .. import __version__", "plain `aether`"),
    ],
)
def test_the_check_of_the_rooms_finds(tmp_path: Path, file: str, text: str, complaint: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text, "utf-8")
    (found,) = findings(tmp_path)
    assert complaint in found


def test_the_check_of_the_rooms_allows_what_is_meant(tmp_path: Path) -> None:
    for file, text in {
        "errors.py": "import enum",
        "document/yaml_text.py": "import yaml\nimport msgspec\nfrom ..errors import Problem",
        "plan/x.py": "from .. import errors",
        "adapters/x.py": "import aiohttp",
    }.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text, "utf-8")
    assert not list(findings(tmp_path))
