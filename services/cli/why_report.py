"""The words of `vitrine why`: plain lines, a subject at the margin and what belongs to it beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.api.documents import id_of, retry_after_s
from services.api.errors import status_of
from shared.catalog.port import TargetInfo
from shared.errors import ExecutorNotFound
from shared.identity import ExecutorKind, ExecutorRule, Ownership
from shared.metadata.models import RenderRecord
from shared.metadata.waiting import Open
from shared.remedies import REMEDIES
from shared.requests import Plan
from shared.settings import PREFIX, Settings
from shared.store.pictures import Head, State, Status

SUBJECT = 13  # characters of the left column
NAMES = 8  # viewers that are named
CHOSEN = {
    ExecutorKind.FIXED: "whom the rule names",
    ExecutorKind.CURRENT_USER: "who looks",
    ExecutorKind.CREATOR: "who made it",
    ExecutorKind.CREATOR_OWNER: "who made it, and owns it",
    ExecutorKind.MODIFIER: "who changed it last",
    ExecutorKind.MODIFIER_OWNER: "who changed it last, and owns it",
    ExecutorKind.OWNER: "an owner",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store has under the key. `whole`: the bytes are there too, and their checksum holds."""

    head: Head | None
    whole: bool
    state: State | None

    @property
    def picture(self) -> Head | None:
        """What a request would be served."""
        return self.head if self.whole else None


@dataclass(slots=True)
class Explanation:
    """All about one thumbnail. Without a plan there is a `problem`, and nothing after it."""

    info: TargetInfo
    username: str  # "": nobody in particular looks
    tried: tuple[tuple[ExecutorRule, str | None], ...]
    not_tried: tuple[ExecutorRule, ...]
    of_catalog: bool  # the rules are the catalog's own, not those of the settings
    plan: Plan | None = None
    problem: ExecutorNotFound | None = None
    viewers: tuple[str, ...] = ()  # who might be named with --user
    kept: Kept = Kept(None, False, None)
    still: Open | None = None
    before: int = 0  # how many wait before it
    last: RenderRecord | None = None
    last_error: RenderRecord | None = None


def lines(told: Explanation, settings: Settings, now: datetime) -> Iterator[str]:
    info = told.info
    yield f"{info.target} {info.title!r}, as {told.username or 'nobody in particular'} sees it"
    yield from _block("executor", _executor(told))
    if told.plan is not None:
        yield from _block("key", _key(told.plan))
        yield from _block("status", _status(told.plan, told.kept, now))
        if told.still is not None:
            yield from _block("request", _request(told.still, told.before, now))
        yield from _block("last render", _render(told.last, now))
        yield from _block("last error", _error(told, now))
    yield from _block("now", _next(told, settings, now))


def _block(subject: str, told: Iterator[str]) -> Iterator[str]:
    for number, line in enumerate(told):
        yield f"{subject if number == 0 else '':<{SUBJECT}}{line}"


def _executor(told: Explanation) -> Iterator[str]:
    yield told.plan.executor if told.plan else f"none: {told.problem.message if told.problem else ''}"
    source = f"the catalog {told.info.target.catalog}" if told.of_catalog else f"{PREFIX}THUMBNAIL_EXECUTORS"
    yield f"rules of {source}, in order:"
    for rule, username in told.tried:
        why = f"{username}, {CHOSEN[rule.kind]}" if username else f"nobody: {_unresolved(rule, told.info.ownership)}"
        yield f"  {rule} → {why}"
    for rule in told.not_tried:
        yield f"  {rule}: not tried"
    if told.viewers:
        rest = len(told.viewers) - NAMES
        more = f" and {rest} more" if rest > 0 else ""
        yield f"→ Name who looks with --user; it may be seen by {', '.join(told.viewers[:NAMES])}{more}."
    elif told.problem is not None:
        yield f"→ {REMEDIES[told.problem.code]}"


def _unresolved(rule: ExecutorRule, ownership: Ownership) -> str:
    match rule.kind:
        case ExecutorKind.CURRENT_USER:
            return "nobody in particular looks"
        case ExecutorKind.CREATOR | ExecutorKind.CREATOR_OWNER:
            made = ownership.created_by
            return f"{made}, who made it, is no owner" if made else "it is not known who made it"
        case ExecutorKind.MODIFIER | ExecutorKind.MODIFIER_OWNER:
            changed = ownership.changed_by
            return f"{changed}, who changed it last, is no owner" if changed else "it is not known who changed it last"
        case _:
            return "it has no owner"


def _key(plan: Plan) -> Iterator[str]:
    yield plan.key
    for name, value in plan.key_parts.items():
        match name:
            case "target":
                value = plan.target
            case "view_state":
                value = "as it opens" if plan.view_state.is_empty else value
            case "access":
                value = value or "no row-level rule that the catalog knows of"
        yield f"  {name.replace('_', ' ')}: {value}"


def _status(plan: Plan, kept: Kept, now: datetime) -> Iterator[str]:
    head, state = kept.head, kept.state
    if head is None:
        yield "missing: the store has no picture under this key"
    elif not kept.whole:
        yield "missing: parts of the picture were evicted or damaged; see that the store has memory enough"
    else:
        yield "fresh" if head.is_fresh(plan.digest, now) else "stale: it is served, marked so, until there is a new one"
    if head is not None:
        yield f"  rendered {_at(head.rendered_at, now)}: {head.size:,} bytes of {head.content_type}"
        yield f"  fresh until {_at(head.fresh_until, now)}"
        same = "same" if head.digest == plan.digest else "other: the target or its data were changed since"
        yield f"  digest {same} ({head.digest[:12]}; now {plan.digest[:12]})"
    if state is None:
        yield "  nobody asked, or whoever did has lapsed" if head is None else "  nobody is making another"
        return
    until = f", until {_at(state.deadline, now)}" if state.is_running else ""
    by = f", by {state.owner}" if state.status is Status.COMPUTING else ""
    yield f"  {state.status} since {_at(state.updated_at, now)}{until}{by}"


def _request(still: Open, before: int, now: datetime) -> Iterator[str]:
    row = still.row
    yield f"in the hand of {row.owner or 'a renderer'}" if still.in_hand else f"waits in its queue; {before} before it"
    yield f"  asked for {_at(row.asked_at, now)} by {row.origin}, until {_at(row.deadline, now)}"
    yield f"  request {row.id}, correlation id {row.correlation_id}"


def _render(record: RenderRecord | None, now: datetime) -> Iterator[str]:
    if record is None:
        yield "none on record: never rendered, still running, or older than records are kept"
        return
    yield f"{record.status}, begun {_at(record.started_at, now)}, asked for by {record.origin}"
    yield f"  correlation id {record.correlation_id}"
    for step in record.timeline:
        yield f"  {step['step']:<10} {step['seconds']:>8.3f} s"
    yield f"  {'in all':<10} {sum(step['seconds'] for step in record.timeline):>8.3f} s"
    for chart in record.failed_charts:
        yield f"  its picture shows that the chart {chart['id']} failed: {chart['reason']}"
    if record.failed_charts:
        yield f"  → {REMEDIES['chart_failed']}"


def _error(told: Explanation, now: datetime) -> Iterator[str]:
    """The state's own, which a render that never began has too; else the last on record."""
    state, record = told.kept.state, told.last_error
    if state is not None and state.status is Status.ERROR:
        code, reason, at = state.code, state.reason, state.updated_at
    elif record is not None:
        code, reason, at = record.code, record.reason, record.finished_at or record.started_at
    else:
        yield "none on record"
        return
    yield f"{code}, {_at(at, now)}"
    yield f"  {reason}"
    if told.kept.head is not None and told.kept.head.rendered_at > at:
        yield "  a later render went well"
    else:
        yield f"  → {REMEDIES.get(code, REMEDIES['internal'])}"


def _next(told: Explanation, settings: Settings, now: datetime) -> Iterator[str]:
    """What GET of the thumbnail would do, as services/api/resources/thumbnails.py does it."""
    if told.plan is None:
        if told.problem is not None and not told.viewers:
            yield f"a request gets {status_of(told.problem).value} with {told.problem.code}; nothing is rendered"
        else:
            yield "it depends on who looks"
        return
    target, picture, state = told.info.target, told.kept.picture, told.kept.state
    if picture is not None and picture.is_fresh(told.plan.digest, now):
        yield "a request gets 200 with this picture, or 304 if it has it; nothing is rendered"
        return
    served = "202 and a status document" if picture is None else "200 with this picture, marked stale"
    if state is None or not state.holds_back(now):
        yield f"a request gets {served}; a render is published (Retry-After: {settings.retry_after_s} s)"
    elif state.is_running:
        yield f"a request gets {served}; the render that is {state.status} is waited for, no second one is published"
    else:
        left_s = retry_after_s(state, settings.retry_after_s, now)
        yield f"a request gets {served}; as the last render failed, the next one may begin in {left_s} s"
        path = f"/api/v1/{target.kind}/{id_of(target, settings.default_catalog)}/thumbnail/"
        yield f'  sooner: POST {{"force": true}} to {path}'


def _at(when: datetime, now: datetime) -> str:
    """`2026-01-02 03:04:05 UTC (5 min ago)`."""
    gap = when - now
    size = abs(gap)
    if size < timedelta(minutes=2):
        words = f"{size.total_seconds():.0f} s"
    elif size < timedelta(hours=2):
        words = f"{size.total_seconds() / 60:.0f} min"
    elif size < timedelta(days=2):
        words = f"{size.total_seconds() / 3600:.0f} h"
    else:
        words = f"{size.days} days"
    return f"{when:%Y-%m-%d %H:%M:%S} UTC ({f'{words} ago' if gap <= timedelta(0) else f'in {words}'})"
