"""The head of a request, bounded: the parser itself would take one of any length, for any time."""

from __future__ import annotations

import asyncio
from typing import Any

MOST = 64 * 1024
"""Bytes of a request line with its headers, give or take what one read of the socket brings."""
LONGEST = 30.0
"""Seconds from the first byte of a head, or from the connection, to its last."""

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def bounded_protocol() -> type[asyncio.Protocol]:
    """The protocol of the server's library, with these bounds; made here because the library is optional."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class Bounded(HttpToolsProtocol):
        _size = 0
        _in_head = True
        _alarm: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._calm()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._in_head:
                self._size += len(data)
                if self._size > MOST and not self.transport.is_closing():
                    self.transport.write(_TOO_LARGE)
                    self.transport.close()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._await_head()

        def on_headers_complete(self) -> None:
            self._in_head = False
            self._calm()
            super().on_headers_complete()

        def _await_head(self) -> None:
            self._in_head, self._size = True, 0
            self._calm()
            self._alarm = self.loop.call_later(LONGEST, self.transport.close)

        def _calm(self) -> None:
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None

    return Bounded
