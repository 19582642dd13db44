"""Functions are bound, recorded and called again by the names of their parameters."""

from datetime import timedelta

import pytest

from aether.errors import Refused
from aether.flow.definition import Signature, WorkflowDefinition, version_of
from aether.flow.options import Retry, activity_options, micros


def plain(a, b=2, *rest, flag=False, **more): ...


def positional(a, /, b): ...


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((1,), {}),
        ((1, 5), {}),
        ((1, 5, 6, 7), {"flag": True}),
        ((1,), {"x": 3}),
        ((), {"a": 1, "b": 3}),
    ],
)
def test_recorded_call_is_made_again_as_it_was(args, kwargs):
    def remember(*got_args, **got_kwargs):
        return got_args, got_kwargs

    signature = Signature(plain)
    again_args, again_kwargs = signature.call_arguments(signature.encode(args, kwargs))
    bound = signature._signature.bind
    assert bound(*again_args, **again_kwargs).arguments == bound(*args, **kwargs).arguments


def test_positional_only_parameter_is_called_by_position():
    signature = Signature(positional)
    assert signature.call_arguments(signature.encode((1, 2), {})) == ((1,), {"b": 2})


def test_wrong_arguments_are_refused_as_a_call_would_refuse_them():
    with pytest.raises(TypeError, match="missing"):
        Signature(plain).encode((), {})


def test_workflow_without_a_context_is_refused_with_the_line_that_fixes_it():
    with pytest.raises(Refused, match="async def lonely\\(ctx: Context"):

        def lonely(): ...

        WorkflowDefinition(lonely, "")


def test_version_follows_the_code_and_nothing_else():
    def make(body):
        scope = {}
        exec(f"def f(ctx):\n    {body}", scope)
        return version_of(scope["f"])

    assert make("return 1") == make("return 1")
    assert make("return 1") != make("return 2")
    assert make("return g(1)") != make("return h(1)")
    assert make("return [g(x) for x in y]") != make("return [h(x) for x in y]")


@pytest.mark.parametrize(
    ("span", "expected"),
    [("1s", 1_000_000), (0.5, 500_000), (timedelta(days=1), 86_400_000_000), (None, 0)],
)
def test_span_is_read_however_it_is_written(span, expected):
    assert micros(span) == expected


@pytest.mark.parametrize("span", ["soon", -1, timedelta(seconds=-1)])
def test_what_is_no_span_is_refused(span):
    with pytest.raises(Refused) as caught:
        micros(span, "timeout")
    assert caught.value.code == "bad-span"


def test_waits_grow_by_the_factor_up_to_the_longest():
    retry = Retry(attempts=9, initial="1s", factor=2, max="5s", jitter=0)
    assert [retry.wait_before(n, 0.5) for n in (2, 3, 4, 5)] == [
        1_000_000,
        2_000_000,
        4_000_000,
        5_000_000,
    ]


def test_jitter_moves_a_wait_by_its_share_at_most():
    retry = Retry(initial=10.0, jitter=0.1)
    assert retry.wait_before(2, 0.0) == 9_000_000
    assert retry.wait_before(2, 1.0) == 11_000_000


def test_retry_gives_up_on_a_type_by_class_by_name_and_by_its_base():
    assert Retry(non_retryable=(LookupError,)).gives_up_on(KeyError("a"))
    assert Retry(non_retryable=("KeyError",)).gives_up_on(KeyError("a"))
    assert not Retry(non_retryable=("KeyError",)).gives_up_on(ValueError())


def test_retry_that_cannot_be_followed_is_refused():
    with pytest.raises(Refused) as caught:
        Retry(attempts=0)
    assert caught.value.code == "bad-retry"


def test_activity_options_take_the_defaults_that_activities_have():
    options = activity_options()
    assert (options.attempts, options.start_to_close) == (3, 30_000_000)
    assert activity_options(timeout="5s", heartbeat="1s").heartbeat == 1_000_000
