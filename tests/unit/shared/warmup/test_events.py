import pytest

from shared.errors import InvalidInput
from shared.metadata.models import Dataset
from shared.warmup.events import EventForm, of_ours, take
from shared.warmup.inputs import fill
from tests.samples.catalog import World


def tell(world: World, event_id: str = "e1", **body):
    form = fill(EventForm, {"database": "demo", "tables": ["sales"], **body})
    depends = of_ours(form, {})
    return take(world.sessions, event_id, form, depends, username="etl", correlation_id="c0ffee", budget_s=60)


def version(world):
    with world.sessions() as session:
        return session.query(Dataset).filter_by(name="sales").one().data_version


def test_an_event_counts_once(workshop):
    first, second = tell(workshop.world), tell(workshop.world)
    assert version(workshop.world) == 2
    assert (first.answer["repeated"], second.answer["repeated"]) == (False, True)
    assert second.answer["run_id"] == first.answer["run_id"]
    assert second.run is None


def test_an_id_is_of_one_event_only(workshop):
    tell(workshop.world)
    with pytest.raises(InvalidInput, match="another event"):
        tell(workshop.world, tables=["payroll"])


def test_an_event_that_is_refused_changes_nothing_and_its_id_stays_free(workshop):
    with pytest.raises(InvalidInput):
        tell(workshop.world, tables=["sales", "nope"])
    assert version(workshop.world) == 1
    assert not tell(workshop.world).answer["repeated"]


async def test_exactly_what_depends_on_it_is_warm_afterwards(workshop):
    world = workshop.world
    await workshop.run(workshop.order("dummy"))
    taken = tell(world)
    numbers = await workshop.warmer.decide(taken.run.id)
    titles = {workshop.runs.outcome(taken.run.id, number).title for number in numbers}
    assert titles == {"Sales by region", "All sales", "Pay", "Overview: Region", "Overview: Days", "Overview: Amount"}
    ends = [await workshop.warmer.one(taken.run.id, number, wait_s=1) for number in numbers]
    came = {(outcome.title, end.came.value) for outcome, end in ends}
    assert ("Pay", "already_warm") in came  # it stands on a dashboard with what changed
    assert ("All sales", "warmed") in came


async def test_pictures_that_somebody_has_are_rendered_anew_and_no_others(workshop, monkeypatch):
    from datetime import UTC, datetime

    from shared.metadata.models import RenderRecord

    await workshop.run(workshop.order("ids", ("pictures",), charts=[workshop.world.id("all-sales")]))
    with workshop.world.sessions.begin() as session:
        for request in workshop.renderer.rendered[:1]:
            session.add(
                RenderRecord(
                    id="r", correlation_id="c", catalog="native", target_kind="chart", target_id=request.target.id,
                    executor=request.executor, key=request.key, generation=1, origin="viewer", status="Updated",
                    sizes={"window": [800, 600], "thumbnail": [800, 600]}, started_at=datetime.now(UTC),
                )
            )  # fmt: skip
    made, workshop.renderer.rendered = workshop.renderer.rendered[0], []
    taken = tell(workshop.world)
    for number in await workshop.warmer.decide(taken.run.id):
        await workshop.warmer.one(taken.run.id, number, wait_s=1)
    assert [request.key for request in workshop.renderer.rendered] == [made.key]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "database"),
        ({"database": "demo"}, "tables"),
        ({"database": "demo", "tables": []}, "tables"),
        ({"database": "demo", "tables": [1]}, "tables.0"),
        ({"database": "demo", "tables": ["a"], "x": 1}, "x"),
        ([], "body"),
    ],
)
def test_a_body_that_is_no_event_names_its_field(body, field):
    with pytest.raises(InvalidInput) as refused:
        fill(EventForm, body)
    assert refused.value.field == field


def test_a_field_that_there_is_not_is_told_with_those_that_there_are(workshop):
    with pytest.raises(InvalidInput, match=r"known: catalog, database, tables, schema, id,"):
        tell(workshop.world, shema="main")


@pytest.mark.parametrize(("field", "value"), [("id", "a\0b"), ("database", "demo\0"), ("tables", ["sales", "\0"])])
def test_a_text_that_postgresql_does_not_keep_is_refused(workshop, field, value):
    with pytest.raises(InvalidInput, match="NUL") as refused:
        tell(workshop.world, **{"event_id": "e9", field: value})
    assert refused.value.field == field
