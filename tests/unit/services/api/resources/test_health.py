from structlog.testing import capture_logs

from shared.errors import StoreUnavailable


async def test_alive_whatever_else_is_down(gateway):
    gateway.services.blocking.close()
    assert (await gateway.get("/healthz", "")).json == {"status": "alive"}


async def test_ready_names_each_dependency(gateway):
    answer = await gateway.get("/readyz", "")
    assert (answer.status_code, answer.json["status"]) == (200, "ready")
    assert set(answer.json["checks"]) == {"store", "database", "broker"}
    assert all(check["ok"] and check["reason"] for check in answer.json["checks"].values())


async def test_not_ready_says_what_is_down_and_what_to_do(gateway):
    async def down():
        raise StoreUnavailable("memcached at 10.0.0.1:11211 does not answer")

    gateway.store.check = down
    answer = await gateway.get("/readyz", "")
    assert (answer.status_code, answer.json["status"]) == (503, "not ready")
    store = answer.json["checks"]["store"]
    assert (store["ok"], store["reason"]) == (False, "store_unavailable")
    assert "VITRINE_STORE_URL" in store["mend"]
    assert answer.json["checks"]["database"]["ok"]


async def test_where_the_dependencies_are_is_told_to_the_log_and_to_nobody_who_asks(gateway):
    async def down():
        raise StoreUnavailable("The store's file /srv/vitrine/store.sqlite does not answer.")

    gateway.store.check = down
    with capture_logs() as logged:
        answer = await gateway.get("/readyz", "")
    assert "/srv" not in answer.text
    changed = [line for line in logged if line["event"] == "readiness_changed"]
    assert changed[0]["store"] == "The store's file /srv/vitrine/store.sqlite does not answer."


async def test_of_what_answers_it_is_not_told_where_it_is(gateway):
    async def up():
        return "SQLite 3.40.1 at /srv/vitrine/store.sqlite, 1.0 MiB in use"

    gateway.store.check = up
    assert (await gateway.get("/readyz", "")).json["checks"]["store"] == {"ok": True, "reason": "answers"}


async def test_metrics_count_requests_by_route_template(gateway):
    await gateway.get("/api/v1/chart/1")
    answer = await gateway.get("/metrics", "", remote_addr="127.0.0.1")
    assert 'vitrine_http_requests_total{method="GET",route="/api/v1/chart/{target_id}",status="200"}' in answer.text
    assert "/api/v1/chart/1" not in answer.text
