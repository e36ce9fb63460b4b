"""Renders that were asked for and have not ended: a row each, so that an operator sees which pictures wait.

The rows are for people: no render depends on one. A write that fails, or that comes late, is a line in the log, and
what the page shows is held against what else is known: a render with a record has ended, and one that no living
renderer has in hand waits, whatever its row says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

import structlog
from sqlalchemy import delete, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from shared.errors import DatabaseUnavailable
from shared.messages.render import RenderRequest
from shared.metadata.engine import raced, writing
from shared.metadata.models import OpenRender
from shared.metadata.records import asked

log = structlog.get_logger(__name__)
PATIENCE_S = 0.1  # whoever asks for a picture is not kept longer than this for its row
CLOSE_S = 2.0  # nor a process that ends

Change = Callable[[Session], object]


class Listing(Protocol):
    """Told by a renderer what it does with a request. Nothing here waits or raises."""

    def taken(self, request: RenderRequest, owner: str) -> None: ...

    def given_back(self, request: RenderRequest, owner: str) -> None:
        """It will be tried again after a pause."""
        ...

    def ended(self, request_id: str) -> None:
        """Without a record, which would take the row away."""
        ...


class Unlisted:
    """A Listing of renders that wait in no queue."""

    def taken(self, request: RenderRequest, owner: str) -> None:
        """Nobody looks."""

    def given_back(self, request: RenderRequest, owner: str) -> None:
        """Nobody looks."""

    def ended(self, request_id: str) -> None:
        """Nobody looks."""


class OpenRenders:
    """A Listing, for one event loop. Changes are written in their order, those of one moment in one transaction."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._changes: list[Change] = []
        self._turn = asyncio.Lock()
        self._writing: set[asyncio.Task[None]] = set()

    async def asked(self, request: RenderRequest) -> None:
        """To be awaited before it is published: a renderer that takes it at once finds the row."""
        await asyncio.wait({self._soon(lambda session: _add(session, request))}, timeout=PATIENCE_S)

    def taken(self, request: RenderRequest, owner: str) -> None:
        self._soon(lambda session: session.merge(_row(request, owner)))  # a gateway of the version before wrote none

    def given_back(self, request: RenderRequest, owner: str) -> None:
        ours = (OpenRender.id == request.id) & (OpenRender.owner == owner)  # somebody else may have it by now
        self._soon(lambda session: session.execute(update(OpenRender).where(ours).values(owner="")))

    def ended(self, request_id: str) -> None:
        self._soon(lambda session: session.execute(delete(OpenRender).where(OpenRender.id == request_id)))

    def nothing_in_hand(self, owner: str) -> None:
        """A process that begins: what one of its name had, and died of, waits again."""
        self._soon(
            lambda session: session.execute(update(OpenRender).where(OpenRender.owner == owner).values(owner=""))
        )

    def only_in_hand(self, owner: str, request_ids: Collection[str]) -> None:
        """What else bears its name has ended, and what should have taken its row away failed."""
        others = (OpenRender.owner == owner) & OpenRender.id.not_in(request_ids)
        self._soon(lambda session: session.execute(delete(OpenRender).where(others)))

    async def written(self) -> None:
        """When all that was said so far is written, or lost."""
        if self._writing:
            await asyncio.wait(self._writing)

    async def close(self) -> None:
        """The same, for a process that ends: what is not written by then is lost."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=CLOSE_S)

    def _soon(self, change: Change) -> asyncio.Task[None]:
        self._changes.append(change)
        task = asyncio.create_task(self._write_all())
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return task

    async def _write_all(self) -> None:
        async with self._turn:
            changes, self._changes = self._changes, []
            if not changes:  # the turn before took ours with its own
                return
            try:
                await asyncio.to_thread(raced, lambda: self._write(changes))
            except (DatabaseUnavailable, SQLAlchemyError) as error:
                log.warning("open_renders_not_written", count=len(changes), error=str(error).splitlines()[0])

    def _write(self, changes: list[Change]) -> None:
        with writing(self._sessions) as session:
            for change in changes:
                change(session)
                session.flush()


def forget_all(sessions: sessionmaker[Session]) -> None:
    """The queue was in memory, and is gone. Raises DatabaseUnavailable."""
    with writing(sessions) as session:
        session.execute(delete(OpenRender))


def _row(request: RenderRequest, owner: str | None = None) -> OpenRender:
    times = {"asked_at": request.published_at, "deadline": request.deadline}
    return OpenRender(id=request.id, owner=owner, **times, **asked(request))


def _add(session: Session, request: RenderRequest) -> None:
    if session.get(OpenRender, request.id) is None:  # written late: a renderer was faster
        session.add(_row(request))
