"""What `vitrine doctor` finds on real servers, well and broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from services.cli.checks import broker, browser, catalogs, database, gateway, store
from services.cli.checks.finding import Finding, Verdict
from services.scheduler.leader import Leader
from shared.errors import VitrineError
from shared.metadata.engine import open_engine, open_metadata, sessions, upgrade
from shared.metadata.models import Database as Queried
from shared.metadata.models import SchedulerLease, WarmupSchedule
from shared.queue import RENDER_QUEUE, Rabbit, open_broker
from shared.settings import Settings
from tests.harness import Database, Memcached, Vhost, free_port
from tests.harness.clock import Clock
from tests.samples.catalog import SECRET
from tests.sites import Site

OK, WARN, FAIL = Verdict


def settings(folder: Path, **changes: object) -> Settings:
    return Settings(**({"secret_key": SECRET, "state_dir": folder} | changes))  # type: ignore[arg-type]


def verdicts(found: Iterator[Finding]) -> dict[str, Verdict]:
    return {one.name: one.verdict for one in found}


# --- broker -----------------------------------------------------------------------------------------------------------


def test_a_broker_is_well_when_a_confirmed_message_comes_back_and_queues_are_ours(tmp_path: Path, rabbitmq: Vhost):
    ours = settings(tmp_path, broker_url=rabbitmq.url)
    assert verdicts(broker.broker(ours)) == {"broker": OK, "broker:queues": OK}
    assert rabbitmq.queue_names() == []  # it left nothing behind, and made nothing
    made = open_broker(ours)
    assert isinstance(made, Rabbit)
    made._ensure_queue(RENDER_QUEUE)
    made.close()
    assert verdicts(broker.broker(ours)) == {"broker": OK, "broker:queues": OK}


def test_a_queue_that_was_made_with_other_arguments_is_named(tmp_path: Path, rabbitmq: Vhost):
    with rabbitmq.channel() as channel:
        channel.queue_declare(RENDER_QUEUE, durable=True)
    _, queues = broker.broker(settings(tmp_path, broker_url=rabbitmq.url))
    assert queues.verdict is FAIL
    assert RENDER_QUEUE in queues.found
    assert "x-dead-letter-exchange" in queues.found


def test_a_user_without_rights_and_a_wrong_password_are_told_without_it(tmp_path: Path, rabbitmq: Vhost):
    api, password = rabbitmq.server.api, "hunter2hunter2"
    api("PUT", "users/meek", {"password": password, "tags": ""})
    rights = {"configure": "^none$", "write": ".*", "read": ".*"}
    api("PUT", f"permissions/{rabbitmq.name}/meek", rights)
    url = rabbitmq.url.replace("guest:guest", f"meek:{password}")
    (refused,) = broker.broker(settings(tmp_path, broker_url=url))
    assert (refused.verdict, "set_permissions" in refused.mend) == (FAIL, True)
    (denied,) = broker.broker(settings(tmp_path, broker_url=url.replace(password, "x" + password)))
    assert (denied.verdict, "VITRINE_BROKER_URL" in denied.mend) == (FAIL, True)
    assert password not in refused.found + denied.found
    api("DELETE", "users/meek")


def test_a_queue_that_nobody_consumes_is_a_failure_and_dead_letters_a_warning(tmp_path: Path, rabbitmq: Vhost):
    ours = settings(tmp_path, broker_url=rabbitmq.url, warm_threads=0, query_long_threads=0)
    made = open_broker(ours)
    assert isinstance(made, Rabbit)
    made._ensure_queue(RENDER_QUEUE)
    rabbitmq.publish(f"{RENDER_QUEUE}.XQ", b"{}")
    with rabbitmq.channel() as channel:
        channel.basic_consume(RENDER_QUEUE, lambda *_: None)
        found = list(broker.workers(ours))
    made.close()
    assert [(one.name, one.verdict) for one in found] == [
        ("workers:vitrine_render_v1", OK),
        ("workers:vitrine_render_v1", WARN),
        ("workers:vitrine_bulk_v1", FAIL),
        ("workers:vitrine_warm_v1", OK),  # this installation wants no warming process,
        ("workers:vitrine_sql_short_v1", OK),  # and no query process
        ("workers:vitrine_sql_long_v1", OK),
        ("workers:vitrine_sql_charts_v1", OK),
    ]


# --- store ------------------------------------------------------------------------------------------------------------


def test_each_memcached_is_looked_at_by_itself(tmp_path: Path, memcached: Memcached):
    dead = f"127.0.0.1:{free_port()}"
    found = verdicts(store.store(settings(tmp_path, store_url=f"memcached://{memcached.address},{dead}")))
    assert found == {f"store:{memcached.address}": OK, f"store:{dead}": FAIL}


def test_a_memcached_that_takes_no_large_items_is_a_failure(tmp_path: Path):
    with Memcached(item_size="512k") as small:
        (found,) = store.store(settings(tmp_path, store_url=small.url))
    assert (found.verdict, "-I 1m" in found.mend) == (FAIL, True)


def test_a_memcached_that_evicts_is_a_warning(tmp_path: Path):
    with Memcached(memory_mb=8) as full:
        ours = settings(tmp_path, store_url=full.url)
        for _ in range(12):
            full.set("x" * 8 + os.urandom(4).hex(), os.urandom(1_000_000))
        (found,) = store.store(ours)
    assert (found.verdict, "more memory" in found.mend) == (WARN, True)


def test_a_store_file_that_is_none_is_a_failure(tmp_path: Path):
    (tmp_path / "store.sqlite").write_bytes(b"no database" * 1000)
    assert verdicts(store.store(settings(tmp_path))) == {"store": FAIL}


# --- database, clock, scheduler ---------------------------------------------------------------------------------------


def test_a_database_without_our_tables_says_what_to_run(tmp_path: Path, postgresql: Database):
    (found,) = database.database(settings(tmp_path, metadata_url=postgresql.url))
    assert (found.verdict, found.mend) == (FAIL, "Run: vitrine db upgrade")


def test_a_clock_that_differs_from_the_database_s_is_told(tmp_path: Path, postgresql: Database):
    clock = Clock(tmp_path)
    assert verdicts(database.clock(settings(tmp_path, metadata_url=postgresql.url))) == {"clock": OK}
    clock.jump(-3600)
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "doctor", "--json", "--services", "scheduler", "--before-start"],
        env=os.environ
        | clock.environment
        | {"VITRINE_SECRET_KEY": SECRET, "VITRINE_METADATA_URL": postgresql.url}
        | {"VITRINE_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    found = {one["name"]: one for one in json.loads(done.stdout)["findings"]}
    assert (done.returncode, found["clock"]["verdict"]) == (1, "fail")
    assert "ahead of this machine's" in found["clock"]["found"]


def test_the_scheduler_is_well_while_one_leads_with_a_fresh_lease(tmp_path: Path):
    ours = settings(tmp_path)
    engine = open_engine(ours.metadata)
    upgrade(engine)
    assert verdicts(database.scheduler(ours)) == {"scheduler": FAIL}  # none ever led
    leader = Leader(sessions(engine), 60)
    leader.campaign()
    (leads,) = database.scheduler(ours)
    assert leads.verdict is OK
    assert leader.holder in leads.found
    with Session(engine) as session, session.begin():
        session.get_one(SchedulerLease, "scheduler").expires_at -= 3600
    (lapsed,) = database.scheduler(ours)
    assert lapsed.verdict is FAIL
    assert "none leads" in lapsed.found


def test_a_schedule_that_is_overdue_although_somebody_leads_is_told(tmp_path: Path):
    ours = settings(tmp_path)
    engine = open_engine(ours.metadata)
    upgrade(engine)
    Leader(sessions(engine), 60).campaign()
    with Session(engine) as session, session.begin():
        session.add(_every_minute("stuck", considered="2026-01-01"))
        session.add(_every_minute("off", considered="2026-01-01", enabled=False))
    assert verdicts(database.scheduler(ours)) == {"scheduler": OK, "scheduler:stuck": WARN}


def _every_minute(name: str, *, considered: str, enabled: bool = True) -> WarmupSchedule:
    return WarmupSchedule(
        name=name,
        strategy="dummy",
        parameters={},
        warms=["data"],
        cron=None,
        interval_s=60,
        misfire_grace_s=60,
        coalesce=True,
        overlap="skip",
        jitter_s=0,
        budget_s=60,
        enabled=enabled,
        source="api",
        considered_until=datetime.fromisoformat(considered).replace(tzinfo=UTC),
    )


# --- catalogs, pages, gateway, browser --------------------------------------------------------------------------------


def test_a_superset_that_does_not_answer_hides_no_other_catalog(tmp_path: Path):
    ours = settings(
        tmp_path,
        superset_url=f"http://127.0.0.1:{free_port()}",
        superset_username="vitrine",
        superset_passwords={"vitrine": "secret"},
    )
    upgrade(open_engine(ours.metadata))
    assert verdicts(catalogs.catalogs(ours)) == {"catalog:native": OK, "catalog:superset": FAIL}


def test_databases_that_charts_query_are_asked_and_a_lost_key_is_told(tmp_path: Path, postgresql: Database):
    ours = settings(tmp_path)
    engine = open_metadata(ours)
    upgrade(engine)
    with Session(engine) as session, session.begin():
        session.add(Queried(name="shop", url=postgresql.url))
        session.add(Queried(name="gone", url=f"postgresql://vitrine:hunter2@127.0.0.1:{free_port()}/shop"))
    found = list(catalogs.databases(ours))
    assert [(one.name, one.verdict) for one in found] == [("database:gone", FAIL), ("database:shop", WARN)]
    assert "PostgreSQL" in found[1].found  # it answers; its user may do more than read
    assert "hunter2" not in str(found)
    with pytest.raises(VitrineError, match="cannot be decrypted"):
        list(catalogs.databases(settings(tmp_path, secret_key=SECRET[::-1])))


def test_hosts_that_pages_need_are_tried(tmp_path: Path):
    site, dead = Site(), f"127.0.0.1:{free_port()}"
    pages = tmp_path / "pages.yaml"
    pages.write_text(f"pages:\n  - {{id: one, title: One, url: {site.url('charts')!r}, hosts: ['{dead}']}}\n")
    found = verdicts(catalogs.hosts(settings(tmp_path, pages_file=pages)))
    site.close()
    assert found == {f"host:{site.host}": OK, f"host:{dead}": WARN}


def test_another_site_at_the_gateway_s_address_is_told(tmp_path: Path):
    site = Site()
    (found,) = gateway.gateway(settings(tmp_path, base_url=f"http://{site.host}"))
    site.close()
    assert found.verdict is FAIL
    assert "is not Vitrine's" in found.found


def test_the_browser_draws_a_test_page_and_letters_that_no_font_has_are_told(tmp_path: Path, chromium_path: Path):
    drawn, webgl, fonts = browser.render(settings(tmp_path, chromium=chromium_path))
    assert (webgl.verdict, webgl.name, "llvmpipe" in webgl.found) == (OK, "webgl", True), webgl.found
    assert (drawn.verdict, fonts.name) == (OK, "fonts")
    assert fonts.verdict is OK or ("no glyph for" in fonts.found and "apt-get install" in fonts.mend)
    assert "Latin:" not in fonts.found


def test_where_rows_of_long_queries_are_kept_is_looked_at(tmp_path: Path):
    assert verdicts(store.results(settings(tmp_path))) == {"results": OK}
    with pytest.raises(VitrineError):
        list(store.results(settings(tmp_path, results_url=f"redis://127.0.0.1:{free_port()}")))
