"""What user code raises is recorded, and raised again as the same type."""

import pytest

from aether.flow.errors import StepFailed, encode_error, read_error, rebuild


class OutOfStock(Exception):
    pass


class Picky(Exception):
    def __init__(self, code, *, why):
        super().__init__(f"{code}: {why}")
        self.code = code


def recorded(error, where="", attempt=1):
    try:
        raise error
    except type(error) as raised:
        return encode_error(raised, where, attempt)


def test_exception_comes_back_as_the_same_type_with_its_arguments():
    kind, message, outputs = recorded(OutOfStock("tea", 3))
    back = rebuild(outputs)
    assert (type(back), back.args) == (OutOfStock, ("tea", 3))
    assert kind.endswith("OutOfStock")
    assert "('tea', 3)" in message


def test_builtin_exception_comes_back():
    back = rebuild(recorded(KeyError("sku"))[2])
    assert type(back) is KeyError
    assert back.args == ("sku",)


def test_exception_with_a_constructor_of_its_own_is_still_caught_by_its_type():
    back = rebuild(recorded(Picky(7, why="no reason"))[2])
    assert type(back) is Picky
    assert str(back) == "7: no reason"


def test_exception_whose_class_is_not_loaded_becomes_a_step_failed_with_its_type():
    gone = type("Gone", (Exception,), {"__module__": "no.such.module"})
    back = rebuild(recorded(gone("bye"))[2])
    assert isinstance(back, StepFailed)
    assert back.error_type == "no.such.module.Gone"
    assert str(back) == "bye"


def test_causes_and_notes_survive():
    try:
        try:
            raise ValueError("first")
        except ValueError as first:
            error = OutOfStock("second")
            error.add_note("ask the warehouse")
            raise error from first
    except OutOfStock as raised:
        outputs = encode_error(raised)[2]
    back = rebuild(outputs)
    assert back.__notes__ == ["ask the warehouse"]
    assert isinstance(back.__cause__, ValueError)


def test_record_says_step_attempt_and_where_it_was_raised():
    kept = read_error(recorded(OutOfStock("tea"), "charge", 3)[2])
    assert (kept.step, kept.attempt) == ("charge", 3)
    assert "test_errors.py" in kept.traceback


def test_error_that_is_recorded_twice_keeps_its_first_record():
    back = rebuild(recorded(OutOfStock("tea"), "charge", 2)[2])
    again = read_error(encode_error(back, "", 1)[2])
    assert (again.step, again.attempt) == ("charge", 2)


def test_argument_that_is_no_data_is_replaced_by_the_text():
    back = rebuild(recorded(OutOfStock(object))[2])
    assert "object" in str(back)


def test_exception_that_cannot_be_printed_is_recorded_all_the_same():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    assert "cannot be printed" in recorded(Mute())[1]


def test_failure_without_a_record_is_a_step_failed():
    with pytest.raises(StepFailed):
        raise rebuild(None, "worker lost")
