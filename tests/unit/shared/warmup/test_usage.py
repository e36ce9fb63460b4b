from datetime import UTC, datetime, timedelta

from services.cli.warmup_report import usefulness
from shared.metadata.models import WarmupOutcome
from shared.warmup import report
from shared.warmup.usage import SKEW, Usage
from tests.samples.warm import open_workshop


async def test_a_use_is_written_once_and_makes_the_useful_share(workshop):
    world = workshop.world
    outcomes = await workshop.run(workshop.order("ids", charts=[world.id("all-sales")]))
    usage = Usage(world.sessions)
    now = datetime.now(UTC)
    for _ in range(3):
        usage.note(outcomes[0].key, now)
    usage.note("something else", now)
    await usage.close()
    summary = report.report(world.sessions, "latest")
    assert (summary["used"], summary["unused"], summary["not_used_yet"]) == (1, 0, len(outcomes) - 1)
    assert summary["useful_share"] == round(1 / len(outcomes), 3)


async def test_what_expired_without_a_use_is_unused(tmp_path):
    workshop = open_workshop(tmp_path, data_ttl_s=1)
    outcomes = await workshop.run(workshop.order("ids", charts=[workshop.world.id("pay")]))
    with workshop.world.sessions.begin() as session:
        session.query(WarmupOutcome).update({"expires_at": outcomes[0].finished_at})
    assert report.report(workshop.world.sessions, "latest")["unused"] == len(outcomes)
    workshop.world.close()


async def test_what_is_still_served_stale_is_not_unused_yet_and_is_used_then(tmp_path):
    workshop = open_workshop(tmp_path, data_ttl_s=60, data_stale_s=3600)
    (outcome, *_) = await workshop.run(workshop.order("ids", charts=[workshop.world.id("pay")]))
    assert outcome.expires_at is not None
    assert outcome.expires_at > datetime.now(UTC) + timedelta(seconds=3600)
    with workshop.world.sessions.begin() as session:
        session.query(WarmupOutcome).update({"expires_at": outcome.finished_at})
    usage = Usage(workshop.world.sessions)
    usage.note(outcome.key, datetime.now(UTC))
    await usage.close()
    assert report.report(workshop.world.sessions, "latest")["used"] == 1
    workshop.world.close()


async def test_a_use_is_of_the_warming_that_made_what_was_served(workshop):
    order = workshop.order("ids", charts=[workshop.world.id("pay")])
    (first, *_) = await workshop.run(order)
    usage = Usage(workshop.world.sessions)
    usage.note(first.key, datetime.now(UTC) + 2 * SKEW)  # made by somebody else, later
    await usage.close()
    assert report.report(workshop.world.sessions, "latest")["used"] == 0


async def test_that_superset_tells_of_no_use_is_told(workshop):
    outcomes = await workshop.run(workshop.order("ids", charts=[workshop.world.id("pay")]))
    with workshop.world.sessions.begin() as session:
        session.query(WarmupOutcome).filter_by(number=outcomes[0].number).update({"expires_at": None})
    summary = report.report(workshop.world.sessions, "latest")
    assert (summary["use_unknown"], summary["not_used_yet"]) == (1, len(outcomes) - 1)
    assert "of 1 kept by Superset it is not known" in usefulness(summary)
