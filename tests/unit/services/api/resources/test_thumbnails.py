from datetime import UTC, datetime, timedelta

import pytest

from tests.harness import wait_until_async

STATUS_KEYS = {
    "cache_key",
    "image_url",
    "task_updated_at",
    "task_status",
    "task_timeout_seconds",
    "reason",
    "code",
    "deadline",
}


@pytest.mark.parametrize("kind", ["chart", "dashboard"])
async def test_a_missing_thumbnail_is_asked_for_and_answered_with_its_status(gateway, kind):
    url = await gateway.thumbnail_url(kind)
    answer = await gateway.get(url)
    assert answer.status_code == 202
    assert set(answer.json) == STATUS_KEYS | {f"{kind}_url"}
    assert answer.json["task_status"] == "Pending"
    assert answer.json[f"{kind}_url"] == f"/{kind}/1/"
    assert answer.json["image_url"] == url
    assert answer.headers["Retry-After"] == "2"
    assert [str(request.target) for request in gateway.publisher.published] == [f"native/{kind}/1"]


async def test_asking_again_while_it_is_made_publishes_nothing(gateway):
    url = await gateway.thumbnail_url()
    for _ in range(3):
        assert (await gateway.get(url)).status_code == 202
    assert len(gateway.publisher.published) == 1


async def test_the_message_carries_the_correlation_id_of_the_request(gateway):
    url = await gateway.thumbnail_url()
    answer = await gateway.get(url, headers={"X-Correlation-ID": "my-id.1"})
    assert answer.headers["X-Correlation-ID"] == "my-id.1"
    assert gateway.publisher.published[0].correlation_id == "my-id.1"


async def test_a_stored_thumbnail_is_served_with_its_headers(gateway):
    url = await _stored(gateway)
    answer = await gateway.get(url)
    assert answer.status_code == 200
    assert answer.content == b"\x89PNG old"
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["Vary"] == "Authorization, Cookie"
    assert answer.headers["X-Cache"] == "HIT"
    assert answer.headers["X-Vitrine-Stale"] == "0"
    assert datetime.fromisoformat(answer.headers["X-Vitrine-Rendered-At"]).tzinfo


async def test_a_matching_etag_is_answered_304_from_the_head_alone(gateway):
    url = await _stored(gateway)
    etag = (await gateway.get(url)).headers["ETag"]
    gateway.store.calls.clear()
    answer = await gateway.get(url, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)
    assert [key.rpartition(":")[2] for _, key in gateway.store.calls] == ["head"]


async def test_another_etag_gets_the_body(gateway):
    url = await _stored(gateway)
    assert (await gateway.get(url, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_head_has_the_headers_and_no_body(gateway):
    url = await _stored(gateway)
    answer = await gateway.ask("HEAD", url)
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, b"", "8")


async def test_another_digest_is_redirected_to_the_current_one(gateway):
    url = await gateway.thumbnail_url()
    answer = await gateway.get("/api/v1/chart/1/thumbnail/0123abcd/")
    assert (answer.status_code, answer.headers["Location"]) == (302, url)
    assert gateway.publisher.published == []


async def test_a_stale_picture_is_served_and_renewed_behind_the_answer(gateway):
    url = await _stored(gateway, digest="before the edit")
    answer = await gateway.get(url)
    assert (answer.status_code, answer.headers["X-Vitrine-Stale"], answer.headers["X-Cache"]) == (200, "1", "STALE")
    await wait_until_async(lambda: len(gateway.publisher.published) == 2, 2, "the refresh was not published")


async def test_many_viewers_of_a_stale_picture_ask_once(gateway):
    url = await _stored(gateway, digest="before the edit")
    for _ in range(5):
        await gateway.get(url)
    await wait_until_async(lambda: len(gateway.publisher.published) == 2, 2, "the refresh was not published")
    await gateway.services.refresher.close()
    assert len(gateway.publisher.published) == 2


async def test_a_304_of_a_stale_picture_says_so_too(gateway):
    url = await _stored(gateway, digest="before the edit")
    etag = (await gateway.get(url)).headers["ETag"]
    answer = await gateway.get(url, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.headers["X-Vitrine-Stale"]) == (304, "1")


async def test_without_a_broker_a_stale_picture_is_still_served(gateway):
    url = await _stored(gateway, digest="before the edit")
    gateway.publisher.down = True
    assert (await gateway.get(url)).status_code == 200


async def test_without_a_broker_and_a_picture_it_is_503_and_the_claim_is_given_back(gateway):
    url = await gateway.thumbnail_url()
    gateway.publisher.down = True
    answer = await gateway.get(url)
    assert (answer.status_code, answer.json["code"]) == (503, "broker_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    gateway.publisher.down = False
    assert (await gateway.get(url)).status_code == 202
    assert len(gateway.publisher.published) == 1


async def test_an_error_is_told_with_its_reason_until_it_may_be_tried_again(gateway):
    url = await gateway.thumbnail_url()
    await gateway.get(url)
    request = gateway.publisher.published[0]
    later = datetime.now(UTC) + timedelta(seconds=40)
    await gateway.services.pictures.fail(
        request.key, request.generation, code="not_ready", reason="It never got ready.", retry_at=later
    )
    answer = await gateway.get(url)
    assert answer.status_code == 202
    told = [answer.json[name] for name in ("task_status", "code", "reason", "deadline")]
    assert told == ["Error", "not_ready", "It never got ready.", None]
    assert 38 <= int(answer.headers["Retry-After"]) <= 40
    assert len(gateway.publisher.published) == 1


async def test_an_error_whose_time_has_come_is_tried_again(gateway):
    url = await gateway.thumbnail_url()
    await gateway.get(url)
    request = gateway.publisher.published[0]
    past = datetime.now(UTC) - timedelta(seconds=1)
    await gateway.services.pictures.fail(request.key, request.generation, code="x", reason="y", retry_at=past)
    assert (await gateway.get(url)).json["task_status"] == "Pending"
    assert len(gateway.publisher.published) == 2


async def test_post_without_force_gives_what_is_fresh(gateway):
    url = await _stored(gateway)
    for options in ({}, {"json": {"force": False}}):
        answer = await gateway.post("/api/v1/chart/1/thumbnail/", **options)
        assert (answer.status_code, answer.json["image_url"]) == (200, url)
        assert (answer.json["task_status"], answer.json["stale"]) == ("Updated", False)
    assert len(gateway.publisher.published) == 1


async def test_post_with_force_renders_anew_with_a_higher_generation(gateway):
    await _stored(gateway)
    answer = await gateway.post("/api/v1/chart/1/thumbnail/", json={"force": True})
    assert (answer.status_code, answer.json["task_status"]) == (202, "Pending")
    first, second = gateway.publisher.published
    assert second.generation > first.generation


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"force": 1}', b'{"force": "yes"}', b"\xff", b'"\\ud800"', b"NaN"])
async def test_post_with_a_bad_body_is_400_and_names_the_field(gateway, body):
    answer = await gateway.post("/api/v1/chart/1/thumbnail/", body=body)
    assert answer.status_code == 400
    assert answer.json["field"] in ("body", "force")


async def test_the_status_can_be_looked_at_without_asking_for_a_picture(gateway):
    answer = await gateway.get("/api/v1/chart/1/thumbnail/")
    assert (answer.status_code, answer.json["task_status"], answer.json["rendered_at"]) == (200, None, None)
    await _stored(gateway)
    assert (await gateway.get("/api/v1/chart/1/thumbnail/")).json["task_status"] == "Updated"
    assert len(gateway.publisher.published) == 1


@pytest.mark.parametrize("gateway", [{"access_cache_s": 60}], indirect=True)
async def test_a_hit_touches_no_database(gateway):
    url = await _stored(gateway)
    headers = gateway.bearer("ben")
    await gateway.get(url, "", headers=headers)
    gateway.services.engine.dispose()
    gateway.services.blocking.close()  # whatever would go to the database fails from here on
    assert (await gateway.get(url, "", headers=headers)).status_code == 200


async def test_two_users_with_different_row_rules_get_different_pictures(gateway):
    for username in ("ben", "nia"):
        await gateway.get(await gateway.thumbnail_url(username=username), username)
    first, second = gateway.publisher.published
    assert (first.executor, second.executor) == ("ben", "nia")
    assert first.key != second.key


async def _stored(gateway, digest: str | None = None) -> str:
    url: str = await gateway.thumbnail_url()
    await gateway.get(url)
    await gateway.store_picture(digest=digest)
    return url
