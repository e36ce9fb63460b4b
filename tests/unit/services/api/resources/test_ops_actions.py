"""What an admin does on the operations page."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.messages.render import Origin
from shared.metadata.models import Cancellation, Heartbeat, OpenRender, RenderRecord, WarmupRun
from shared.queue import BULK_QUEUE, RENDER_QUEUE, WARM_QUEUE
from tests.samples.operations import LETTERS, OPS, add, bury, record

SCHEDULE = {"name": "nightly", "strategy": "dummy", "cron": "30 2 * * *"}


async def test_an_action_with_the_cookie_alone_is_refused(gateway):
    await bury(gateway)
    for method, path in (
        ("POST", f"{LETTERS}/replay"),
        ("DELETE", f"{LETTERS}/all"),
        ("POST", f"{OPS}/renders/a/retry"),
    ):
        answer = await gateway.ask(method, path, "", headers=gateway.cookie("ada"))
        assert answer.status_code == 403
    assert len((await gateway.get(LETTERS, "ada")).json["result"]) == 1


async def test_a_thumbnail_is_rendered_again_as_the_same_executor(gateway):
    add(gateway, record("bad", status="Error"))
    answer = await gateway.post(f"{OPS}/renders/bad/retry", "ada")
    request = gateway.publisher.published[-1]
    assert answer.status_code == 202
    assert (request.executor, request.target.id, request.origin) == ("ben", "1", Origin.OPERATOR)
    assert (await gateway.post(f"{OPS}/renders/none/retry", "ada")).status_code == 404
    add(gateway, record("shot", sizes={"window": [800, 600], "thumbnail": None}))
    assert (await gateway.post(f"{OPS}/renders/shot/retry", "ada")).status_code == 400


async def test_a_replayed_letter_is_published_with_a_deadline_and_a_generation_of_its_own(gateway):
    letter_id = await bury(gateway)
    before = gateway.publisher.published[-1]
    answer = await gateway.post(f"{LETTERS}/replay", "ada", json={"ids": [letter_id]})
    assert (answer.status_code, answer.json["replayed"]) == (202, [letter_id])
    again = gateway.publisher.published[-1]
    assert (again.key, again.executor, again.origin) == (before.key, before.executor, Origin.OPERATOR)
    assert again.id != before.id
    assert again.generation > before.generation
    assert again.deadline > before.deadline
    assert (await gateway.get(LETTERS, "ada")).json["result"] == []


async def test_what_no_worker_can_read_is_not_replayed_but_can_be_removed(gateway):
    letter_id = await bury(gateway, code="invalid_input")
    answer = await gateway.post(f"{LETTERS}/replay", "ada", json={"all": True})
    assert answer.json == {"replayed": [], "not_replayable": [letter_id]}
    assert (await gateway.ask("DELETE", f"{LETTERS}/{letter_id}", "ada")).json == {"removed": 1}
    assert (await gateway.ask("DELETE", f"{LETTERS}/{letter_id}", "ada")).status_code == 404


async def test_a_letter_stays_when_the_broker_does_not_take_it(gateway):
    await bury(gateway)
    gateway.publisher.down = True
    assert (await gateway.post(f"{LETTERS}/replay", "ada", json={"all": True})).status_code == 503
    assert len((await gateway.get(LETTERS, "ada")).json["result"]) == 1


@pytest.mark.parametrize(
    "body", [{}, {"all": False}, {"all": "yes"}, {"ids": ["a"], "all": True}, {"ids": ["a"] * 201}]
)
async def test_a_replay_says_what_it_wants(gateway, body):
    assert (await gateway.post(f"{LETTERS}/replay", "ada", json=body)).status_code == 400


async def test_one_that_waits_is_cancelled_for_whoever_waits_for_it(gateway):
    await gateway.post("/api/v1/chart/1/thumbnail", "ben", json={"force": True})
    request = gateway.publisher.published[-1]
    answer = await gateway.post(f"{OPS}/renders/{request.id}/cancel", "ada")
    assert (answer.status_code, answer.json["ended"]) == (202, True)
    assert (await gateway.post(f"{OPS}/renders/{request.id}/cancel", "ada")).status_code == 404
    (ended,) = (await gateway.get(f"{OPS}/renders", "ada")).json["result"]
    assert (ended["id"], ended["status"], ended["code"]) == (request.id, "Error", "cancelled")
    status = (await gateway.get("/api/v1/chart/1/thumbnail", "ben")).json
    assert (status["task_status"], status["code"]) == ("Error", "cancelled")


async def test_a_cancel_that_comes_after_the_end_leaves_the_picture_as_it_is(gateway):
    await gateway.post("/api/v1/chart/1/thumbnail", "ben", json={"force": True})
    request = gateway.publisher.published[-1]
    await gateway.services.pictures.finish(request.key, request.generation)  # its record is still to come
    answer = await gateway.post(f"{OPS}/renders/{request.id}/cancel", "ada")
    assert (answer.status_code, answer.json["ended"]) == (202, False)
    assert (await gateway.get("/api/v1/chart/1/thumbnail", "ben")).json["task_status"] != "Error"
    with gateway.services.sessions() as session:
        assert session.get(RenderRecord, request.id) is None


async def test_a_purge_leaves_nothing_that_waits_in_its_queue(gateway):
    await gateway.post("/api/v1/chart/1/thumbnail", "ben", json={"force": True})
    for queue, left in ((BULK_QUEUE, 1), (WARM_QUEUE, 1), (RENDER_QUEUE, 0)):
        assert (await gateway.ask("DELETE", f"{OPS}/queues/{queue}/messages", "ada")).status_code == 200
        assert (await gateway.get(f"{OPS}/renders?state=waiting", "ada")).json["count"] == left


async def test_a_purge_leaves_nothing_that_a_gateway_whose_clock_is_ahead_asked_for(gateway):
    await gateway.post("/api/v1/chart/1/thumbnail", "ben", json={"force": True})
    with gateway.services.sessions.begin() as session:
        session.query(OpenRender).update({"asked_at": datetime.now(UTC) + timedelta(minutes=1)})
    await gateway.ask("DELETE", f"{OPS}/queues/{RENDER_QUEUE}/messages", "ada")
    assert (await gateway.get(f"{OPS}/renders?state=waiting", "ada")).json["count"] == 0


async def test_what_nobody_has_and_nothing_waits_for_is_not_cancelled(gateway):
    work = {"work": [{"id": "r-1", "what": "native/chart/1"}]}
    beat = {"host": "h", "version": "1", "started_at": datetime.now(UTC), "seen_at": datetime.now(UTC).timestamp()}
    add(gateway, Heartbeat(id="renderer:h:1", service="renderer", pid=1, details=work, **beat))
    assert (await gateway.post(f"{OPS}/renders/r-2/cancel", "ada")).status_code == 404
    assert (await gateway.post(f"{OPS}/renders/r-1/cancel", "ada")).status_code == 202
    with gateway.services.sessions() as session:
        assert session.get(Cancellation, "r-1").username == "ada"


async def test_queues_that_are_not_ours_are_not_touched(gateway):
    for path in ("other/dead_letters", "other/messages", "other/dead_letters/all"):
        for method in ("GET", "DELETE"):
            assert (await gateway.ask(method, f"{OPS}/queues/{path}", "ada")).status_code in (404, 405)


async def test_a_schedule_is_run_now_and_paused_wherever_it_comes_from(gateway):
    await gateway.post("/api/v1/schedules", "ada", json=SCHEDULE)
    path = "/api/v1/schedules/nightly"
    run = await gateway.post(f"{path}/run", "ada")
    assert (run.status_code, gateway.publisher.warm[-1].run_id) == (202, run.json["id"])
    assert (await gateway.ask("PUT", f"{path}/pause", "ada")).json["paused"] is True
    told = (await gateway.get(path, "ada")).json["result"]
    assert (told["enabled"], told["paused"], told["next_fires"]) == (True, True, [])
    assert (await gateway.ask("DELETE", f"{path}/pause", "ada")).json["paused"] is False
    assert len((await gateway.get(path, "ada")).json["result"]["next_fires"]) == 3
    assert (await gateway.ask("PUT", "/api/v1/schedules/none/pause", "ada")).status_code == 404


async def test_a_stopped_run_says_who_stopped_it(gateway):
    run = (await gateway.post("/api/v1/warmup/runs", "ada", json={"strategy": "dummy"})).json["id"]
    assert (await gateway.post(f"/api/v1/warmup/runs/{run}/stop", "ada")).status_code == 202
    with gateway.services.sessions() as session:
        stopped = session.get(WarmupRun, run)
    assert (stopped.status, stopped.code, stopped.reason) == ("Done", "cancelled", "ada stopped it.")
