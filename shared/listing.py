"""A publisher that lists what it publishes as open, for whoever wants to see what waits."""

from __future__ import annotations

from shared.messages.render import RenderRequest
from shared.metadata.open_renders import OpenRenders
from shared.queue import Publisher


class ListingPublisher:
    """A Publisher over another one. The row comes first, so that no renderer is faster; without a publish it goes."""

    def __init__(self, publisher: Publisher, open_renders: OpenRenders) -> None:
        self._publisher = publisher
        self._open_renders = open_renders

    async def publish(self, request: RenderRequest) -> None:
        try:
            await self._open_renders.asked(request)
            await self._publisher.publish(request)
        except BaseException:  # whatever kept it from being published, a cancelled HTTP request too: it does not wait
            self._open_renders.ended(request.id)
            raise

    def close(self) -> None:
        self._publisher.close()
