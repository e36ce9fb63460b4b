"""The renders that this process has in hand: for its heartbeat, and for an operator who wants one of them no more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from shared.errors import Cancelled
from shared.messages.render import RenderRequest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class InHand:
    request: RenderRequest
    since: datetime
    task: asyncio.Task[Any]


class Desk:
    """For one event loop."""

    def __init__(self) -> None:
        self._in_hand: dict[str, InHand] = {}
        self._unwanted: frozenset[str] = frozenset()

    async def work(self, request: RenderRequest, render: Coroutine[Any, Any, T]) -> T:
        """Raises what the render raises, and Cancelled when an operator cancelled it, before it began too."""
        if request.id in self._unwanted:
            render.close()
            raise Cancelled.by_operator()
        task = asyncio.create_task(render)
        self._in_hand[request.id] = InHand(request, datetime.now(UTC), task)
        try:
            return await task
        except asyncio.CancelledError:
            if request.id in self._unwanted:
                raise Cancelled.by_operator() from None
            raise
        finally:
            self._in_hand.pop(request.id, None)

    def cancel(self, request_ids: Iterable[str]) -> None:
        """These are unwanted, whether they are in hand or still to come."""
        self._unwanted = frozenset(request_ids)
        for request_id in self._unwanted & self._in_hand.keys():
            self._in_hand[request_id].task.cancel()

    @property
    def request_ids(self) -> frozenset[str]:
        return frozenset(self._in_hand)

    def describe(self) -> list[dict[str, Any]]:
        return [
            {
                "id": request_id,
                "what": str(one.request.target),
                "executor": one.request.executor,
                "origin": one.request.origin.value,
                "correlation_id": one.request.correlation_id,
                "since": one.since.isoformat(),
            }
            for request_id, one in self._in_hand.items()
        ]
