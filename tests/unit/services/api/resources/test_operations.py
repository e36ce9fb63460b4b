"""The API of the operations page."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dramatiq.broker import MessageProxy

from shared.consuming import FAILURE_OPTION
from shared.identity import Audience, Scope
from shared.messages.render import Origin
from shared.metadata.models import Cancellation, Evidence, Heartbeat, OpenRender, Query, RenderRecord, WarmupRun
from shared.queue import BULK_QUEUE, RENDER_QUEUE, WARM_QUEUE, envelope
from tests.harness.polling import wait_until_async

OPS = "/api/v1/ops"
LETTERS = f"{OPS}/queues/{RENDER_QUEUE}/dead_letters"
STEPS = [{"step": "queued", "seconds": 1.0}, {"step": "ready", "seconds": 2.0}]
SCHEDULE = {"name": "nightly", "strategy": "dummy", "cron": "30 2 * * *"}


def add(gateway, *rows):
    with gateway.services.sessions.begin() as session:
        session.add_all(rows)


def record(render_id, *, status="Updated", age=timedelta(), **changes):
    about: dict[str, Any] = {
        "catalog": "native",
        "target_kind": "chart",
        "target_id": "1",
        "executor": "ben",
        "key": "k" * 32,
    }
    about |= {"correlation_id": f"c-{render_id}", "generation": 1, "origin": "viewer", "timeline": STEPS}
    about |= {"sizes": {"window": [800, 600], "thumbnail": [800, 600]}}
    at = datetime.now(UTC) - age
    return RenderRecord(id=render_id, status=status, started_at=at, finished_at=at, **{**about, **changes})


async def bury(gateway, code="not_ready"):
    """A dead letter of a thumbnail that somebody asked for."""
    await gateway.post("/api/v1/chart/1/thumbnail", "ben", json={"force": True})
    message = envelope(gateway.publisher.published[-1])
    failure = {FAILURE_OPTION: {"code": code, "reason": "It never ended."}}
    letters = gateway.services.watch._broker.dead_letters_by_queue[RENDER_QUEUE]
    letters.append(MessageProxy(message.copy(options=failure)))
    return message.message_id


async def test_to_all_but_admins_and_programs_with_the_scope_there_is_no_such_thing(gateway):
    add(gateway, record("r1", status="Error"))
    for path in ("/ops", OPS, f"{OPS}/renders", f"{OPS}/renders/r1", f"{OPS}/curves", LETTERS):
        assert (await gateway.get(path, "ben")).status_code == 404
        assert (await gateway.get(path, "")).status_code == 401
        assert (await gateway.get(path, "ada")).status_code == 200
    for scope, status in ((Scope.SCHEDULES, 404), (Scope.OPS, 200)):
        token = gateway.services.tokens.issue("guy", Audience.SERVICE, 60, [scope])
        assert (await gateway.get(OPS, "", headers={"Authorization": f"Bearer {token}"})).status_code == status


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


def query(number, **changes):
    about = {"client_id": f"c{number}", "username": "ben", "database_name": "shop", "sql": "SELECT 1", "row_limit": 10}
    about |= {"limiting_factor": "NOT_LIMITED", "run_async": True, "queue": "q", "correlation_id": f"c-{number}"}
    now = datetime.now(UTC).timestamp()
    times = {"created_at": now - 60, "changed_at": now, "deadline_at": now + 60}
    return Query(id=number, **{**about, **times, **changes})


async def test_queries_are_found_and_those_that_wait_are_stopped(gateway):
    now = datetime.now(UTC).timestamp()
    ended = {"status": "failed", "code": "query_failed", "started_at": now - 50, "ended_at": now - 20}
    add(gateway, query(1), query(2, username="ada", **ended), query(3, created_at=now - 86_400 * 3))
    found = (await gateway.get(f"{OPS}/queries", "ada")).json
    assert [one["id"] for one in found["result"]] == [2, 1]
    assert [step["seconds"] for step in found["result"][0]["timeline"]] == pytest.approx([10, 30], abs=0.1)
    assert (await gateway.get(f"{OPS}/queries?state=failed&user=ada&code=query_failed", "ada")).json["count"] == 1
    assert (await gateway.get(f"{OPS}/queries?state=odd", "ada")).json["field"] == "state"
    assert (await gateway.get(f"{OPS}/queries/1", "ada")).json["result"]["sql"] == "SELECT 1"
    stopped = await gateway.post(f"{OPS}/queries/1/stop", "ada")
    assert (stopped.status_code, stopped.json) == (202, {"id": 1, "state": "stopped"})
    for method, path in (("GET", "queries/99"), ("GET", "queries/x"), ("POST", "queries/99/stop")):
        assert (await gateway.ask(method, f"{OPS}/{path}", "ada")).status_code == 404
    assert (await gateway.get(f"{OPS}/queries", "ben")).status_code == 404


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
