"""An answer given again must be the one that the application would give; what it looked at tells which one gave it."""

import logging
from datetime import UTC, datetime

import pytest
from falcon import testing
from prometheus_client import REGISTRY

from shared.errors import StoreUnavailable
from shared.store.memory import Memory
from shared.targets import Target, TargetKind
from tests.harness import wait_until_async

REMEMBERS = pytest.mark.parametrize("gateway", [{"access_cache_s": 60}], indirect=True)
ROUTE = "/api/v1/chart/{target_id}/thumbnail/{digest}"


class BadStore(Memory):
    async def get(self, key):
        raise StoreUnavailable("Memcached does not answer.")


@REMEMBERS
async def test_the_same_request_gets_the_same_answer_without_another_look(gateway):
    url, headers, looks = await _stored(gateway)
    first, *others = [await gateway.get(url, "", headers=headers) for _ in range(4)]
    ids = {answer.headers.pop("X-Correlation-ID") for answer in (first, *others)}
    assert len(ids) == 4
    assert len(looks) == 1
    assert {(answer.status_code, answer.content) for answer in others} == {(200, b"\x89PNG old")}
    assert all(answer.headers == first.headers for answer in others)


@REMEMBERS
async def test_so_does_a_conditional_request(gateway):
    url, headers, looks = await _stored(gateway)
    headers["If-None-Match"] = (await gateway.get(url, "", headers=headers)).headers["ETag"]
    _, first, second = [await gateway.get(url, "", headers=headers) for _ in range(3)]
    assert (second.status_code, second.content) == (304, b"")
    assert first.headers.pop("X-Correlation-ID") != second.headers.pop("X-Correlation-ID")
    assert first.headers == second.headers
    assert len(looks) == 3


@REMEMBERS
@pytest.mark.parametrize(("sent", "kept"), [("my-id.1", True), ("no word\x7f", False)])
async def test_the_correlation_id_is_the_request_s_own(gateway, sent, kept):
    url, headers, looks = await _stored(gateway)
    await gateway.get(url, "", headers=headers)
    answer = await gateway.get(url, "", headers=headers | {"X-Correlation-ID": sent})
    assert (answer.headers["X-Correlation-ID"] == sent) is kept
    assert len(looks) == 1


@REMEMBERS
@pytest.mark.parametrize("other", [{"If-None-Match": '"other"'}, {"Accept": "text/html"}, {"X-Forwarded-For": "::1"}])
async def test_any_other_header_is_another_request(gateway, other):
    url, headers, looks = await _stored(gateway)
    await gateway.get(url, "", headers=headers)
    await gateway.get(url, "", headers=headers | other)
    await gateway.get(f"{url}?a=b", "", headers=headers)
    await gateway.ask("HEAD", url, "", headers=headers)
    assert len(looks) == 4


@REMEMBERS
async def test_nobody_gets_another_s_answer(gateway):
    url, headers, looks = await _stored(gateway)
    assert (await gateway.get(url, "", headers=headers)).status_code == 200
    assert (await gateway.get(url, "")).status_code == 401
    assert (await gateway.get(url, "", headers={"Authorization": "Bearer x"})).status_code == 401
    assert (await gateway.get(url, "nia")).status_code == 302
    assert (await gateway.get(url, "", headers=headers)).status_code == 200
    assert len(looks) == 2


@REMEMBERS
async def test_what_is_asked_once_is_not_remembered(gateway):
    url, headers, looks = await _stored(gateway)
    for number in range(3):
        for _ in range(2):
            await gateway.get(f"{url}?n={number}", "", headers=headers)
    assert len(looks) == 6


@REMEMBERS
async def test_a_new_picture_is_shown_at_once(gateway):
    url, headers, _ = await _stored(gateway)
    first = await gateway.get(url, "", headers=headers)
    await gateway.post("/api/v1/chart/1/thumbnail/", json={"force": True})
    await gateway.store_picture(b"\x89PNG new")
    for _ in range(2):
        answer = await gateway.get(url, "", headers=headers)
        assert (answer.status_code, answer.content) == (200, b"\x89PNG new")
        assert answer.headers["ETag"] != first.headers["ETag"]


@REMEMBERS
async def test_a_lost_picture_is_asked_for(gateway):
    url, headers, _ = await _stored(gateway)
    await gateway.get(url, "", headers=headers)
    key = f"{gateway.services.settings.store_prefix}{gateway.publisher.published[-1].key}"
    for name in (key, f"{key}:head", f"{key}:state"):
        await gateway.store.delete(name)
    assert (await gateway.get(url, "", headers=headers)).status_code == 202
    assert len(gateway.publisher.published) == 2


@REMEMBERS
async def test_a_store_that_is_down_is_told(gateway):
    url, headers, _ = await _stored(gateway)
    await gateway.get(url, "", headers=headers)
    gateway.services.pictures._kv = BadStore()
    answer = await gateway.get(url, "", headers=headers)
    assert (answer.status_code, answer.json["code"]) == (503, "store_unavailable")


@REMEMBERS
async def test_a_stale_picture_is_the_application_s_to_answer(gateway):
    url, headers, looks = await _stored(gateway, digest="before the edit")
    for _ in range(3):
        assert (await gateway.get(url, "", headers=headers)).headers["X-Cache"] == "STALE"
    assert len(looks) == 3


@pytest.mark.parametrize("gateway", [{"access_cache_s": 60, "picture_fresh_s": 1}], indirect=True)
async def test_an_answer_is_repeated_while_the_picture_is_fresh(gateway):
    url, headers, _ = await _stored(gateway)

    async def is_stale():
        return (await gateway.get(url, "", headers=headers)).headers["X-Cache"] == "STALE"

    assert not await is_stale()
    await wait_until_async(is_stale, 5, "the answer of a fresh picture was repeated for ever")


@pytest.mark.parametrize("gateway", [{"access_cache_s": 1}], indirect=True)
async def test_repeating_does_not_prolong_what_is_remembered_of_access(gateway):
    url, headers, looks = await _stored(gateway)
    started = datetime.now(UTC)

    async def looked_again():
        await gateway.get(url, "", headers=headers)
        return len(looks) > 1

    await wait_until_async(looked_again, 5, "access was never looked at again")
    assert (datetime.now(UTC) - started).total_seconds() < 1.9  # two times over would be 2 s


@pytest.mark.parametrize("gateway", [{"access_cache_s": 1}], indirect=True)
async def test_nor_does_a_client_that_takes_its_time_over_the_answer(gateway):
    url, headers, looks = await _stored(gateway)
    ben = gateway.services.catalog.principal("ben")
    chart = Target("native", TargetKind.CHART, "1")

    async def take_time(event):
        await wait_until_async(lambda: not gateway.services.access.left_s(ben, chart), 5, "access is never forgotten")

    for _ in range(2):
        scope = testing.create_scope(path=url, headers=headers)
        await gateway.conductor.app(scope, testing.ASGIRequestEventEmitter(), take_time)
    assert len(looks) == 2


@REMEMBERS
@pytest.mark.parametrize("large", [("", {"Accept": "a" * 9000}), ("?a=" + "b" * 9000, {})])
async def test_a_large_request_is_not_kept(gateway, large):
    url, headers, looks = await _stored(gateway)
    for _ in range(3):
        await gateway.get(url + large[0], "", headers=headers | large[1])
    assert len(looks) == 3


@pytest.mark.parametrize("gateway", [{"access_cache_s": 0}], indirect=True)
async def test_where_nothing_is_remembered_nothing_is_repeated(gateway):
    url, headers, looks = await _stored(gateway)
    for _ in range(3):
        await gateway.get(url, "", headers=headers)
    assert len(looks) == 3


@REMEMBERS
async def test_in_a_debug_log_each_request_has_its_line(gateway, caplog):
    url, headers, looks = await _stored(gateway)
    with caplog.at_level(logging.DEBUG, "vitrine.access"):
        for _ in range(3):
            await gateway.get(url, "", headers=headers)
    assert len(looks) == 3


@REMEMBERS
async def test_a_repeated_answer_is_counted(gateway):
    def counts():
        labels = {"route": ROUTE, "method": "GET", "status": "200"}
        return [
            REGISTRY.get_sample_value("vitrine_http_requests_total", labels) or 0,
            REGISTRY.get_sample_value("vitrine_http_request_duration_seconds_count", {"route": ROUTE}) or 0,
            REGISTRY.get_sample_value("vitrine_picture_reads_total", {"outcome": "hit"}) or 0,
        ]

    url, headers, _ = await _stored(gateway)
    before = counts()
    for _ in range(3):
        await gateway.get(url, "", headers=headers)
    assert [after - start for start, after in zip(before, counts(), strict=True)] == [3, 3, 3]


async def _stored(gateway, digest: str | None = None):
    """The URL of a stored thumbnail, headers to ask with, and the application's looks at access from now on."""
    url, headers = await gateway.thumbnail_url(), gateway.bearer("ben")
    await gateway.get(url, "", headers=headers)  # the first time, which is never remembered
    await gateway.store_picture(digest=digest)
    looks, see = [], gateway.services.access.see

    async def watched(principal, target):
        looks.append(str(target))
        return await see(principal, target)

    gateway.services.access.see = watched
    return url, headers, looks
