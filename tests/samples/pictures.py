"""Pictures of one key: put, and claimed."""

from datetime import UTC, datetime, timedelta

from shared.store.pictures import Claim, Head, Pictures

KEY = "0123456789abcdef"


def soon(seconds: float = 60) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def put(pictures: Pictures, generation: int = 1, body: bytes = b"picture", key: str = KEY) -> Head | None:
    return await pictures.put(
        key, body, content_type="image/png", generation=generation, digest=f"d{generation}", rendered_at=soon(0)
    )


async def claim(
    pictures: Pictures, *, force: bool = False, hurry: bool = False, deadline_s: float = 60, now_s: float = 0
) -> Claim:
    return await pictures.claim(KEY, deadline=soon(deadline_s), now=soon(now_s), force=force, hurry=hurry)
