"""What operators cancelled, read with each heartbeat: a render ends some seconds after it was cancelled."""

from __future__ import annotations

import asyncio

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from services.renderer.desk import Desk
from shared.metadata.models import Cancellation


async def heed(sessions: sessionmaker[Session], desk: Desk) -> None:
    """Raises DatabaseUnavailable."""
    desk.cancel(await asyncio.to_thread(_unwanted, sessions))


def _unwanted(sessions: sessionmaker[Session]) -> list[str]:
    with sessions() as session:
        return list(session.scalars(select(Cancellation.request_id)))
