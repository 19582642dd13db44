"""What an engine cannot do without, said when it is made."""

from __future__ import annotations

from typing import Any

from ..errors import Problem, Refused

_REQUIRED = {
    "store": "Engine(store=MemoryStore(), …)",
    "broker": "Engine(broker=LocalBroker(), …)",
    "id_generator": "Engine(id_generator=UuidV7Ids(), …)",
}


def required(name: str, port: Any) -> Any:
    """`port` itself. Raises Refused `port-missing` for None."""
    if port is None:
        raise Refused(
            Problem(
                "port-missing",
                f"an engine needs a {name}, and none was given",
                fix=_REQUIRED[name],
            )
        )
    return port
