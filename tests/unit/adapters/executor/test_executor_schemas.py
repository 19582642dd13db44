"""Schemas out of Python types."""

import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, NewType, NotRequired, TypedDict

import msgspec
import pytest

from aether.adapters.executor import FunctionExecutor, schema_of, schema_of_function
from aether.errors import InvalidDocument, Refused
from aether.ports import Field, Request
from aether.validate import Known, check


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Order:
    order_id: str
    amount: Annotated[float, "in euros"]
    tags: list[str] = field(default_factory=list)
    note: str | None = None
    KIND: ClassVar[str] = "order"


class Receipt(msgspec.Struct, rename="camel"):
    paid_at: dt.datetime
    total: Annotated[int, msgspec.Meta(description="in cents")] = 0


class Options(TypedDict):
    depth: int
    colour: NotRequired[Colour]


def by_name(fields):
    return {each.name: each for each in fields}


def test_dataclass_and_struct():
    schema = schema_of(Order, Receipt, type="pay", version="2", description="Pays")
    assert (schema.type, schema.version, schema.description) == ("pay", "2", "Pays")
    assert schema.inputs == (
        Field("order_id", "string", True),
        Field("amount", "float", True, "in euros"),
        Field("tags", "array"),
        Field("note", "string"),
    )
    assert schema.outputs == (
        Field("paidAt", "string", True),
        Field("total", "int", False, "in cents"),
    )


def test_typed_dict_and_mapping():
    schema = schema_of(Options, {"n": int, "any": Any}, type="x")
    assert schema.inputs == (Field("depth", "int", True), Field("colour", "string"))
    assert schema.outputs == (Field("n", "int", True), Field("any", "any", True))


def test_none_is_open_and_an_empty_shape_is_none_at_all():
    schema = schema_of(None, {}, type="x")
    assert (schema.inputs, schema.outputs) == (None, ())


def test_plain_classes_with_annotations():
    class Plain:
        a: int
        b: str = "x"

    assert schema_of(Plain, type="x").inputs == (Field("a", "int", True), Field("b", "string"))


@pytest.mark.parametrize("shape", [3, "text", int, object(), list[int]])
def test_what_has_no_members_is_refused(shape):
    with pytest.raises(Refused) as refused:
        schema_of(shape, type="x")
    assert refused.value.code == "schema-type"


@pytest.mark.parametrize(
    ("hint", "name"),
    [
        (str, "string"),
        (bool, "bool"),
        (int, "int"),
        (float, "float"),
        (dt.date, "string"),
        (list[int], "array"),
        (tuple[int, ...], "array"),
        (set, "array"),
        (Sequence[str], "array"),
        (dict[str, int], "object"),
        (Mapping[str, int], "object"),
        (Order, "object"),
        (Receipt, "object"),
        (Options, "object"),
        (Colour, "string"),
        (Literal["a", "b"], "string"),
        (Literal[1, "b"], "any"),
        (int | float, "float"),
        (int | str, "any"),
        (int | None, "int"),
        (NewType("Id", str), "string"),
        (bytes, "any"),
        (object, "any"),
        (Any, "any"),
    ],
)
def test_types_become_the_protocols_types(hint, name):
    assert schema_of({"x": hint}, type="t").inputs[0].type == name


def test_what_may_be_none_is_not_required():
    assert not schema_of({"x": int | None}, type="t").inputs[0].required


def test_a_function_is_closed_over_its_arguments():
    async def send_mail(
        to: str, copies: int = 1, *, subject: Annotated[str, "one line"]
    ) -> Receipt:
        """Sends a mail.

        More about it.

        Args:
            to: whom to send it to
            copies (int): how many
        """

    schema = schema_of_function(send_mail)
    assert (schema.type, schema.description) == ("send-mail", "Sends a mail.")
    assert schema.inputs == (
        Field("to", "string", True, "whom to send it to"),
        Field("copies", "int", False, "how many"),
        Field("subject", "string", True, "one line"),
    )
    assert schema.outputs == (Field("paidAt", "string", True), by_name(schema.outputs)["total"])


def test_a_function_without_hints_is_open():
    assert schema_of_function(lambda a, b: 0, type="x").inputs is None


def test_a_function_without_arguments_takes_none_at_all():
    def tick():
        return None

    assert schema_of_function(tick).inputs == ()


def test_a_function_with_any_keyword_is_open():
    def log(message: str, **more: int): ...

    assert schema_of_function(log).inputs is None


def test_outputs_are_open_unless_a_record_is_returned():
    def one() -> dict[str, int]: ...

    def other() -> Options: ...

    assert schema_of_function(one).outputs is None
    assert [each.name for each in schema_of_function(other).outputs] == ["depth", "colour"]


def test_hints_that_name_the_unknown_are_left_out():
    def odd(a: "Nowhere", b: "int"): ...  # noqa: F821 - that is the point

    assert [each.name for each in schema_of_function(odd).inputs] == ["a", "b"]


def test_the_request_is_no_input():
    async def work(my_request: Request, n: int): ...

    assert [each.name for each in FunctionExecutor("x", work).schema.inputs] == ["n"]


def test_methods_and_callable_objects():
    class Mailer:
        def send(self, to: str): ...

        async def __call__(self, to: str): ...

    assert [each.name for each in schema_of_function(Mailer().send).inputs] == ["to"]
    assert [each.name for each in schema_of_function(Mailer(), type="m").inputs] == ["to"]


def ship(order_id: str, weight: int): ...


def shipping(**inputs):
    """The codes of what is wrong with a document that ships with these inputs."""
    node = {
        "name": "ship",
        "executor": {"type": "ship"},
        "inputs": {
            "parameters": [{"name": n.replace("_", "-"), "value": v} for n, v in inputs.items()]
        },
    }
    document = {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "w"},
        "spec": {"entrypoint": "m", "templates": [{"dag": {"name": "m", "tasks": [node]}}]},
    }
    known = Known(executors={"ship": FunctionExecutor("ship", ship).schema})
    try:
        check(document, known=known)
    except InvalidDocument as refusal:
        return [problem.code for problem in refusal.problems]
    return []


def test_a_document_writes_an_argument_with_hyphens_for_underscores():
    assert shipping(order_id="o-1", weight=3) == []
    assert shipping(weight=3) == ["executor-input-missing"]
    assert shipping(order_id=1, weight=3) == ["type-mismatch"]
