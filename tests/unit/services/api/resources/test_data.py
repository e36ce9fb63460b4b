import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

NORTH = {"region": {"filterState": {"value": ["north"]}}}


async def test_the_rows_of_a_chart(gateway):
    answer = await gateway.get("/api/v1/chart/1/data/")
    (result,) = answer.json["result"]
    assert len(result.pop("cache_key")) == 32
    assert result == {
        "status": "success",
        "cache_timeout": 86_400,
        "stale": False,
        "colnames": ["region", "amount"],
        "data": [
            {"region": "east", "amount": 3},
            {"region": "north", "amount": 1},
            {"region": "south", "amount": 2},
        ],
        "rowcount": 3,
        "is_cached": False,
        "cached_dttm": None,
    }
    assert answer.headers["Cache-Control"] == "private, no-store"


async def test_the_second_answer_comes_from_the_store_and_says_so(gateway):
    first, second, forced = [await gateway.get(f"/api/v1/chart/1/data/{query}") for query in ("", "", "?force=true")]
    assert [answer.headers["X-Cache"] for answer in (first, second, forced)] == ["MISS", "HIT", "MISS"]
    kept = second.json["result"][0]
    assert (kept["is_cached"], first.json["result"][0]["is_cached"]) == (True, False)
    assert datetime.fromisoformat(kept["cached_dttm"]) <= datetime.now(UTC)
    assert kept["data"] == first.json["result"][0]["data"]


async def test_people_under_other_rules_never_share_rows(gateway):
    for name in ("ben", "nia", "ben", "nia"):
        answer = await gateway.get("/api/v1/chart/1/data/", name)
        assert answer.json["result"][0]["rowcount"] == {"ben": 3, "nia": 1}[name]
    assert answer.headers["X-Cache"] == "HIT"


async def test_row_level_rules_follow_who_asks(gateway):
    answer = await gateway.get("/api/v1/chart/1/data/", "nia")
    assert [row["region"] for row in answer.json["result"][0]["data"]] == ["north"]


async def test_a_data_mask_filters_the_rows_of_its_dashboard(gateway):
    mask = quote(json.dumps(NORTH))
    answer = await gateway.get(f"/api/v1/chart/1/data/?dashboard_id=1&data_mask={mask}")
    assert answer.json["result"][0]["rowcount"] == 1


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("data_mask={}x", 400, "data_mask"),
        ("data_mask=[1]", 400, "data_mask"),
        (f"data_mask={quote(json.dumps(NORTH))}", 400, "dataMask"),
        (f"dashboard_id=1&data_mask={quote(json.dumps({'nope': {}}))}", 400, "dataMask.nope"),
        ("force=perhaps", 400, "force"),
        ("dashboard_id=2", 404, None),
        ("dashboard_id=x", 404, None),
        (f"dashboard_id=1&data_mask=%7B%22{'a' * 100_001}%22:1%7D", 400, "data_mask"),
    ],
)
async def test_a_bad_data_request_names_the_field(gateway, query, status, field):
    answer = await gateway.get(f"/api/v1/chart/1/data/?{query}")
    assert (answer.status_code, answer.json.get("field")) == (status, field)


async def test_the_options_of_filters(gateway):
    answer = await gateway.get("/api/v1/dashboard/1/filters/", "nia")
    assert answer.json["result"] == [{"id": "region", "options": ["north"], "truncated": False}]


async def test_a_permalink_leads_to_the_dashboard_in_its_state(gateway):
    saved = await gateway.post("/api/v1/dashboard/1/permalink", json={"dataMask": NORTH})
    assert (saved.status_code, saved.json["url"]) == (201, f"/dashboard/p/{saved.json['key']}/")
    answer = await gateway.get(saved.json["url"])
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/dashboard/1/#state=%7B")
    assert (await gateway.get(saved.json["url"], "guy")).status_code == 404


async def test_a_permalink_of_a_bad_state_is_400(gateway):
    answer = await gateway.post("/api/v1/dashboard/1/permalink", json={"activeTabs": ["nope"]})
    assert (answer.status_code, answer.json["field"]) == (400, "activeTabs")
