"""Markdown pages as things to run: fenced blocks, and the markers that stand above them.

`<!-- file: name -->` writes the block to a file, `<!-- continues -->` puts the python blocks above it in
front, `<!-- not run: reason -->` leaves it alone. In a console block lines that begin with `$ ` are
commands; what follows must appear in the output, `...` standing for anything, and `(exit code 3)` as
the last line says what a command that fails returns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNNABLE = {"python", "console", "bash", "sh", "shell"}
_FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})\s*([\w+-]*)\s*$")
_MARKER = re.compile(r"^\s*<!--\s*(.+?)\s*-->\s*$")
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
_EXIT = re.compile(r"^\(exit code (\d+)\)$")


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    code: str
    marker: str = ""

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    text: str
    expected: str = ""
    exit_code: int = 0

    def matches(self, output: str) -> bool:
        """Whether the expected text appears in `output`, trailing blanks aside."""
        wanted = ".*?".join(re.escape(part) for part in _tidy(self.expected).split("..."))
        return re.search(wanted, _tidy(output), re.DOTALL) is not None


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    found: list[Block] = []
    fence = language = marker = ""
    start, indent, code = 0, 0, list[str]()
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        match = _FENCE.match(line)
        if fence:
            if match and match[2].startswith(fence) and not match[3]:
                found.append(Block(page, start, language, "\n".join(code) + "\n", marker))
                fence = marker = ""
            else:
                code.append(line[indent:] if not line[:indent].strip() else line)
        elif match:
            fence, language, start, indent, code = match[2], match[3], number, len(match[1]), []
        elif comment := _MARKER.match(line):
            marker = comment[1]
        elif line.strip():
            marker = ""
    assert not fence, f"{page}: the block that begins in line {start} never ends"
    return found


def commands(block: Block) -> list[Command]:
    found: list[Command] = []
    text, expected = "", list[str]()

    def finish() -> None:
        if not text:
            return
        code = _EXIT.match(expected[-1]) if expected else None
        shown = expected[:-1] if code else expected
        found.append(Command(text, "\n".join(shown), int(code[1]) if code else 0))

    for line in block.code.splitlines():
        if line.startswith("$ "):
            finish()
            text, expected = line[2:], []
        elif text.endswith("\\"):
            text = text[:-1] + line.strip()
        elif text:
            expected.append(line)
    finish()
    return found


def links(page: Path) -> Iterator[str]:
    prose = re.sub(r"(?ms)^(`{3,}|~{3,}).*?^\1\s*$", "", page.read_text("utf-8"))
    for match in _LINK.finditer(re.sub(r"`[^`\n]*`", "", prose)):
        yield match[1] or match[2]


def anchors(page: Path) -> set[str]:
    """The anchors that headings give, as the usual renderers spell them."""
    headings = re.findall(r"(?m)^#{1,6}\s+(.+?)\s*#*$", page.read_text("utf-8"))
    explicit = set(re.findall(r'<a (?:id|name)="([^"]+)"', page.read_text("utf-8")))
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | explicit
