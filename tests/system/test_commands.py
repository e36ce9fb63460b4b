"""The operator's command line, as a shell sees it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.harness import Vhost, free_port, wait_until
from tests.harness.stack import CATALOG, QUEUE, Stack


def test_compute_renders_inline_with_a_line_for_each_and_fails_with_the_reason_of_what_failed(stack: Stack) -> None:
    broken, total = (stack.ids[slug].split("/")[1] for slug in ("broken", "total"))
    done = stack.vitrine("thumbnails", "compute", "--charts_only", "-i", f"{total},{broken}", "-u", "sven")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert any(line.startswith(f"✓ rendered chart {total} 'Sales in all' as sven") for line in lines)
    assert any(line.startswith(f"✗ failed chart {broken} 'Broken sum' as sven: chart_failed:") for line in lines)
    assert "1 failed, 1 rendered" in lines[-1]
    assert "integer overflow" in done.stderr
    assert stack.login("sven").ask("total").status_code == 200


def test_compute_takes_superset_s_spellings_and_leaves_fresh_pictures_alone(stack: Stack) -> None:
    total, regions = (stack.ids[slug].split("/")[1] for slug in ("total", "regions"))
    words = ("thumbnails", "compute", "--charts_only", "--model_id", total, "--model_id", regions, "-u", "sven")
    first, second = stack.vitrine(*words), stack.vitrine(*words)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "2 fresh" in second.stdout
    forced = stack.vitrine(*words, "--force")
    assert "2 rendered" in forced.stdout


def test_compute_asynchronous_publishes_and_returns(stack: Stack, vhost: Vhost) -> None:
    plain = stack.ids["plain"].split("/")[1]
    done = stack.vitrine("thumbnails", "compute", "-a", "--dashboards_only", "-i", plain, "-u", "nina")
    assert (done.returncode, done.stdout.split(",")[0]) == (0, "1 render requests published")
    stack.login("nina").until_status("plain", "Updated")
    wait_until(lambda: vhost.message_count(QUEUE) == 0, 10, "an empty queue")
    assert [origin for _, origin, *_ in stack.renders("plain", "nina")] == ["operator"]


def test_compute_refuses_ids_that_are_none_and_ids_that_are_not_there(stack: Stack) -> None:
    wrong = stack.vitrine("thumbnails", "compute", "-i", "1,two")
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1)
    assert "'two'" in wrong.stderr
    assert "'٣' is none" in stack.vitrine("thumbnails", "compute", "-i", "٣").stderr
    assert "'zoe'" in stack.vitrine("thumbnails", "compute", "-u", "zoe").stderr
    absent = stack.vitrine("thumbnails", "compute", "-c", "-i", "4711")
    assert absent.returncode == 2
    assert "4711" in absent.stderr


def test_why_explains_a_picture_from_its_executor_to_the_steps_of_its_render(stack: Stack) -> None:
    hugo = stack.login("hugo")
    etag = hugo.picture("regions").headers["ETag"]
    rendered = stack.until_renders("regions", "hugo", 1)
    done = stack.vitrine("why", stack.ids["regions"], "--user", "hugo")
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert "CURRENT_USER → hugo, who looks" in lines
    assert "status       fresh" in lines
    assert [line.split()[0] for line in lines if line.endswith(" s")][:3] == ["queued", "leased", "signed_in"]
    assert hugo.ask("regions", **{"If-None-Match": etag}).status_code == 304
    assert "now          a request gets 200 with this picture, or 304 if it has it; nothing is rendered" in lines
    *_, (_, _, correlation_id, _) = rendered
    assert f"correlation id {correlation_id}" in lines


def test_why_tells_what_failed_and_what_to_do_and_asks_for_nothing(stack: Stack) -> None:
    nora = stack.login("nora")
    nora.ask("broken")
    status = nora.until_status("broken", "Error")
    before = stack.until_renders("broken", "nora", 1)
    done = stack.vitrine("why", stack.ids["broken"], "-u", "nora")
    assert "last error   chart_failed" in done.stdout
    assert status["reason"] in done.stdout
    assert "→ Open the page as the executor" in done.stdout
    assert "the next one may begin in " in done.stdout
    assert stack.renders("broken", "nora") == before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("chart/one",), 2),
        (("total",), 2),
        (("chart/4711",), 1),
        (("chart/1", "-u", "guy"), 1),
        (("chart/1", "-u", "zoe"), 1),
    ],
)
def test_why_of_what_is_no_target_or_not_there_is_one_line(stack: Stack, words: tuple[str, ...], code: int) -> None:
    done = stack.vitrine("why", *words)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (code, "", 1)


def test_doctor_is_green_when_everything_is_there(stack: Stack) -> None:
    stack.start("scheduler")
    done = stack.vitrine("doctor", "--json")
    stack.stop("scheduler")
    assert done.returncode == 0, done.stdout
    good = {found["name"] for found in json.loads(done.stdout)["findings"] if found["verdict"] == "ok"}
    assert good >= {
        "settings",
        "database",
        "clock",
        "broker",
        "broker:queues",
        "results",
        "catalog:native",
        "render",
        "gateway",
    }
    assert good >= {"scheduler", *(f"workers:vitrine_{name}_v1" for name in ("render", "bulk", "warm"))}
    assert any(name.startswith("store:127.0.0.1") for name in good)


def test_doctor_tells_what_is_down_and_how_to_mend_it(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(store_url=f"memcached://127.0.0.1:{free_port()}", broker_url=f"amqp://127.0.0.1:{free_port()}")
    done = stack.vitrine("doctor")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    for name, mend in (("broker", "Start RabbitMQ"), ("store", "emcached"), ("gateway", "vitrine up")):
        at = next(i for i, line in enumerate(lines) if line.startswith(f"✗ {name}"))
        assert mend in "\n".join(lines[at : at + 2]), done.stdout
    assert "✓ render" in done.stdout


def test_doctor_tells_of_a_database_that_does_not_answer_and_how_to_mend_it(stack: Stack) -> None:
    done = stack.vitrine("doctor", metadata_url=f"postgresql://vitrine:hunter2@127.0.0.1:{free_port()}/v")
    lines = done.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("✗ database"))
    assert "→ Start the database, or correct VITRINE_METADATA_URL" in lines[at + 1]
    assert "hunter2" not in done.stdout + done.stderr


def test_a_catalog_with_a_problem_is_refused_with_file_line_and_field(stack: Stack) -> None:
    bad = stack.folder / "bad.yaml"
    bad.write_text(
        CATALOG.read_text().replace("kind: big-number", "kind: big-nummer").replace("csv: sales.csv", "csv: x.csv")
    )
    line = next(i for i, text in enumerate(bad.read_text().splitlines(), 1) if "big-nummer" in text)
    done = stack.vitrine("catalog", "check", str(bad))
    assert done.returncode == 2
    assert f"bad.yaml:{line}" in done.stderr
    assert "kind" in done.stderr


def test_export_gives_back_what_load_takes(stack: Stack) -> None:
    exported = stack.folder / "exported.yaml"
    assert stack.vitrine("catalog", "export", str(exported)).returncode == 0
    text = exported.read_text()
    assert all(f"slug: {slug}" in text for slug in ("by-product", "shop", "draft"))
    assert "password" not in text


@pytest.mark.parametrize(
    "words",
    [("nope",), ("thumbnails", "compute", "--bogus"), ("catalog", "load", "/nowhere"), ("users", "create", "zoe")],
)
def test_a_wrong_command_is_told_without_a_traceback(stack: Stack, words: tuple[str, ...]) -> None:
    done = stack.vitrine(*words)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.strip()
