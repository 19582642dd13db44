"""The diagrams in the documentation show the moves that the plan allows, and no others."""

from __future__ import annotations

import pytest
from phase_diagrams import DIAGRAMS, PAGE, diagram, drawn, redraw

from aether.plan import RUN_MOVES
from aether.record import Phase


@pytest.mark.parametrize("who", DIAGRAMS)
def test_the_diagram_is_what_the_table_says(who: str) -> None:
    shown = drawn(PAGE.read_text("utf-8"), who)
    assert shown == diagram(DIAGRAMS[who]), "run: python tests/repo/phase_diagrams.py"


def test_another_table_gives_another_diagram() -> None:
    fewer = {**RUN_MOVES, Phase.CREATED: frozenset({Phase.READY})}
    assert diagram(fewer) != diagram(RUN_MOVES)
    page = PAGE.read_text("utf-8")
    assert redraw(page.replace(diagram(RUN_MOVES), diagram(fewer))) == page
