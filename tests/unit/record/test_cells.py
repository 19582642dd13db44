"""Cells give back, byte for byte, the value that they stand for."""

from __future__ import annotations

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether.record import NamedValue, cell_of, encode_values, is_cell, references_in, value_of

kept: dict[bytes, bytes] = {}


def keep(piece: bytes) -> bytes:
    digest = blake2b(piece, digest_size=8).digest()
    kept[digest] = piece
    return digest


def test_a_small_value_stands_as_it_is() -> None:
    value = b'[["a","",1,null]]'
    assert cell_of(value, 100, keep) is value


def test_a_small_value_that_looks_like_a_cell_is_told_from_one() -> None:
    cell = cell_of(b"\xc1s nothing of ours", 100, keep)
    assert is_cell(cell)
    assert value_of(cell, {}) == b"\xc1s nothing of ours"


def test_a_large_parameter_is_one_piece_under_whatever_name_it_travels() -> None:
    text = "abc" * 100
    one = encode_values([NamedValue("result", "str", text), NamedValue("n", "int", 1)])
    two = encode_values([NamedValue("n", "int", 2), NamedValue("input", "", text)])
    [a], [b] = (references_in(cell_of(value, 100, keep)) for value in (one, two))
    assert a == b
    assert a.size == len(text) + 2


def test_a_large_value_that_is_no_list_of_parameters_is_one_piece() -> None:
    value = b'{"key": "' + b"x" * 200 + b'"}'
    [reference] = references_in(cell_of(value, 100, keep))
    assert reference.size == len(value)


def test_a_payload_that_is_not_at_hand_is_missed() -> None:
    with pytest.raises(KeyError):
        value_of(cell_of(b"x" * 200, 100, keep), {})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=20,
)


@given(st.lists(st.tuples(st.text(max_size=30), _JSON), max_size=5), st.integers(0, 60))
def test_any_values_come_back_byte_for_byte(pairs: list[tuple[str, object]], most: int) -> None:
    value = encode_values([NamedValue(name, "", told) for name, told in pairs])
    assert value_of(cell_of(value, most, keep), kept) == value


@given(st.binary(max_size=200), st.integers(0, 60))
def test_any_bytes_come_back(value: bytes, most: int) -> None:
    assert value_of(cell_of(value, most, keep), kept) == value
