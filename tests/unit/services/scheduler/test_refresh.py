"""Which pictures a refresh looks at when a catalog's origin does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from services.scheduler.refresh import SILENT, Refresh
from shared.errors import CatalogUnavailable, StoreUnavailable
from shared.metadata.records import Rendered
from shared.targets import Size, Target, TargetKind
from tests.samples.warm import Workshop, open_workshop

SIZES = (Size(800, 600), Size(400, 300))


class BadSuperset:
    """Answers for nothing but `well`; `asked` is what it was asked for."""

    executors = ()

    def __init__(self, *well: str) -> None:
        self.well = well
        self.asked: list[str] = []

    def principal(self, username: str) -> str:
        return username

    def info(self, principal: str, target: Target) -> None:
        self.asked.append(target.id)
        if target.id not in self.well:
            raise CatalogUnavailable("Superset cannot be reached.")

    def facts(self, target: Target, executor: str) -> Any:
        raise StoreUnavailable("none") if target.id == "store" else CatalogUnavailable("Superset cannot be reached.")


class Kept(list[Rendered]):
    """Records of pictures."""

    def thumbnails(self, since: datetime) -> list[Rendered]:
        return self


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    workshop = open_workshop(tmp_path)
    yield workshop
    workshop.world.close()


def picture(number: str) -> Rendered:
    return Rendered(Target("superset", TargetKind.DASHBOARD, number), "ann", "key", *SIZES)


def ours(workshop: Workshop) -> Rendered:
    target = workshop.world.target("overview")
    plan = workshop.requests.again(target, "ada", window=SIZES[0], thumbnail=SIZES[1])
    return Rendered(target, "ada", plan.key, *SIZES)


async def refresh(workshop: Workshop, superset: BadSuperset, kept: list[Rendered]) -> dict[str, int]:
    workshop.catalogs["superset"] = superset
    records: Any = Kept(kept)
    return await Refresh(workshop.world.settings, workshop.requests, workshop.pictures, records).run("c0ffee")


async def test_a_superset_that_is_down_keeps_no_picture_of_ours_from_being_refreshed(workshop: Workshop) -> None:
    superset = BadSuperset()
    theirs = [picture(str(number)) for number in range(SILENT + 2)]
    assert await refresh(workshop, superset, [*theirs, ours(workshop)]) == {
        "failed": SILENT,
        "put_off": 2,
        "published": 1,
    }
    assert len(superset.asked) == SILENT, "the rest is not asked for: no storm"
    assert [request.executor for request in workshop.renderer.rendered] == ["ada"]


async def test_a_store_that_is_down_ends_the_fire(workshop: Workshop) -> None:
    came = await refresh(workshop, BadSuperset("store"), [picture("store"), ours(workshop)])
    assert came == {"failed": 1}
