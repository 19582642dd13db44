"""The phase diagrams of docs/how-it-works.md, drawn from the tables that the plan judges by.

`python tests/repo/phase_diagrams.py` writes them into the page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from aether.plan import CONTAINER_MOVES, LEAF_MOVES, RUN_MOVES
from aether.record import Phase

PAGE = Path(__file__).parents[2] / "docs" / "how-it-works.md"
DIAGRAMS: dict[str, Mapping[Phase, frozenset[Phase]]] = {
    "task": LEAF_MOVES,
    "container": CONTAINER_MOVES,
    "run": RUN_MOVES,
}
_MARKED = r"<!-- phases of a {}, drawn by tests/repo/phase_diagrams.py -->\n```mermaid\n(.*?)```\n"


def diagram(moves: Mapping[Phase, frozenset[Phase]]) -> str:
    """Ends that can be reached from the same phases are drawn as one, to keep the arrows few."""
    lines = ["stateDiagram-v2", "    direction LR", f"    [*] --> {Phase.CREATED}"]
    into: dict[frozenset[Phase], list[Phase]] = {}
    for phase in Phase:
        if phase not in moves:
            sources = frozenset(before for before in moves if phase in moves[before])
            into.setdefault(sources, []).append(phase)
        further = [after for after in Phase if after in moves.get(phase, ()) and after in moves]
        lines += [f"    {phase} --> {after}" for after in further]
    for number, (sources, ends) in enumerate(into.items()):
        if sources:
            lines.append(f'    state "{", ".join(map(str, ends))}" as End{number}')
            lines += [f"    {phase} --> End{number}" for phase in Phase if phase in sources]
            lines.append(f"    End{number} --> [*]")
    return "\n".join(lines) + "\n"


def drawn(page: str, who: str) -> str:
    start, end = _place(page, who)
    return page[start:end]


def _place(page: str, who: str) -> tuple[int, int]:
    match = re.search(_MARKED.format(who), page, re.DOTALL)
    assert match, f"docs/how-it-works.md has no diagram for a {who}"
    return match.span(1)


def redraw(page: str) -> str:
    for who, moves in DIAGRAMS.items():
        start, end = _place(page, who)
        page = page[:start] + diagram(moves) + page[end:]
    return page


if __name__ == "__main__":
    PAGE.write_text(redraw(PAGE.read_text("utf-8")), "utf-8")
