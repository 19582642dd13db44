"""`docs/problems.md` explains every code that the source can raise, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from problem_codes import ROOT, Unclear, modules

from aether.validate import CODES

PAGE = (ROOT / "docs" / "problems.md").read_text("utf-8")
TYPES_HEADING = "## Error types of task runs\n"


def test_every_problem_code_has_an_entry_and_every_entry_a_code() -> None:
    raised = set(CODES) | {code for module in modules() for code in module.problem_codes()}
    codes, _, _ = PAGE.partition(TYPES_HEADING)
    explained = re.findall(r"(?m)^(?:### |\| )`([^`]+)`", codes)
    assert len(explained) == len(set(explained))
    assert raised - set(explained) == set(), "docs/problems.md has no entry for these"
    assert set(explained) - raised == set(), "nothing raises these"


def test_every_error_type_has_an_entry_and_every_entry_a_type() -> None:
    named = {
        error_type
        for module in modules()
        if "testing" not in module.path.parts
        for error_type in module.error_types()
    }
    _, _, types = PAGE.partition(TYPES_HEADING)
    assert set(re.findall(r"(?m)^\| `([^`]+)`", types)) == named


def test_every_row_says_what_it_means_and_what_to_do() -> None:
    rows = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| `")]
    assert rows
    assert all(len(row) == 3 and all(cell.strip() for cell in row) for row in rows)


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        ('Problem("a", "text")', ["a"]),
        ('A = "a"\nProblem(A, "text")', ["a"]),
        ('def f(kind):\n    Problem(f"{kind}-lost", "text")\nf("a")\nf("b")', ["a-lost", "b-lost"]),
        ('class C:\n    def f(self, code):\n        Problem(code, "t")\n\nC().f("a")', ["a"]),
        ("Problem(other.code, other.what)", []),
    ],
)  # fmt: skip
def test_codes_are_found_in(source: str, codes: list[str], tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(source, "utf-8")
    (module,) = modules(tmp_path)
    assert list(module.problem_codes()) == codes


def test_a_code_that_cannot_be_followed_is_reported(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text("code = make()\nProblem(code, 'text')", "utf-8")
    (module,) = modules(tmp_path)
    with pytest.raises(Unclear, match="where does `code` come from"):
        list(module.problem_codes())
