"""Dashboards are warm before anybody comes, and what came of it can be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psutil

from tests.harness import Memcached, Vhost, wait_until
from tests.harness.person import Person, rendered_at
from tests.harness.sqlite import is_free
from tests.harness.stack import Stack

EVENT = "/api/v1/events/data-changed"


def report(stack: Stack, run_id: str = "latest") -> dict[str, Any]:
    done = stack.vitrine("warmup", "report", run_id, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def ended(stack: Stack, run_id: str = "latest") -> dict[str, Any]:
    wait_until(lambda: report(stack, run_id)["status"] == "Done", 150, lambda: f"the end of {report(stack, run_id)}")
    return report(stack, run_id)


def rows_of(person: Person, slug: str, dashboard: str = "") -> Any:
    number = person.api(dashboard).rstrip("/").rpartition("/")[2] if dashboard else ""
    return person.get(person.api(slug, "data/"), params={"dashboard_id": number} if dashboard else {})


def warming(stack: Stack) -> psutil.Process:
    """The renderer's warming process."""
    family = stack.renderer.survivors()
    return next(process for process in family if "services.renderer.warm_worker" in process.cmdline())


def stopped_between_transactions(process: psutil.Process, stack: Stack) -> bool:
    process.suspend()
    if is_free(stack.folder / "metadata.sqlite"):
        return True
    process.resume()
    return False


def test_what_was_warmed_is_what_people_are_served_and_is_counted_as_used(stack: Stack) -> None:
    done = stack.vitrine("warmup", "run", "dummy", "-a", "--force")
    assert done.returncode == 0, done.stderr
    run = ended(stack)
    assert run["outcomes_by_word"]["warmed"] > 0
    assert run["outcomes_by_word"]["pending"] == 0
    for name in ("nora", "sven", "hugo"):
        assert rows_of(stack.login(name), "total", "shop").headers["X-Cache"] == "HIT"
    used = lambda: {one["title"] for one in report(stack, run["id"])["outcomes"] if one["used_at"]}  # noqa: E731
    wait_until(lambda: "Sales in all" in used(), 30, lambda: f"a use; there are {used()}")


def test_people_under_one_rule_share_what_was_warmed_and_no_others_do(stack: Stack) -> None:
    stack.vitrine("warmup", "run", "ids", "-p", f"charts={stack.ids['regions'].split('/')[1]}", "--force")
    regions = {}
    for name in ("nora", "nina", "sven", "hugo"):
        answer = rows_of(stack.login(name), "regions")
        assert answer.headers["X-Cache"] == "HIT"
        regions[name] = [row["region"] for row in answer.json()["result"][0]["data"]]
    assert regions["nora"] == regions["nina"] == ["North"]
    assert regions["sven"] == ["South"]
    assert len(regions["hugo"]) > 1


def test_an_event_of_a_pipeline_makes_rows_and_pictures_new_at_once(stack: Stack) -> None:
    hugo = stack.login("hugo")
    old = hugo.picture("total", fresh=True)
    rows_of(hugo, "total")
    token = stack.vitrine("users", "token", "guy", "--scope", "events").stdout.strip()
    told = hugo.post(EVENT, {"database": "shop", "tables": ["sales"]}, headers={"Authorization": f"Bearer {token}"})
    assert told.status_code == 202, told.text
    run = ended(stack, told.json()["run_id"])
    assert run["origin"] == "event"
    failed = {one["title"] for one in run["outcomes"] if one["outcome"] == "failed"}
    # The query of the one fails on purpose, unless its back-off spares it; a picture of the other shows it.
    assert failed <= {"Broken sum", "Mixed fortunes"}, run["outcomes"]
    assert rows_of(hugo, "total").headers["X-Cache"] == "HIT"
    assert rendered_at(hugo.ask("total")) > rendered_at(old)
    assert hugo.status("total")["stale"] is False


def test_a_run_goes_on_after_the_warming_process_was_killed(
    make_stack: Callable[..., Stack], rabbitmq: Vhost, memcached: Memcached
) -> None:
    stack = make_stack(broker_url=rabbitmq.url, store_url=memcached.url).start()
    stack.renderer.wait_for_log("warming_started", 60)
    first = warming(stack)
    wait_until(lambda: stopped_between_transactions(first, stack), 30, "a warming process that can be stopped")
    assert stack.vitrine("warmup", "run", "dummy", "-a").returncode == 0
    first.kill()
    run = ended(stack)
    assert warming(stack).pid != first.pid
    assert run["outcomes_by_word"]["warmed"] > 15
    assert run["outcomes_by_word"]["pending"] == 0
    assert stack.renderer.terminate(45) == 0
    wait_until(lambda: not stack.renderer.survivors(), 5, lambda: f"the end of {stack.renderer.survivors()}")


def test_up_warms_too(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack().start("up")
    ada = stack.login("ada")
    asked = ada.post("/api/v1/warmup/runs", {"strategy": "dummy"})
    assert asked.status_code == 202, asked.text
    assert ended(stack, asked.json()["id"])["outcomes_by_word"]["warmed"] > 15
    assert rows_of(stack.login("nora"), "total", "shop").headers["X-Cache"] == "HIT"


def test_inline_it_tells_each_outcome_and_fails_when_one_did(stack: Stack) -> None:
    number = stack.ids["regions"].split("/")[1]
    done = stack.vitrine("warmup", "run", "ids", "-p", f"charts={number}", "--force")
    assert done.returncode == 0, done.stderr
    assert f"warmed chart {number} 'Regions' as ada" in done.stdout
    for words, said in (
        (("run", "nope"), "known: dummy"),
        (("run", "dummy", "-p", "x"), "NAME=VALUE"),
        (("run", "dummy", "--warms", "tea"), "data or pictures"),
        (("report", "none"), "no warm-up run"),
        (("pause", "nope"), "known: shop"),
    ):
        refused = stack.vitrine("warmup", *words)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1), refused.stderr
        assert said in refused.stderr
