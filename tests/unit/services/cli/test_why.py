"""`vitrine why` over a small catalog, a store on disk and records as renders leave them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli import why
from services.cli.__main__ import app
from services.cli.parts import Parts, open_parts
from shared.errors import ChartFailed, InvalidInput
from shared.messages.render import Origin
from shared.metadata.open_renders import OpenRenders
from shared.metadata.records import RenderRecords
from shared.remedies import REMEDIES
from shared.requests import Plan, Requests, request_of
from shared.settings import Settings
from shared.targets import Target, TargetKind
from tests.samples.shop import SECRET, make_shop

CHART = Target("native", TargetKind.CHART, "1")


def now() -> datetime:
    """Asked each time: a whole run of tests takes longer than what is waited for here."""
    return datetime.now(UTC)


Ask = Callable[..., Result]


class Steps:
    def as_json(self) -> list[dict[str, str | float]]:
        return [{"step": "queued", "seconds": 0.25}, {"step": "ready", "seconds": 1.5}]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    make_shop(folder)
    return folder


@pytest.fixture
def ask(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """`ask("chart/1", "-u", "ben", store_url=…)`: the command, with its settings in the environment."""
    shutil.copytree(shop, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("VITRINE_SECRET_KEY", SECRET)
    monkeypatch.setenv("VITRINE_STATE_DIR", str(tmp_path))

    def ask(*words: str, **settings: str) -> Result:
        environment = {f"VITRINE_{name.upper()}": value for name, value in settings.items()}
        return CliRunner().invoke(app, ["why", *words], env=environment)

    return ask


@pytest.fixture
def parts(ask: Ask, tmp_path: Path) -> Iterator[Parts]:
    opened = open_parts(Settings(secret_key=SECRET, state_dir=tmp_path))
    yield opened
    asyncio.run(opened.store.close())
    for catalog in opened.catalogs.values():
        catalog.close()
    opened.sessions.kw["bind"].dispose()


def plan_of(parts: Parts, username: str) -> Plan:
    catalog = parts.catalogs["native"]
    principal = catalog.principal(username)
    requests = Requests(parts.settings, parts.catalogs, parts.pictures, why._Nobody())
    return requests.thumbnail(CHART, principal, info=catalog.info(principal, CHART))


def render(parts: Parts, username: str, *, digest: str = "", error: ChartFailed | None = None) -> Plan:
    """What a render leaves behind: the picture or the Error, and its record."""
    plan = plan_of(parts, username)

    async def run() -> None:
        deadline = now() + timedelta(minutes=1)
        claim = await parts.pictures.claim(plan.key, deadline=deadline, now=now())
        generation, end = claim.state.generation, now() + timedelta(seconds=90)
        request = request_of(
            plan, generation=generation, deadline=deadline, now=now(), origin=Origin.VIEWER, correlation_id="c-1"
        )
        if error is None:
            kind, shows = "image/png", digest or plan.digest
            at = {"generation": generation, "digest": shows, "rendered_at": now()}
            await parts.pictures.put(plan.key, b"picture", content_type=kind, **at)  # type: ignore[arg-type]
            await parts.pictures.finish(plan.key, generation)
        else:
            failure = {"code": error.code, "reason": error.message, "retry_at": end}
            await parts.pictures.fail(plan.key, generation, **failure)  # type: ignore[arg-type]
        await RenderRecords(parts.sessions).ended(request, Steps(), started=now(), error=error)

    asyncio.run(run())
    return plan


def test_a_picture_that_nobody_asked_for_is_missing_and_a_request_would_render_it(ask: Ask) -> None:
    done = ask("chart/1", "--user", "ben")
    assert done.exit_code == 0, done.output
    for words in ("ben\n", "CURRENT_USER → ben, who looks", "missing", "none on record", "a request gets 202"):
        assert words in done.output


def test_a_fresh_picture_is_told_with_its_key_its_render_and_its_steps(ask: Ask, parts: Parts) -> None:
    plan = render(parts, "ben")
    told = ask("chart/1", "--user", "ben").output
    assert plan.key in told
    assert "access: no row-level rule that the catalog knows of" in told
    assert "status       fresh\n" in told
    assert "7 bytes of image/png" in told
    assert f"digest same ({plan.digest[:12]}" in told
    assert "correlation id c-1" in told
    assert [line.split()[-3:] for line in told.splitlines() if line.endswith(" s")] == [
        ["queued", "0.250", "s"],
        ["ready", "1.500", "s"],
        ["all", "1.750", "s"],
    ]
    assert "200 with this picture, or 304" in told


def test_a_picture_of_other_content_is_stale_and_would_be_renewed_behind_the_answer(ask: Ask, parts: Parts) -> None:
    render(parts, "ben", digest="0" * 32)
    told = ask("chart/1", "--user", "ben").output
    assert "status       stale" in told
    assert "digest other: the target or its data were changed since (000000000000;" in told
    assert "200 with this picture, marked stale; a render is published" in told


def test_people_under_other_rules_have_another_key_and_another_answer(ask: Ask, parts: Parts) -> None:
    plan = render(parts, "ben")
    told = ask("chart/1", "--user", "nia").output
    assert plan.key not in told
    assert f"access: {plan_of(parts, 'nia').access}" in told
    assert "region = 'north'" in told
    assert "missing" in told


def test_a_failed_render_is_told_with_code_reason_what_to_do_and_when_the_next_may_begin(
    ask: Ask, parts: Parts
) -> None:
    render(parts, "ben", error=ChartFailed("The chart divides by zero."))
    told = ask("chart/1", "--user", "ben").output
    for words in ("last error   chart_failed", "The chart divides by zero.", f"→ {REMEDIES['chart_failed']}"):
        assert words in told
    assert "as the last render failed, the next one may begin in " in told
    assert '{"force": true}' in told
    assert "/api/v1/chart/1/thumbnail/" in told


def test_a_render_that_is_under_way_is_waited_for(ask: Ask, parts: Parts) -> None:
    async def claim() -> None:
        plan = plan_of(parts, "ben")
        await parts.pictures.claim(plan.key, deadline=now() + timedelta(minutes=5), now=now())

    asyncio.run(claim())
    told = ask("chart/1", "--user", "ben").output
    assert "Pending since" in told
    assert "the render that is Pending is waited for, no second one is published" in told


def test_one_that_waits_tells_how_long_and_how_many_before_it(ask: Ask, parts: Parts) -> None:
    plan = plan_of(parts, "ben")

    async def publish() -> None:
        for key, minutes in (("d" * 32, 3), (plan.key, 2)):
            times = {"now": now() - timedelta(minutes=minutes), "deadline": now() + timedelta(minutes=5)}
            asked = replace(plan, key=key)
            await OpenRenders(parts.sessions).asked(
                request_of(asked, generation=1, origin=Origin.VIEWER, correlation_id="c-1", **times)
            )

    asyncio.run(publish())
    told = ask("chart/1", "--user", "ben").output
    assert "request      waits in its queue; 1 before it" in told
    assert "(2 min ago) by viewer, until" in told


def test_a_picture_whose_bytes_are_gone_is_missing_though_its_head_stands(ask: Ask, parts: Parts) -> None:
    plan = render(parts, "ben")

    async def evict() -> None:
        await parts.store.delete(f"{parts.settings.store_prefix}{plan.key}")

    asyncio.run(evict())
    told = ask("chart/1", "--user", "ben").output
    assert "missing: parts of the picture were evicted" in told
    assert "a request gets 202" in told


def test_rules_are_told_in_order_with_what_each_came_to(ask: Ask) -> None:
    told = ask("chart/1", thumbnail_executors="CREATOR,MODIFIER_OWNER,FIXED:ada").output
    assert [line.strip() for line in told.splitlines() if line.startswith("               ")][:3] == [
        "CREATOR → nobody: it is not known who made it",
        "MODIFIER_OWNER → ben, who changed it last, and owns it",
        "FIXED:ada: not tried",
    ]


def test_without_a_user_a_rule_that_asks_who_looks_names_those_who_may(ask: Ask) -> None:
    done = ask("chart/1")
    assert done.exit_code == 0
    assert "Name who looks with --user; it may be seen by ada, ben, nia." in done.output
    assert "it depends on who looks" in done.output


def test_an_executor_that_does_not_exist_is_what_a_request_would_be_told(ask: Ask) -> None:
    told = ask("chart/1", thumbnail_executors="FIXED:zoe").output
    assert "'zoe' is no active user" in told
    assert f"→ {REMEDIES['executor_not_found']}" in told
    assert "a request gets 422 with executor_not_found" in told


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("chart/1", "-u", "guy"), 1, "There is no such chart."),  # hidden from him
        (("chart/4711",), 1, "There is no such chart."),
        (("chart/1", "-u", "zoe"), 1, "There is no such user."),
        (("superset:chart/1",), 1, "'superset'"),
    ],
)
def test_what_is_not_there_or_hidden_is_one_line_and_exit_code_1(
    ask: Ask, words: tuple[str, ...], code: int, said: str
) -> None:
    done = ask(*words)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (code, "", 1)
    assert said in done.stderr


@pytest.mark.parametrize(
    ("text", "catalog", "expected"),
    [
        ("chart/12", "", "native/chart/12"),
        ("/dashboard/3/", "", "native/dashboard/3"),
        ("superset:dashboard/5", "", "superset/dashboard/5"),
        ("superset/dashboard/5", "", "superset/dashboard/5"),
        ("/dashboard/superset:5/", "", "superset/dashboard/5"),
        ("dashboard/status", "pages", "pages/dashboard/status"),
        ("pages:dashboard/status", "pages", "pages/dashboard/status"),
    ],
)
def test_a_target_is_read_in_each_spelling_that_people_meet(text: str, catalog: str, expected: str) -> None:
    assert str(why.read_target(text, catalog, "native")) == expected


@pytest.mark.parametrize(
    ("text", "catalog"),
    [
        ("", ""),
        ("dashboard", ""),
        ("table/3", ""),
        ("chart/", ""),
        ("chart/one", ""),
        ("chart/-1", ""),
        ("chart/٣", ""),
        ("a:chart/b:1", ""),
        ("superset:chart/1", "pages"),
        ("chart/superset:1", "pages"),
        ("chart/1", "No Catalog"),
    ],
)
def test_what_names_no_target_is_refused(text: str, catalog: str) -> None:
    with pytest.raises(InvalidInput):
        why.read_target(text, catalog, "native")


def test_a_store_that_only_the_gateway_knows_is_refused(ask: Ask) -> None:
    done = ask("chart/1", store_url="memory://")
    assert isinstance(done.exception, InvalidInput)
