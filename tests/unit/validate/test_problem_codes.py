"""One table of codes; the page about them and the code that raises them must agree with it."""

from __future__ import annotations

import re
from pathlib import Path

from aether.validate import CODES

ROOT = Path(__file__).parents[3]


def test_page_has_an_entry_with_the_meaning_and_a_fix_for_every_code() -> None:
    page = (ROOT / "docs/problems.md").read_text()
    entries = dict(re.findall(r"### `([a-z0-9-]+)`\n\n(.+?)(?=\n\n#|\n*\Z)", page, re.DOTALL))
    assert list(entries) == list(CODES)
    for code, meaning in CODES.items():
        text, _, fix = entries[code].partition("\n\n")
        assert text == meaning
        assert fix.strip()


def test_every_code_in_the_sources_is_in_the_table() -> None:
    text = ""
    for room in ("document", "validate"):
        text += "".join(file.read_text() for file in (ROOT / "src/aether" / room).glob("*.py"))
    used = set(re.findall(r'(?:error|warn|Problem)\(\s*"([a-z0-9-]+)"', text))
    assert used <= set(CODES)
    assert len(used) > 50


def test_codes_are_kebab_case_and_meanings_are_sentences() -> None:
    for code, meaning in CODES.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
        assert meaning.endswith(".")
        assert "\n" not in meaning
