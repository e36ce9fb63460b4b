"""`vitrine why`: one picture explained: as whom it is rendered, its key, what there is of it, and what comes next."""

from __future__ import annotations

import asyncio
import re
import sys
from datetime import UTC, datetime
from typing import Annotated, Never

import typer

from services.api.inputs import target_of
from services.cli import why_report
from services.cli.examples import examples
from services.cli.parts import Parts, command_settings, open_parts
from services.cli.why_report import Explanation, Kept
from shared.errors import ExecutorNotFound, InvalidInput, NotFound
from shared.identity import OPERATOR, ExecutorKind, try_rules
from shared.messages.render import RenderRequest
from shared.metadata import waiting
from shared.metadata.records import RenderRecords
from shared.requests import Plan, Requests
from shared.store.pictures import Pictures
from shared.targets import Target, TargetKind

EXAMPLES = examples(
    ("vitrine why dashboard/3 --user ann", "the thumbnail that ann gets, or why she gets none"),
    ("vitrine why chart/12", "where the executor does not depend on who looks"),
    ("vitrine why superset:dashboard/5 -u bo", "of another catalog, as lists name its ids"),
    ("vitrine why dashboard/status --catalog pages", "the same as pages:dashboard/status"),
)
# As people write it, as logs do (native/chart/1), and as the addresses of pages do (/chart/superset:1/).
_TARGET = re.compile(r"/?(?:(?P<catalog>[a-z]+)[:/])?(?P<kind>chart|dashboard)/(?P<id>[^/]+)/?")


class _Nobody:
    """A publisher for whoever only plans: explaining a picture asks for none."""

    async def publish(self, request: RenderRequest) -> Never:
        raise NotImplementedError("`vitrine why` publishes nothing.")

    def close(self) -> None:
        """Nothing is open."""


def why(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="chart/ID or dashboard/ID, with CATALOG: before it if need be.")
    ],
    user: Annotated[
        str, typer.Option("--user", "-u", metavar="USERNAME", help="Who looks; default: nobody in particular.")
    ] = "",
    catalog: Annotated[
        str, typer.Option("--catalog", metavar="NAME", help="The target's catalog; default: VITRINE_DEFAULT_CATALOG.")
    ] = "",
) -> None:
    """Explain the thumbnail of a chart or dashboard.

    The executor and the rules that chose it, the key and its parts, what the store has, the last render and its steps,
    the last error and what to do about it, and what a request would get now. It asks for no render. Exit code 1 when
    there is no such target, or the user may not see it.
    """
    settings = command_settings()
    wanted = read_target(target, catalog, settings.default_catalog)
    if settings.store_url.startswith("memory"):
        raise InvalidInput("With a memory:// store only the gateway's own process knows its pictures.")
    try:
        explanation = asyncio.run(explain(open_parts(settings), wanted, user))
    except NotFound as error:
        print(f"vitrine: {error.message}", file=sys.stderr)
        raise typer.Exit(1) from error
    for line in why_report.lines(explanation, settings, datetime.now(UTC)):
        print(line)


def read_target(text: str, catalog: str, default: str) -> Target:
    """Raises InvalidInput for what names no target, and for one that names another catalog than `catalog` does."""
    match = _TARGET.fullmatch(text)
    try:
        if match is None:
            raise NotFound(text)
        prefix = f"{named}:" if (named := match["catalog"]) else ""
        if not prefix and ":" not in match["id"] and catalog:
            prefix = f"{catalog}:"
        found = target_of(TargetKind(match["kind"]), prefix + match["id"], default)
    except NotFound:
        raise InvalidInput(
            f"{text!r} is no target, such as dashboard/3, chart/12 or superset:dashboard/5.", field="target"
        ) from None
    if catalog and found.catalog != catalog:
        raise InvalidInput(
            f"{text!r} is of the catalog {found.catalog}, and --catalog says {catalog}.", field="catalog"
        )
    return found


async def explain(parts: Parts, target: Target, username: str) -> Explanation:
    """Raises NotFound for a target, catalog or user that is not there, and for a target that they may not see."""
    requests = Requests(parts.settings, parts.catalogs, parts.pictures, _Nobody())
    try:
        found = await asyncio.to_thread(_plan, requests, target, username)
        if found.plan is not None:
            found.kept = await _kept(parts.pictures, found.plan)
            found.still = waiting.of_key(parts.sessions, found.plan.key)
            if found.still is not None and not found.still.in_hand:
                found.before = waiting.count_before(parts.sessions, found.still)
            records = RenderRecords(parts.sessions)
            found.last = records.latest(found.plan.key)
            found.last_error = records.latest(found.plan.key, status="Error")
        return found
    finally:
        await parts.store.close()


def _plan(requests: Requests, target: Target, username: str) -> Explanation:
    catalog = requests.catalog(target.catalog)
    principal = catalog.principal(username) if username else None
    info = catalog.info(principal or OPERATOR, target)
    rules = requests.rules(target)
    tried = tuple(try_rules(rules, info.ownership, principal))
    found = Explanation(info, username, tried, rules[len(tried) :], of_catalog=bool(catalog.executors))
    try:
        found.plan = requests.thumbnail(target, principal, info=info)
    except (ExecutorNotFound, NotFound) as error:  # they may see it, and their executor may not: told by its list too
        found.problem = ExecutorNotFound(error.message)
        if principal is None and any(rule.kind is ExecutorKind.CURRENT_USER for rule in rules):
            found.viewers = tuple(catalog.viewers(target))
    return found


async def _kept(pictures: Pictures, plan: Plan) -> Kept:
    """The body is read too: a head whose chunks were evicted is no picture."""
    head = await pictures.head(plan.key)
    whole = head is not None and await pictures.read(plan.key) is not None
    return Kept(head, whole, await pictures.state(plan.key))
