import pytest

from shared.metadata.models import Chart, RowLevelRule
from shared.targets import Format

ASK = "/api/v1/dashboard/1/cache_dashboard_screenshot/"
ASK_CHART = "/api/v1/chart/1/cache_screenshot/"
KEYS = {"cache_key", "image_url", "task_updated_at", "task_status"}
REGION = {"dataMask": {"region": {"filterState": {"value": ["north"]}}}}


async def _ready(gateway, ask=ASK, **options):
    """Asked for and rendered; the status document."""
    method = "POST" if "dashboard" in ask else "GET"
    answer = await gateway.ask(method, ask, **options)
    await gateway.store_picture(b"\x89PNG shot")
    return answer.json


@pytest.mark.parametrize(("method", "ask", "kind"), [("POST", ASK, "dashboard"), ("GET", ASK_CHART, "chart")])
async def test_asking_for_a_screenshot_publishes_once_and_tells_where_it_will_be(gateway, method, ask, kind):
    first, again = [await gateway.ask(method, ask) for _ in range(2)]
    assert (first.status_code, again.status_code) == (202, 200)
    assert KEYS | {f"{kind}_url"} <= set(first.json)
    assert first.json["image_url"] == f"/api/v1/{kind}/1/screenshot/{first.json['cache_key']}/"
    assert again.json["cache_key"] == first.json["cache_key"]
    [request] = gateway.publisher.published
    assert (request.formats, request.thumbnail) == ((Format.PNG, Format.PDF), None)


async def test_it_is_404_until_it_is_ready_and_then_an_attachment(gateway):
    status = (await gateway.post(ASK)).json
    waiting = await gateway.get(status["image_url"])
    assert (waiting.status_code, waiting.headers["Retry-After"]) == (404, "2")
    assert "not ready" in waiting.json["detail"]
    await gateway.store_picture(b"\x89PNG shot")
    answer = await gateway.get(status["image_url"] + "?download_format=png")
    assert (answer.status_code, answer.content) == (200, b"\x89PNG shot")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="shop-dashboard-1.png"'


async def _store_pdf(gateway):
    request = gateway.publisher.published[-1]
    head = await gateway.services.pictures.head(request.key)
    await gateway.services.pictures.put(
        f"{request.key}.pdf", b"%PDF", content_type="application/pdf", generation=request.generation,
        digest=request.digest, rendered_at=head.rendered_at,
    )  # fmt: skip


async def test_the_pdf_is_kept_beside_the_png(gateway):
    status = await _ready(gateway)
    assert (await gateway.get(status["image_url"] + "?download_format=pdf")).status_code == 404
    await _store_pdf(gateway)
    answer = await gateway.get(status["image_url"] + "?download_format=pdf")
    assert (answer.status_code, answer.content, answer.headers["Content-Type"]) == (200, b"%PDF", "application/pdf")


async def test_what_the_client_holds_already_is_not_fetched_again(gateway, monkeypatch):
    url = (await _ready(gateway))["image_url"]
    await _store_pdf(gateway)
    tags = [(await gateway.get(url + wanted)).headers["ETag"] for wanted in ("", "?download_format=pdf")]
    monkeypatch.setattr(gateway.services.pictures, "read", None)  # only heads may be looked at
    for wanted, tag in zip(("", "?download_format=pdf"), tags, strict=True):
        answer = await gateway.get(url + wanted, headers={"If-None-Match": tag})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)
        assert answer.headers["Cache-Control"] == "private, no-cache"
    await gateway.post(f"{ASK}?q=(force:!t)")
    assert (await gateway.get(url, headers={"If-None-Match": tags[0]})).status_code == 404


async def test_one_whose_picture_was_evicted_behind_its_head_is_made_again(gateway):
    await _ready(gateway)  # the picture, but no PDF
    assert (await gateway.post(ASK)).status_code == 202


async def test_a_fresh_one_is_not_made_again_unless_forced(gateway):
    await _ready(gateway)
    await _store_pdf(gateway)
    answer = await gateway.post(ASK)
    assert (answer.status_code, answer.json["task_status"]) == (200, "Updated")
    assert (await gateway.post(f"{ASK}?q=(force:!t)")).status_code == 202
    assert len(gateway.publisher.published) == 2


async def test_whoever_forces_a_new_one_does_not_get_the_old_one(gateway):
    await _ready(gateway)
    status = (await gateway.post(f"{ASK}?q=(force:!t)")).json
    assert (await gateway.get(status["image_url"])).status_code == 404
    await gateway.store_picture(b"\x89PNG new")
    assert (await gateway.get(status["image_url"])).content == b"\x89PNG new"


async def test_after_a_failed_new_one_the_last_good_one_is_served(gateway):
    await _ready(gateway)
    status = (await gateway.post(f"{ASK}?q=(force:!t)")).json
    request = gateway.publisher.published[-1]
    await gateway.services.pictures.fail(request.key, request.generation, code="x", reason="No.", retry_at=None)
    assert (await gateway.get(status["image_url"])).content == b"\x89PNG shot"


async def test_one_that_never_was_made_says_why(gateway):
    status = (await gateway.post(ASK)).json
    request = gateway.publisher.published[-1]
    await gateway.services.pictures.fail(request.key, request.generation, code="x", reason="It broke.", retry_at=None)
    answer = await gateway.get(status["image_url"])
    assert (answer.status_code, "It broke." in answer.json["detail"]) == (404, True)


async def test_another_view_state_is_another_picture_and_an_equal_one_the_same(gateway):
    bodies = [{}, REGION, {**REGION, "activeTabs": ["more"]}, {"anchor": "chart-1"}, {"urlParams": [["a", "b"]]}]
    keys = [(await gateway.post(ASK, json=body)).json["cache_key"] for body in bodies]
    assert len(set(keys)) == len(bodies)
    verbose = {
        "dataMask": {"region": {"id": "region", "ownState": {}, "filterState": {"label": "N", "value": ["north"]}}}
    }
    assert (await gateway.post(ASK, json=verbose)).json["cache_key"] == keys[1]
    assert (await gateway.post(ASK, json={"dataMask": {"region": {"filterState": {}}}})).json["cache_key"] == keys[0]


async def test_sizes_reach_the_renderer(gateway):
    await gateway.post(f"{ASK}?q=(window_size:!(1024,768),thumb_size:!(400,300))")
    [request] = gateway.publisher.published
    assert (str(request.window), str(request.thumbnail)) == ("1024x768", "400x300")


@pytest.mark.parametrize(
    ("query", "body", "field"),
    [
        ("q=(force:1)", {}, "force"),
        ("q=(window_size:!(1,2,3))", {}, "window_size"),
        ("q=(window_size:!(0,10))", {}, "window_size"),
        ("q=(thumb_size:!(10,99999))", {}, "thumb_size"),
        ("q=(window_size:!(16384,16384))", {}, "window_size"),
        ("q=(thumb_size:'10x10')", {}, "thumb_size"),
        ("q=!!", {}, "q"),
        ("q=!(1,2)", {}, "q"),
        ("", {"dataMask": []}, "dataMask"),
        ("", {"dataMask": {"nope": {}}}, "dataMask.nope"),
        ("", {"dataMask": {"region": 1}}, "dataMask.region"),
        ("", {"dataMask": {"region": {"filterState": {"value": "north"}}}}, "dataMask.region"),
        ("", {"dataMask": {"region": {"filterState": {"value": [{}]}}}}, "dataMask.region"),
        ("", {"dataMask": {"region": {"filterState": {"value": [None]}}}}, "dataMask.region"),
        ("", {"activeTabs": "main"}, "activeTabs"),
        ("", {"activeTabs": ["nope"]}, "activeTabs"),
        ("", {"activeTabs": ["main", "more"]}, "activeTabs"),
        ("", {"anchor": 5}, "anchor"),
        ("", {"anchor": "chart-99"}, "anchor"),
        ("", {"urlParams": {"a": "b"}}, "urlParams"),
        ("", {"urlParams": [["a"]]}, "urlParams"),
        ("", {"urlParams": [["a", 1]]}, "urlParams"),
        ("", {"permalinkKey": "nope"}, "permalinkKey"),
        ("", {"permalinkKey": 1}, "permalinkKey"),
        ("", {"colour": "red"}, "colour"),
    ],
)
async def test_bad_input_is_400_with_the_field_named(gateway, query, body, field):
    answer = await gateway.post(f"{ASK}?{query}", json=body)
    assert (answer.status_code, answer.json["field"], answer.json["code"]) == (400, field, "invalid_input")
    assert gateway.publisher.published == []


async def test_a_permalink_overrides_the_state_beside_it(gateway):
    saved = await gateway.post("/api/v1/dashboard/1/permalink", json=REGION)
    direct = (await gateway.post(ASK, json=REGION)).json["cache_key"]
    body = {"permalinkKey": saved.json["key"], "activeTabs": ["more"]}
    assert (await gateway.post(ASK, json=body)).json["cache_key"] == direct


async def test_a_cache_key_holds_for_its_user_and_object_only(gateway):
    status = await _ready(gateway)
    chart = (await gateway.get(ASK_CHART)).json["cache_key"]
    assert (await gateway.get(status["image_url"], "nia")).status_code == 404
    assert (await gateway.get(f"/api/v1/dashboard/1/screenshot/{chart}/")).status_code == 404
    assert (await gateway.get(f"/api/v1/chart/1/screenshot/{status['cache_key']}/")).status_code == 404
    bare = gateway.publisher.published[0].key
    for forged in (bare, bare + "0" * 32, status["cache_key"][:-1], status["cache_key"].upper()):
        assert (await gateway.get(f"/api/v1/dashboard/1/screenshot/{forged}/")).status_code == 404


@pytest.mark.parametrize("gateway", [{"access_cache_s": 0}], indirect=True)
async def test_a_cache_key_ends_when_the_row_rules_of_its_user_change(gateway):
    status = await _ready(gateway, ask=ASK, username="nia")
    assert (await gateway.get(status["image_url"], "nia")).status_code == 200
    with gateway.services.sessions.begin() as session:
        session.get_one(RowLevelRule, 1).clause = "region = 'south'"
    assert (await gateway.get(status["image_url"], "nia")).status_code == 404


async def test_a_title_makes_a_safe_file_name(gateway):
    with gateway.services.sessions.begin() as session:
        session.get_one(Chart, 1).title = 'Évil"; filename="../../x\r\nSet-Cookie: a=b'
    status = await _ready(gateway, ask=ASK_CHART)
    answer = await gateway.get(status["image_url"])
    assert answer.headers["Content-Disposition"] == 'attachment; filename="vil-filename-x-set-cookie-a-b-chart-1.png"'
    assert "Set-Cookie" not in answer.headers


async def test_another_download_format_is_400(gateway):
    answer = await gateway.get(f"/api/v1/chart/1/screenshot/{'0' * 64}/?download_format=exe")
    assert (answer.status_code, answer.json["field"]) == (400, "download_format")
