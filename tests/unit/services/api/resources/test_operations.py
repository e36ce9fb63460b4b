"""What the operations page reads."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.identity import Audience, Scope
from shared.metadata.models import Evidence, OpenRender
from shared.queue import RENDER_QUEUE, WARM_QUEUE
from tests.harness.polling import wait_until_async
from tests.samples.operations import LETTERS, OPS, add, bury, record


async def test_to_all_but_admins_and_programs_with_the_scope_there_is_no_such_thing(gateway):
    add(gateway, record("r1", status="Error"))
    for path in ("/ops", OPS, f"{OPS}/renders", f"{OPS}/renders/r1", f"{OPS}/curves", LETTERS):
        assert (await gateway.get(path, "ben")).status_code == 404
        assert (await gateway.get(path, "")).status_code == 401
        assert (await gateway.get(path, "ada")).status_code == 200
    for scope, status in ((Scope.SCHEDULES, 404), (Scope.OPS, 200)):
        token = gateway.services.tokens.issue("guy", Audience.SERVICE, 60, [scope])
        assert (await gateway.get(OPS, "", headers={"Authorization": f"Bearer {token}"})).status_code == status


async def test_the_overview_has_processes_queues_and_store(gateway):
    await bury(gateway)
    seen = (await gateway.get(OPS, "ada")).json
    queues = {queue["name"]: queue for queue in seen["queues"]["result"]}
    assert (queues[RENDER_QUEUE]["dead_letters"], queues[WARM_QUEUE]["dead_letters"]) == (1, 0)
    assert seen["store"][0]["items"] > 0
    assert seen["queues"]["problem"] is None


async def test_who_accepts_a_stream_is_sent_one(gateway):
    async with gateway.conductor.simulate_get_stream(
        OPS, headers={**gateway.bearer("ada"), "Accept": "text/event-stream"}
    ) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        first = await stream.stream.read()
    assert first.startswith(b"event: overview")


async def test_renders_are_found_by_state_target_user_age_and_correlation_id(gateway):
    add(gateway, record("new"), record("old", age=timedelta(hours=30)))
    add(gateway, record("bad", status="Error", code="not_ready", executor="ada", target_kind="dashboard"))

    async def find(query):
        answer = await gateway.get(f"{OPS}/renders?{query}", "ada")
        return {one["id"] for one in answer.json["result"]}

    assert await find("") == {"new", "bad"}
    assert await find("hours=48") == {"new", "bad", "old"}
    assert await find("state=failed") == await find("target=dashboard/1") == await find("user=ada") == {"bad"}
    assert await find("target=1&state=updated") == {"new"}
    assert await find("correlation_id=c-bad") == await find("code=not_ready") == {"bad"}
    assert await find("user=' OR 1=1") == set()


@pytest.mark.parametrize(
    ("query", "field"),
    [("state=odd", "state"), ("target=a/b/c", "target"), ("hours=-1", "hours"), ("hours=nan", "hours"),
     ("hours=x", "hours"), (f"user={'u' * 300}", "user"), ("page=x", "page")],
)  # fmt: skip
async def test_a_wrong_question_names_its_field(gateway, query, field):
    answer = await gateway.get(f"{OPS}/renders?{query}", "ada")
    assert (answer.status_code, answer.json["field"]) == (400, field)


async def test_a_failed_render_shows_what_its_page_looked_like(gateway):
    add(
        gateway,
        record("bad", status="Error", code="not_ready"),
        Evidence(render_id="bad", screenshot=b"\xff\xd8", console=["odd"]),
    )
    found = (await gateway.get(f"{OPS}/renders/bad", "ada")).json["result"]
    assert (found["seconds"], found["queued_s"], found["evidence"]["console"]) == (3.0, 1.0, ["odd"])
    assert found["remedy"]
    picture = await gateway.get(found["evidence"]["screenshot_url"], "ada")
    assert (picture.content, picture.headers["Content-Type"]) == (b"\xff\xd8", "image/jpeg")
    assert (await gateway.get(found["evidence"]["screenshot_url"], "ben")).status_code == 404


async def test_a_render_that_waits_is_found_with_its_deadline_and_told_as_a_whole(gateway):
    answer = await gateway.post("/api/v1/chart/1/thumbnail", "ben", json={"force": True})
    request = gateway.publisher.published[-1]
    add(gateway, record("ended"))
    found = (await gateway.get(f"{OPS}/renders?state=waiting&user=ben&target=chart/1", "ada")).json
    (waits,) = found["result"]
    assert (answer.status_code, found["count"], waits["id"], waits["status"]) == (202, 1, request.id, "Pending")
    assert datetime.fromisoformat(waits["deadline"]) > datetime.now(UTC)
    assert (waits["finished_at"], waits["correlation_id"]) == (None, request.correlation_id)
    assert [one["id"] for one in (await gateway.get(f"{OPS}/renders", "ada")).json["result"]] == [request.id, "ended"]
    assert (await gateway.get(f"{OPS}/renders/{request.id}", "ada")).json["result"]["key"] == request.key
    assert (await gateway.get(f"{OPS}/renders?state=rendering", "ada")).json["count"] == 0
    assert (await gateway.get(OPS, "ada")).json["open_renders"] == {"waiting": 1, "rendering": 0}


async def test_a_gateway_that_stops_has_written_what_waits(gateway):
    await gateway.post("/api/v1/chart/1/thumbnail", "ben", json={"force": True})
    request = gateway.publisher.published[-1]
    gateway.services.open_renders.ended(request.id)
    await gateway.services.close()
    with gateway.services.sessions() as session:
        assert session.get(OpenRender, request.id) is None


async def test_a_request_that_the_broker_did_not_take_does_not_wait(gateway):
    gateway.publisher.down = True
    assert (await gateway.post("/api/v1/chart/1/thumbnail", "ben", json={"force": True})).status_code == 503

    async def nothing_waits():
        return (await gateway.get(f"{OPS}/renders?state=waiting", "ada")).json["count"] == 0

    await wait_until_async(nothing_waits, 10, "the row's removal")
