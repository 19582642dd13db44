"""What the parts of the records suite share."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, ClassVar

import msgspec
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from ..errors import NotFound
from ..ports import Records
from .suites import ContractSuite


class RecordsSuite(ContractSuite):
    """`make` returns fresh and empty records, not opened yet.

    `stands_alone` is False for record calls on a Store, which keep no `redo` and give all records of a
    run one token.
    """

    stands_alone: ClassVar[bool] = True

    async def make(self) -> Records:
        raise NotImplementedError

    async def reopen(self, records: Records) -> Records:
        """The same content, opened anew: override where more than the object outlives it."""
        await records.close()
        await records.open()
        return records

    async def opened(self) -> Records:
        records = await self.make()
        await records.open()
        self.defer(records.close)
        return records


def patched(record: Any, patch: msgspec.Struct, token: int) -> Any:
    members = {name: getattr(patch, name) for name in patch.__struct_fields__ if name != "ordinal"}
    given = {name: value for name, value in members.items() if value is not UNSET}
    return replace(record, **given | {"token": token})


async def missing(code: str, call: Awaitable[object]) -> None:
    with pytest.raises(NotFound) as caught:
        await call
    assert caught.value.code == code
