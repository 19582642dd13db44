"""How a call travels: events and refusals as bytes, and back."""

from __future__ import annotations

import msgspec
import pytest

from aether import errors
from aether.engine.letters import decode_event, decode_refusal, encode_event, encode_refusal
from aether.errors import InvalidState, NotFound, Problem, ProblemError, Where
from aether.plan import RunCancelled, RunPaused, RunUnpaused, TaskCompleted, TaskResumed

EVENTS = [
    RunCancelled(7, "ann"),
    RunPaused(7),
    RunUnpaused(7),
    TaskResumed(3, b'[["n","int",1]]', 7),
    TaskCompleted(3, 2, 1, 7, 2, "no luck", b"[]", "ValueError", "w-1"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_out_as_it_went_in(event):
    assert decode_event(encode_event(event)) == event
    assert type(decode_event(encode_event(event))) is type(event)


@pytest.mark.parametrize("body", [b"", b"\xc1", msgspec.msgpack.encode(("Nothing", {}))])
def test_what_no_engine_sends_is_told_from_events(body):
    with pytest.raises((ValueError, msgspec.DecodeError)):
        decode_event(body)


def test_a_refusal_comes_out_as_it_went_in():
    problems = [Problem("run-over", "it is over", Where("f", 1, 2, "p"), "wait"), Problem("b", "x")]
    for kind in (InvalidState, NotFound, errors.Refused):
        again = decode_refusal(encode_refusal(kind(problems)))
        assert type(again) is kind
        assert again.problems == tuple(problems)


def test_a_refusal_of_a_kind_that_is_not_known_is_one_all_the_same():
    for name in ("OfALaterVersion", "AetherError", "Problem"):
        answer = msgspec.msgpack.encode((name, [Problem("new", "what")]))
        again = decode_refusal(answer)
        assert type(again) is ProblemError
        assert again.code == "new"
