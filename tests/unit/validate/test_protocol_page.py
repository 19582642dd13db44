"""docs/protocol.md lists every member of the protocol, with the meaning that editors show."""

from __future__ import annotations

from pathlib import Path

from aether.validate.members import RULES
from aether.validate.shape import describe, members_of

PAGE = (Path(__file__).parents[3] / "docs/protocol.md").read_text()


def test_page_lists_every_member_with_its_type_and_meaning() -> None:
    for struct, rules in RULES.items():
        for name, member in members_of(struct).items():
            row = f"| `{name}` | {describe(member.type)} | {rules[member.attribute].meaning}"
            assert row in PAGE, f"{struct.__name__}.{name}"


def test_table_of_members_is_complete() -> None:
    for struct, rules in RULES.items():
        attributes = {member.attribute for member in members_of(struct).values()}
        assert attributes == set(rules), struct.__name__
