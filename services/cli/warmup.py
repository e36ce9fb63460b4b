"""`vitrine warmup`: warm the data and pictures of dashboards, and see what came of it."""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from services.cli import warmup_report
from services.cli.examples import examples
from services.cli.inline import InlineRenderer, Result
from services.cli.parts import Parts, command_settings, open_parts
from services.cli.progress import Progress
from services.renderer.actors import backoff_ms
from services.renderer.warming import Busy, Warmer, open_warmer
from shared.catalog.port import Catalog
from shared.errors import BrokerUnavailable, InvalidInput, StoreUnavailable
from shared.metadata.engine import open_metadata, sessions
from shared.metadata.models import WarmupOutcome, WarmupRun
from shared.metadata.views import Views
from shared.queue import BrokerPublisher, open_broker
from shared.requests import Requests
from shared.settings import Settings
from shared.warmup import report as reports
from shared.warmup.choices import Sources
from shared.warmup.kindness import Kindness
from shared.warmup.runs import WARMS, Came, End, From, Order, Runs
from shared.warmup.start import WarmUps
from shared.warmup.strategies import NATIVE, PUBLIC, Strategy, make

RUN = examples(
    ("vitrine warmup run dummy", "every published dashboard, every chart, here"),
    ("vitrine warmup run top_n_dashboards -p top_n=20 -a", "by the renderers; returns at once"),
    ("vitrine warmup run ids -p charts=4,7 --warms pictures", "thumbnails of two charts"),
)
STRATEGIES = examples(("vitrine warmup strategies", "what each warms, its parameters, their defaults"))
REPORT = examples(
    ("vitrine warmup report", "all runs, newest first"),
    ("vitrine warmup report latest --outcome failed", "what failed, and why"),
)
PAUSE = examples(
    ("vitrine warmup pause shop --reason 'nightly load'", "people are still served"),
    ("vitrine warmup pause examples --catalog superset", "a database of Superset's"),
)
RESUME = examples(("vitrine warmup resume shop", "the next run warms from it again"))
BACKOFFS = examples(("vitrine warmup backoffs", "until when, after how many failures, why"))
app = typer.Typer(help="Warm data and pictures before people come.", no_args_is_help=True, epilog=RUN)
AT_ONCE = 8  # in this process; a database's own limit holds besides
TRY_AGAIN_S = 1.0
Of = Annotated[str, typer.Option("--catalog", metavar="NAME", help="The catalog that has the database.")]


@app.command(epilog=STRATEGIES)
def strategies() -> None:
    """Show every strategy and its parameters."""
    for name, cls in PUBLIC.items():
        print(f"{name}: {inspect.getdoc(cls)}")
        for parameter, field in cls.form.model_fields.items():
            default = "required" if field.is_required() else f"default {field.get_default(call_default_factory=True)!r}"
            print(f"    {parameter} ({default}): {field.description}")


@app.command(epilog=RUN)
def run(
    strategy: Annotated[str, typer.Argument(metavar="STRATEGY", help="What to warm; see: strategies.")],
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="NAME=VALUE; repeat it. Lists: a,b,c.", metavar="NAME=VALUE"),
    ] = None,
    warms: Annotated[str, typer.Option("--warms", metavar="WHAT", help="data, pictures, or data,pictures.")] = "data",
    asynchronous: Annotated[
        bool, typer.Option("-a", "--asynchronous", help="Leave it to the renderers and return at once.")
    ] = False,
    force: Annotated[bool, typer.Option("-f", "--force", help="Also what is warm, or is left alone.")] = False,
    budget_s: Annotated[
        int | None, typer.Option("--budget-s", metavar="SECONDS", min=1, help="How long it may take.")
    ] = None,
) -> None:
    """Warm what a strategy chooses.

    Without -a it is done here, one line for each thing; exit code 1 when any failed.
    """
    settings = command_settings()
    order = Order(
        strategy=_strategy(strategy, param or []),
        warms=_warms(warms),
        origin=From.OPERATOR,
        correlation_id=uuid.uuid4().hex,
        budget_s=budget_s or settings.warm_budget_s,
        username="operator",
        force=force,
    )
    if settings.store_url.startswith("memory"):
        raise InvalidInput("With a memory:// store only the gateway's own process can warm; ask it over HTTP instead.")
    if asynchronous and settings.embedded:
        raise InvalidInput("-a needs a broker, and this installation runs embedded: leave -a out, or ask over HTTP.")
    failed = asyncio.run(_publish(settings, order) if asynchronous else _inline(settings, order))
    raise typer.Exit(1 if failed else 0)


@app.command(epilog=REPORT)
def report(
    run_id: Annotated[str, typer.Argument(metavar="[RUN]", help="A run's id, or latest; left out: all runs.")] = "",
    outcome: Annotated[
        str, typer.Option("--outcome", metavar="WORD", help=f"Only these: {', '.join(reports.WORDS)}.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, whole.")] = False,
    limit: Annotated[int, typer.Option("--limit", metavar="COUNT", min=1, max=1000, help="How many runs.")] = 20,
) -> None:
    """Show what runs came to, and how much was used.

    Outcomes, seconds, and whether anybody was served what was warmed.
    """
    if outcome and outcome not in reports.WORDS:
        raise InvalidInput(f"--outcome must be one of {', '.join(reports.WORDS)}.", field="outcome")
    factory = sessions(open_metadata(command_settings()))
    if run_id:
        found: Any = reports.report(factory, run_id, only=outcome)
    else:
        found = reports.recent(factory, limit=limit)[1]
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif run_id:
        warmup_report.show(found)
    else:
        warmup_report.show_all(found)


@app.command(epilog=PAUSE)
def pause(
    database: Annotated[str, typer.Argument(metavar="DATABASE", help="Its name in the catalog.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Shown in reports.")] = "",
    catalog: Of = NATIVE,
) -> None:
    """Warm nothing from a database, until it is resumed."""
    _kindness().pause(_catalog(catalog), database, username="operator", reason=reason)
    of = "" if catalog == NATIVE else f" --catalog {catalog}"
    print(f"{database}: paused; resume it with: vitrine warmup resume {database}{of}")


@app.command(epilog=RESUME)
def resume(
    database: Annotated[str, typer.Argument(metavar="DATABASE", help="Its name in the catalog.")], catalog: Of = NATIVE
) -> None:
    """Warm from a database again."""
    done = _kindness().resume(database, catalog=_catalog(catalog).name)
    print(f"{database}: {'resumed' if done else 'was not paused'}")


@app.command(epilog=BACKOFFS)
def backoffs() -> None:
    """Show what is left alone for a while, or paused."""
    warmup_report.show_kindness(_kindness())


def _kindness() -> Kindness:
    settings = command_settings()
    return Kindness(sessions(open_metadata(settings)), settings.warm_concurrency)


def _catalog(name: str) -> Catalog:
    catalogs = open_parts(command_settings()).catalogs
    if name not in catalogs:
        raise InvalidInput(f"There is no catalog {name!r}; known: {', '.join(catalogs)}.", field="catalog")
    return catalogs[name]


def _strategy(name: str, params: list[str]) -> Strategy[Any]:
    values = {}
    for param in params:
        key, equals, value = param.partition("=")
        if not equals or not key:
            raise InvalidInput(f"--param takes NAME=VALUE, such as top_n=10; {param!r} is none.", field="param")
        values[key] = value
    return make(name, values)


def _warms(text: str) -> tuple[str, ...]:
    words = {word.strip() for word in text.split(",") if word.strip()}
    if not words or not words <= set(WARMS):
        raise InvalidInput(f"--warms must be {' or '.join(WARMS)}, or both with a comma.", field="warms")
    return tuple(word for word in WARMS if word in words)


def _check(parts: Parts, order: Order) -> None:
    """Raises InvalidInput for what the strategy names and no catalog has."""
    order.strategy.check(Sources(parts.catalogs, Views(parts.sessions), datetime.now(UTC)))


async def _publish(settings: Settings, order: Order) -> int:
    parts, publisher = open_parts(settings), BrokerPublisher(open_broker(settings))
    try:
        _check(parts, order)
        started = await WarmUps(Runs(parts.sessions), publisher).start(order)
    finally:
        publisher.close()
    print(f"{started.id}: published; see: vitrine warmup report {started.id}")
    return 0


async def _inline(settings: Settings, order: Order) -> int:
    """How many failed."""
    parts = open_parts(settings)
    try:
        await asyncio.to_thread(_check, parts, order)
        runs = Runs(parts.sessions)
        made = await asyncio.to_thread(runs.make, order)
        await asyncio.to_thread(runs.published, made.id)  # no sweeper shall send it: we carry it out ourselves
        renderer = InlineRenderer(parts)
        if "pictures" not in order.warms:
            return await _carry_out(parts, renderer, runs, made)
        async with renderer:
            return await _carry_out(parts, renderer, runs, made)
    finally:
        await parts.store.close()


async def _carry_out(parts: Parts, renderer: InlineRenderer, runs: Runs, made: WarmupRun) -> int:
    requests = Requests(parts.settings, parts.catalogs, parts.pictures, renderer)
    warmer = open_warmer(parts.settings, parts.sessions, parts.store, parts.catalogs, requests)
    numbers = await warmer.decide(made.id)
    decided = await asyncio.to_thread(runs.run, made.id)
    if decided.status == "Failed":
        raise InvalidInput(decided.reason)
    await _all(warmer, made.id, numbers)
    summary = await asyncio.to_thread(reports.report, parts.sessions, made.id)
    began = datetime.fromisoformat(summary["created_at"])
    warmup_report.summarise(summary, (datetime.now(UTC) - began).total_seconds())
    for one in summary["outcomes"]:
        if one["outcome"] == Came.FAILED:
            print(f"✗ {warmup_report.name(one)}: {one['code']}: {one['reason']}", file=sys.stderr)
    return int(summary["outcomes_by_word"][Came.FAILED])


async def _all(warmer: Warmer, run_id: str, numbers: list[int]) -> None:
    limit = asyncio.Semaphore(AT_ONCE)
    with Progress(len(numbers), "Warming") as progress:

        async def one(number: int) -> None:
            async with limit:
                outcome, end = await _until_free(warmer, run_id, number)
            progress.show(_result(outcome, end))

        try:
            async with asyncio.TaskGroup() as group:
                for number in numbers:
                    group.create_task(one(number))
        except ExceptionGroup as several:  # one of them is told, in one line: the metadata database, most likely
            raise several.exceptions[0] from None


async def _until_free(warmer: Warmer, run_id: str, number: int) -> tuple[WarmupOutcome, End]:
    tries = 0
    while True:
        try:
            return await warmer.one(run_id, number, wait_s=60)
        except Busy:
            await asyncio.sleep(TRY_AGAIN_S)
        except (StoreUnavailable, BrokerUnavailable) as error:  # others are outcomes, or end the command
            delay_ms = backoff_ms(error, tries)
            if delay_ms is None:
                return await warmer.give_up(run_id, number, error)
            tries += 1
            await asyncio.sleep(delay_ms / 1000)


def _result(outcome: WarmupOutcome, end: End) -> Result:
    place = {"kind": outcome.target_kind, "target_id": outcome.target_id, "title": outcome.title, "what": outcome.what}
    name = warmup_report.name({**place, "executor": outcome.executor})
    return Result(name, end.came.value, f"{end.code}: {end.reason}" if end.reason else "", end.seconds)
