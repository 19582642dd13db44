"""The page that Prometheus reads, on a port of its own."""

from __future__ import annotations

from collections.abc import Callable

from .messages import Request, Response
from .services import Services
from .table import Route


class MetricsPage:
    """`/metrics`, and nothing else."""

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(
                name="metrics",
                method="GET",
                path="/metrics",
                needs="look",
                handler=self._answer,
                about="What this process did, as Prometheus reads it.",
                media="text/plain",
            ),
        )

    async def _answer(self, services: Services, request: Request) -> Response:
        return Response(body=self._text().encode(), media="text/plain; version=0.0.4")
