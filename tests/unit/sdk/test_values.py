"""Arguments and results come back as what they were."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
import pytest

from aether import Context


class Colour(Enum):
    RED = "red"


class Size(msgspec.Struct, frozen=True):
    width: int


@dataclass
class Item:
    name: str
    price: Decimal
    sizes: list[Size] = field(default_factory=list)


class Model:
    """What makes a model a model, without the library that makes them."""

    model_fields = {"a": None}
    __pydantic_fields_set__ = {"a"}

    def __init__(self, a: int) -> None:
        self.a = a

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and other.a == self.a

    __hash__ = None

    @classmethod
    def model_validate(cls, members: dict[str, Any]) -> Model:
        return cls(**members)


VALUES = [
    None,
    3.5,
    2**100,
    "text",
    b"bytes",
    (1, (2, 3)),
    {1, 2},
    {(1, 2): "key"},
    Decimal("1.10"),
    UUID(int=3),
    date(2030, 1, 2),
    datetime(2030, 1, 2, 3, tzinfo=UTC),
    timedelta(days=1, microseconds=1),
    Colour.RED,
    Size(3),
    Item("tea", Decimal("2.50"), [Size(1), Size(2)]),
    Model(3),
    [{"nested": Item("cake", Decimal(1))}],
    "x" * 1_000_000,
]


@pytest.fixture
def echo(app):
    @app.activity
    async def through_an_activity(value: Any) -> Any:
        return value

    @app.workflow
    async def through_a_child(ctx: Context, value: Any) -> Any:
        return await through_an_activity(value)

    @app.workflow
    async def echo(ctx: Context, value: Any) -> Any:
        return await ctx.child(through_a_child, await ctx.step("same", lambda: value))

    return echo


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:40])
async def test_a_value_goes_through_workflow_child_and_activity_unchanged(echo, value):
    found = await echo.start_and_wait(value)
    assert found == value
    assert type(found) is type(value)


async def test_a_step_hands_on_a_copy_so_that_a_replay_sees_the_same(app):
    kept: list[int] = []

    @app.workflow
    async def appends(ctx: Context) -> list[int]:
        found = await ctx.step("list", lambda: kept)
        found.append(1)
        return kept

    assert await appends.start_and_wait() == []


async def test_plain_json_becomes_what_a_parameter_declares(app):
    @app.workflow
    async def typed(ctx: Context, item: Item, at: datetime) -> str:
        return f"{type(item).__name__} {item.price * 2} {at.year}"

    item: Any = {"name": "tea", "price": "2.50", "sizes": []}
    at: Any = "2030-01-02T03:04:05Z"
    assert await typed.start_and_wait(item, at) == "Item 5.00 2030"
