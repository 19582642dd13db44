"""Bodies and query strings on their way in: bounded, and of the shape that the route declares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from ...errors import Problem, Refused
from .messages import JSON, YAML, Rejected, bad_request

if TYPE_CHECKING:
    from .table import Route

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Gone(Exception):
    """The caller went away before its request was whole."""


async def read_body(receive: Receive, headers: dict[str, str], most: int) -> bytes:
    """Raises Rejected before more than `most` bytes are held."""
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        _too_large(most)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            _too_large(most)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def decode_body(route: Route, headers: dict[str, str], data: bytes, depth: int) -> Any:
    """What changes something says that it is JSON, also when it is empty: no page of another site can."""
    assert route.body is not None
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if route.takes_document and media in YAML:
        return msgspec.convert({"document": _text(data)}, route.body)
    if media != JSON:
        offer = f"{JSON} or {YAML[0]}" if route.takes_document else JSON
        raise Rejected(
            415,
            Problem(
                "wrong-media-type",
                f"the body is declared as '{media}'",
                fix=f"send it with content-type: {offer}",
            ),
        )
    try:
        tree = msgspec.json.decode(data) if data.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise bad_request(f"the body is no JSON: {exc}") from None
    except RecursionError:
        _too_deep(depth)
    if route.takes_document and isinstance(tree, dict) and "apiVersion" in tree:
        tree = {"document": _text(data)}  # as text it knows its lines
    elif deeper_than(tree, depth):
        _too_deep(depth)
    return convert(tree, route.body, "the body")


def decode_query(shape: type[msgspec.Struct] | None, pairs: Sequence[tuple[str, str]]) -> Any:
    if shape is None:
        if pairs:
            raise bad_request(f"there is no parameter '{pairs[0][0]}' here", "leave it out")
        return None
    _, lists = _members(shape)
    tree: dict[str, Any] = {}
    for name, value in pairs:
        if name in lists:
            tree.setdefault(name, []).append(value)
        elif name in tree:
            raise bad_request(f"parameter '{name}' is given twice", "keep one of them")
        else:
            tree[name] = value
    return convert(tree, shape, "the query")


def convert(tree: Any, shape: type[msgspec.Struct], what: str) -> Any:
    """Raises Refused `bad-request` with the place, and with what may have been meant."""
    if isinstance(tree, dict):
        known, _ = _members(shape)
        for name in tree:
            if name not in known:
                near = get_close_matches(str(name), known, 1)
                raise bad_request(
                    f"{what} has no member '{name}'",
                    f"did you mean '{near[0]}'?"
                    if near
                    else f"it has {', '.join(sorted(known)) or 'none'}",
                )
    try:
        return msgspec.convert(tree, shape, strict=what == "the body")
    except msgspec.ValidationError as exc:
        raise bad_request(f"{what}: {exc}") from None


@cache
def _members(shape: type[msgspec.Struct]) -> tuple[frozenset[str], frozenset[str]]:
    """What may be given, and what of it more than once. Reading annotations is slow, and they stay."""
    fields = msgspec.structs.fields(shape)
    lists = [field for field in fields if getattr(field.type, "__origin__", None) is list]
    return (
        frozenset(field.encode_name for field in fields),
        frozenset(field.encode_name for field in lists),
    )


def deeper_than(tree: Any, most: int) -> bool:
    """Whether objects and lists are nested deeper. It goes level by level, and needs no stack."""
    level = [tree]
    for _ in range(most + 1):
        if not level:
            return False
        inside: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inside += [value for value in each.values() if isinstance(value, dict | list)]
            elif isinstance(each, list):
                inside += [value for value in each if isinstance(value, dict | list)]
        level = inside
    return bool(level)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refused(
            Problem("not-utf8", "the text is not UTF-8", fix="save it as UTF-8")
        ) from None


def _too_large(most: int) -> NoReturn:
    raise Rejected(
        413,
        Problem(
            "body-too-large",
            f"the body has more than {most:,} bytes",
            fix="pass large data by reference, such as an artifact",
        ),
    )


def _too_deep(most: int) -> NoReturn:
    raise Rejected(
        422,
        Problem(
            "body-too-deep",
            f"objects and lists are nested deeper than {most} levels",
            fix="flatten the value, or pass it as text",
        ),
    )
