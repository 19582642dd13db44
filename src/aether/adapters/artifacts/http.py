"""Artifacts behind plain HTTP: GET to fetch, PUT to keep, DELETE to remove.

In: `{url, headers}`. Out: the body. Never: a redirect followed, a body beyond the limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..whole_files import missing, refused, replacing

if TYPE_CHECKING:
    from aiohttp import ClientResponse

CHUNK = 1 << 18


class HttpArtifacts:
    """Config: `url` (http or https) and `headers`, texts by name. Needs the extra `http`.

    A body larger than `max_bytes` is refused on its way, in either direction. Redirects are refused:
    they would carry the headers, credentials among them, to a place that nobody named.
    """

    type = "http"

    def __init__(
        self, max_bytes: int = 1 << 30, timeout: timedelta = timedelta(minutes=10)
    ) -> None:
        self._max_bytes = max_bytes
        self._timeout = timeout.total_seconds()

    def check(self, config: Mapping[str, Any]) -> list[str]:
        wrong = [
            f"'{member}' is unknown"
            for member in sorted(map(str, set(config) - {"url", "headers"}))
        ]
        if not _is_url(config.get("url")):
            wrong.append(
                "'url' must be a text that begins with http:// or https:// and names a host"
            )
        headers = config.get("headers", {})
        if not isinstance(headers, Mapping) or not all(
            isinstance(text, str) and text.isprintable()
            for pair in headers.items()
            for text in pair
        ):
            wrong.append("'headers' must hold texts by name, each on one line")
        return wrong

    async def upload(self, config: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
        try:
            size = (await asyncio.to_thread(file.stat)).st_size
            opened = await asyncio.to_thread(file.open, "rb")
        except OSError as exc:
            raise refused(f"cannot read {file}: {exc.strerror or exc}", "check the file") from exc
        with opened:
            if size > self._max_bytes:
                raise refused(f"{file} is larger than {self._max_bytes} bytes", "raise max_bytes")
            async with self._answer("PUT", config, data=opened) as answer:
                self._demand(answer, config)
        return dict(config)

    async def download(self, config: Mapping[str, Any], target: Path) -> None:
        async with self._answer("GET", config) as answer:
            self._demand(answer, config)
            try:
                with replacing(target) as file:
                    taken = 0
                    async for chunk in answer.content.iter_chunked(CHUNK):
                        taken += len(chunk)
                        if taken > self._max_bytes:
                            raise refused(
                                f"{config['url']} sends more than {self._max_bytes} bytes",
                                "raise max_bytes",
                            )
                        await asyncio.to_thread(file.write, chunk)
            except OSError as exc:
                if _is_client_error(exc):
                    raise
                raise refused(f"cannot write {target}: {exc.strerror or exc}") from exc

    async def delete(self, config: Mapping[str, Any]) -> None:
        async with self._answer("DELETE", config) as answer:
            if answer.status not in (404, 410):
                self._demand(answer, config)

    def _demand(self, answer: ClientResponse, config: Mapping[str, Any]) -> None:
        if answer.status in (404, 410):
            raise missing(config["url"])
        if not 200 <= answer.status < 300:
            raise refused(
                f"{answer.method} {config['url']} was answered with {answer.status}",
                "name the address that answers itself"
                if 300 <= answer.status < 400
                else "check the url, the headers and the server",
            )

    @asynccontextmanager
    async def _answer(
        self, method: str, config: Mapping[str, Any], **options: Any
    ) -> AsyncIterator[ClientResponse]:
        if wrong := self.check(config):
            raise refused(
                f"this http artifact: {'; '.join(wrong)}", "correct the artifact's config"
            )
        aiohttp = _aiohttp()
        try:
            async with (
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=self._timeout), auto_decompress=False
                ) as session,
                session.request(
                    method,
                    config["url"],
                    headers={"Accept-Encoding": "identity", **config.get("headers", {})},
                    allow_redirects=False,
                    **options,
                ) as answer,
            ):
                yield answer
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise refused(
                f"{method} {config['url']} failed: {type(exc).__name__} {exc}".rstrip(),
                "check that the server can be reached from here",
            ) from exc


def _is_url(url: object) -> bool:
    if not isinstance(url, str) or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _aiohttp() -> Any:
    try:
        import aiohttp
    except ImportError as exc:
        raise refused(
            "http artifacts need the package aiohttp", "pip install 'aether-workflows[http]'"
        ) from exc
    return aiohttp


def _is_client_error(exc: OSError) -> bool:
    return isinstance(exc, _aiohttp().ClientError | TimeoutError)
