"""What is kept of renders that failed: few, and the newest."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from shared.errors import NotReady
from shared.messages.render import decode
from shared.metadata.engine import open_engine, sessions, upgrade
from shared.metadata.models import Evidence, RenderRecord
from shared.metadata.records import RenderRecords

REQUEST = decode(json.loads(Path("proto/examples/render_request_thumbnail.v1.json").read_text()))


@dataclass
class Seen:
    screenshot: bytes | None = b"jpeg"
    console: tuple[str, ...] = ("error: odd",)


class NoSteps:
    def as_json(self):
        return []


async def kept(tmp_path, keep, seen):
    engine = open_engine(f"sqlite:///{tmp_path / 'm.sqlite'}")
    upgrade(engine)
    records = RenderRecords(sessions(engine), keep)
    for number in range(5):
        request = replace(REQUEST, id=f"r{number}")
        await records.ended(request, NoSteps(), started=datetime.now(UTC), error=NotReady("never"), seen=seen)
    with sessions(engine)() as session:
        found = [one.render_id for one in session.query(Evidence).order_by(Evidence.at)]
        assert session.query(RenderRecord).count() == 5
    engine.dispose()
    return found


async def test_what_failed_renders_saw_is_kept_of_the_newest_ones(tmp_path):
    assert await kept(tmp_path, 3, Seen()) == ["r2", "r3", "r4"]


async def test_nothing_is_kept_where_nothing_is_to_be_kept_or_was_seen(tmp_path):
    assert await kept(tmp_path, 0, Seen()) == []
    (tmp_path / "m.sqlite").unlink()
    assert await kept(tmp_path, 3, Seen(None, ())) == []


async def test_a_record_that_is_there_stays_as_it_is_where_it_is_to_be_written_once(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'm.sqlite'}")
    upgrade(engine)
    records = RenderRecords(sessions(engine))
    for once, reason in ((True, "first"), (True, "second"), (False, "third")):
        await records.ended(REQUEST, NoSteps(), started=datetime.now(UTC), error=NotReady(reason), once=once)
        with sessions(engine)() as session:
            assert session.get_one(RenderRecord, REQUEST.id).reason == ("third" if reason == "third" else "first")
    engine.dispose()
