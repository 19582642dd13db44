"""Calls of the engine for whoever has one: `Aether`, and apps of your own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ports import Forked, RunQuery
from .forks import Forking


class ForkShortcuts:
    """See `Engine`, whose calls these are."""

    @property
    def engine(self) -> Forking:
        raise NotImplementedError

    async def fork(
        self,
        origin: str,
        /,
        *,
        from_task: str = "",
        from_seq: int | None = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - as on the engine
        arguments: Mapping[str, Any] | None = None,
        run_id: str = "",
    ) -> str:
        return await self.engine.fork(
            origin,
            from_task=from_task,
            from_seq=from_seq,
            set=set,
            arguments=arguments,
            run_id=run_id,
        )

    async def retry(self, origin: str, /, *, run_id: str = "") -> str:
        return await self.engine.retry(origin, run_id=run_id)

    async def fork_each(
        self,
        query: RunQuery,
        *,
        from_task: str = "",
        from_seq: int | None = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - as on the engine
        arguments: Mapping[str, Any] | None = None,
    ) -> list[Forked]:
        return await self.engine.fork_each(
            query, from_task=from_task, from_seq=from_seq, set=set, arguments=arguments
        )

    async def retry_each(self, query: RunQuery) -> list[Forked]:
        return await self.engine.retry_each(query)
