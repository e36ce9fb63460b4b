"""`vitrine thumbnails compute`: render now, with a progress bar, or ask the renderers to (-a)."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import typer

from services.cli.examples import examples
from services.cli.inline import InlineRenderer, Result
from services.cli.parts import Parts, command_settings, open_parts
from services.cli.progress import Progress
from shared.catalog.port import Catalog, TargetInfo
from shared.errors import InvalidInput, NotFound, VitrineError
from shared.identity import OPERATOR, ExecutorKind, Principal
from shared.listing import ListingPublisher
from shared.messages.render import Origin
from shared.metadata.open_renders import OpenRenders
from shared.queue import BrokerPublisher, open_broker
from shared.requests import Plan, Requests
from shared.targets import TargetKind

COMPUTE = examples(
    ("vitrine thumbnails compute", "every chart and dashboard, for everybody who may see it"),
    ("vitrine thumbnails compute -d -i 1,2 -i 7", "the dashboards 1, 2 and 7"),
    ("vitrine thumbnails compute -c --force -u ann", "all charts as ann sees them, though they are fresh"),
    ("vitrine thumbnails compute --asynchronous", "leave the work to the renderers"),
    ("vitrine thumbnails compute --charts_only --model_id 3", "as Superset spells it"),
)
app = typer.Typer(help="Pictures of charts and dashboards.", no_args_is_help=True, epilog=COMPUTE)
PAGE = 100


@app.callback()
def _group() -> None:
    """Keeps `compute` a subcommand, so that others can join it."""


@app.command(epilog=COMPUTE)
def compute(
    asynchronous: Annotated[
        bool, typer.Option("-a", "--asynchronous", help="Publish to the renderers and return at once.")
    ] = False,
    dashboards_only: Annotated[
        bool, typer.Option("-d", "--dashboards-only", "--dashboards_only", help="Only dashboards.")
    ] = False,
    charts_only: Annotated[bool, typer.Option("-c", "--charts-only", "--charts_only", help="Only charts.")] = False,
    force: Annotated[bool, typer.Option("-f", "--force", help="Also where a fresh picture exists.")] = False,
    model_id: Annotated[
        list[str] | None,
        typer.Option("-i", "--model-id", "--model_id", help="Only these ids: repeat it, or 1,2,3.", metavar="ID[,ID…]"),
    ] = None,
    user: Annotated[
        list[str] | None,
        typer.Option("-u", "--user", metavar="USERNAME", help="For whom; default: everybody who may see the target."),
    ] = None,
) -> None:
    """Compute thumbnails of charts and dashboards.

    Without -a they are rendered here, one line for each; exit code 1 when any of them failed. The gateway must be
    running, because it serves the pages. Several runs and running renderers never render the same picture twice.
    """
    if dashboards_only and charts_only:
        raise InvalidInput("Choose --dashboards-only or --charts-only; leave both out for all.")
    settings = command_settings()
    if asynchronous and settings.embedded:
        raise InvalidInput(
            "-a needs a broker, and this installation runs embedded: leave -a out, or set VITRINE_BROKER_URL."
        )
    kinds = [TargetKind.DASHBOARD] * (not charts_only) + [TargetKind.CHART] * (not dashboards_only)
    parts = open_parts(settings)
    failed = asyncio.run(_compute(parts, kinds, _ids(model_id), user or [], asynchronous=asynchronous, force=force))
    raise typer.Exit(1 if failed else 0)


def _ids(values: list[str] | None) -> frozenset[str]:
    ids = frozenset(part.strip() for value in values or [] for part in value.split(",") if part.strip())
    if values and not ids:
        raise InvalidInput("--model-id is empty; leave it out for all.", field="model-id")
    wrong = sorted(i for i in ids if not (i.isascii() and i.isdecimal()))
    if wrong:
        raise InvalidInput(f"--model-id takes numbers such as 1,2,3; {wrong[0]!r} is none.", field="model-id")
    return ids


async def _compute(
    parts: Parts, kinds: list[TargetKind], ids: frozenset[str], users: list[str], *, asynchronous: bool, force: bool
) -> int:
    """How many failed."""
    wanted = list(_targets(parts, kinds, ids, users))
    unknown = sorted(set(users) - {name for catalog in parts.catalogs.values() for name, _ in _known(catalog, users)})
    if unknown:
        raise NotFound(f"There is no user {unknown[0]!r}.")
    missing = ids - {info.target.id for info, _ in wanted}
    if missing:
        raise NotFound(
            f"There is no {' or '.join(kinds)} with id {', '.join(sorted(missing, key=int))} that anybody may see."
        )
    if not wanted:
        print(
            "Nothing to compute: the catalog has no targets. Load one with: vitrine catalog load FILE", file=sys.stderr
        )
        return 0
    try:
        if asynchronous:
            return await _publish(parts, wanted, force=force)
        async with InlineRenderer(parts) as renderer:
            return await _render(parts, renderer, wanted, force=force)
    finally:
        await parts.store.close()


def _targets(
    parts: Parts, kinds: list[TargetKind], ids: frozenset[str], users: list[str]
) -> Iterable[tuple[TargetInfo, Principal | None]]:
    """Each target with each principal whose picture is wanted; None where no rule asks who looks."""
    for catalog in parts.catalogs.values():
        rules = catalog.executors or parts.settings.thumbnail_executors
        per_viewer = any(rule.kind is ExecutorKind.CURRENT_USER for rule in rules)
        principals = dict(_known(catalog, users))
        if users and not principals:
            continue
        for kind in kinds:
            offset = 0
            while True:
                count, page = catalog.list(OPERATOR, kind, offset=offset, limit=PAGE)
                for info in page:
                    if ids and info.target.id not in ids:
                        continue
                    if not per_viewer and not users:
                        yield info, None
                        continue
                    for name in catalog.viewers(info.target):
                        if not users or name in principals:
                            if name not in principals:
                                principals[name] = catalog.principal(name)
                            yield info, principals[name]
                offset += PAGE
                if offset >= count:
                    break


def _known(catalog: Catalog, users: list[str]) -> Iterable[tuple[str, Principal]]:
    """Those of the users whom this catalog knows."""
    for name in users:
        with contextlib.suppress(NotFound):
            yield name, catalog.principal(name)


async def _publish(parts: Parts, wanted: list[tuple[TargetInfo, Principal | None]], *, force: bool) -> int:
    publisher = BrokerPublisher(open_broker(parts.settings))
    rows = OpenRenders(parts.sessions)
    requests = Requests(parts.settings, parts.catalogs, parts.pictures, ListingPublisher(publisher, rows))
    published, failed = 0, 0
    try:
        for info, principal in wanted:
            try:
                plan = requests.thumbnail(info.target, principal, info=info)
                if not force and await _is_fresh(parts, plan):
                    continue
                claim = await requests.ensure(
                    plan, origin=Origin.OPERATOR, correlation_id=uuid.uuid4().hex, force=force
                )
                published += claim.won
            except VitrineError as error:
                failed += 1
                print(f"✗ {info.target} {info.title!r}: {error.code}: {error.message}", file=sys.stderr)
    finally:
        await rows.written()
        publisher.close()
    rest = len(wanted) - published - failed
    print(f"{published} render requests published, {failed} failed, {rest} already fresh or running.")
    return failed


async def _is_fresh(parts: Parts, plan: Plan) -> bool:
    head = await parts.pictures.head(plan.key)
    return head is not None and head.is_fresh(plan.digest, datetime.now(UTC))


async def _render(
    parts: Parts, renderer: InlineRenderer, wanted: list[tuple[TargetInfo, Principal | None]], *, force: bool
) -> int:
    requests = Requests(parts.settings, parts.catalogs, parts.pictures, renderer)
    limit = asyncio.Semaphore(parts.settings.render_threads)
    failures: list[Result] = []
    with Progress(len(wanted)) as progress:

        async def one(info: TargetInfo, principal: Principal | None) -> None:
            async with limit:
                result = await renderer.result(requests, info, principal, force=force)
            progress.show(result)
            if result.failed:
                failures.append(result)

        async with asyncio.TaskGroup() as group:
            for info, principal in wanted:
                group.create_task(one(info, principal))
        progress.summarise()
    for result in failures:
        print(f"✗ {result.name}: {result.detail}", file=sys.stderr)
    return len(failures)
