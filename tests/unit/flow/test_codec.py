"""Values of Python functions are recorded as data and come back as what they were."""

import dataclasses
import threading
from collections import OrderedDict, defaultdict, namedtuple
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import PurePath
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aether.errors import Refused
from aether.flow import codec

Pair = namedtuple("Pair", "left right")


class Colour(Enum):
    RED = "red"
    DEEP = ("blue", 3)


class Level(IntEnum):
    LOW = 1


@dataclasses.dataclass
class Item:
    sku: str
    price: Decimal
    tags: set[str] = dataclasses.field(default_factory=set)
    total: int = dataclasses.field(init=False, default=0)


@dataclasses.dataclass(frozen=True)
class Order:
    items: list[Item]
    at: datetime


class Reply(msgspec.Struct):
    ok: bool
    item: Item | None = None


VALUES = [
    None,
    True,
    0,
    2**80,
    -(2**80),
    1.5,
    "",
    "déjà",
    b"\x00\xff",
    bytearray(b"x"),
    [],
    [1, [2, "three"]],
    (1, (2, 3)),
    {"a": {"b": [1, None]}},
    {1: "one", (2, 3): "pair"},
    {"$": "mine", "v": 1},
    {3, 1, 2},
    frozenset({"a"}),
    datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=UTC),
    datetime(2026, 3, 4),  # noqa: DTZ001 - a naive one is data too
    date(2026, 3, 4),
    time(5, 6),
    timedelta(days=3, microseconds=1),
    UUID(int=7),
    Decimal("1.10"),
    complex(1, 2),
    PurePath("a/b"),
    Colour.RED,
    Colour.DEEP,
    Level.LOW,
    Pair(1, [2]),
    Item("a", Decimal(1), {"x"}),
    Order([Item("a", Decimal("2.5"))], datetime(2026, 1, 1, tzinfo=UTC)),
    Reply(True, Item("b", Decimal(3))),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_value_comes_back_as_what_it_was(value):
    back = codec.decode(codec.encode(value))
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
def test_infinity_survives_although_json_has_none(value):
    assert codec.decode(codec.encode(value)) == value


def test_nan_survives():
    back = codec.decode(codec.encode(float("nan")))
    assert back != back


def test_member_set_outside_the_constructor_is_kept():
    item = Item("a", Decimal(1))
    item.total = 9
    assert codec.decode(codec.encode(item)).total == 9


def test_dict_with_behaviour_comes_back_as_plain_dict():
    assert codec.decode(codec.encode(defaultdict(list, a=[1]))) == {"a": [1]}
    assert codec.decode(codec.encode(OrderedDict(a=1))) == {"a": 1}


def test_equal_sets_have_one_text():
    assert codec.encode({"b", "a", "c"}) == codec.encode({"c", "b", "a"})


def test_roundtrip_never_hands_back_the_callers_own_list():
    mine = [1, {"a": 2}]
    _, back = codec.roundtrip(mine)
    mine[1]["a"] = 3
    assert back == [1, {"a": 2}]


def test_what_cannot_be_recorded_is_refused_with_its_path():
    with pytest.raises(Refused) as caught:
        codec.encode({"jobs": [{"lock": threading.Lock()}]}, "order")
    assert caught.value.code == "not-serialisable"
    assert "`order.jobs[0].lock` is a _thread.lock" in str(caught.value)


def test_class_inside_a_function_is_refused_at_once_and_not_at_the_replay():
    @dataclasses.dataclass
    class Local:
        a: int

    with pytest.raises(Refused) as caught:
        codec.encode(Local(1))
    assert "inside a function" in str(caught.value)


def test_value_that_contains_itself_is_refused():
    knot: list = []
    knot.append(knot)
    with pytest.raises(Refused) as caught:
        codec.encode(knot)
    assert "contains itself" in str(caught.value)


def test_recorded_class_that_is_no_data_is_never_built():
    data = codec.encode(1).replace(b"1", b'{"$":"object","t":"subprocess:Popen","v":{"args":"ls"}}')
    with pytest.raises(Refused) as caught:
        codec.decode(data)
    assert caught.value.code == "type-unknown"


def test_module_that_is_not_loaded_is_not_imported():
    data = codec.encode(1).replace(b"1", b'{"$":"object","t":"antigravity:Thing","v":{}}')
    with pytest.raises(Refused):
        codec.decode(data)


def test_field_that_the_class_lost_is_left_out():
    data = codec.encode(Reply(True)).replace(b'"ok":true', b'"ok":true,"old":1')
    assert codec.decode(data) == Reply(True)


def test_plain_json_becomes_what_the_parameter_declares():
    data = codec.encode_inputs({"reply": {"ok": True}, "at": "2026-01-01T00:00:00Z", "n": 3})
    got = codec.decode_inputs(data, {"reply": Reply, "at": datetime, "n": int})
    assert got == {"reply": Reply(True), "at": datetime(2026, 1, 1, tzinfo=UTC), "n": 3}


def test_value_that_does_not_fit_its_annotation_is_left_alone():
    assert codec.fit("x", int) == "x"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(JSON)
@settings(max_examples=300, deadline=None)
def test_any_tree_of_plain_values_comes_back(value):
    assert codec.decode(codec.encode(value)) == value
