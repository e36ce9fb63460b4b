"""Readiness: proved in the page by static/readiness.js, judged here. Pure: what is asked, and what an answer means.

A page is ready when every chart holder is terminal, no spinner is visible, fonts and images are there, nothing is in
flight, and two frames of every chart were equal; and when its own server gave all its scripts, styles and fonts
(static/files.js). What is no chart (a clock, a long poll, a dead image) is waited for
only as long as the limits below say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from shared.catalog.port import Readiness
from shared.errors import CatalogUnavailable, ChartFailed, LoginPage, NotReady, PageRefused
from shared.targets import TargetKind

EMPTY_QUIET_MS = 500  # of a page without charts: one may still come
REQUEST_PATIENCE_MS = 2_000  # a request that is in flight so long after all charts are complete belongs to no chart
DECOR_PATIENCE_MS = 5_000  # likewise an image or a font
RESTLESS_MS = 10_000  # a chart that says it is drawn, and moves so long after, moves for ever
SLICE_MS = 1_000  # how long the page itself waits for a verdict before it says what stands in the way
SCRIPT_SILENT_S = 3.0  # longer than a slice: the page's own script does not let ours run
EXPRESSION = """async question => window.__vitrine_readiness__
  ? {...await window.__vitrine_readiness__.ask(question.rule, question.options, () => (%s)),
     unserved: window.__vitrine_unserved__()}
  : {state: "waiting", blockers: [{what: "loading", id: "", title: ""}], unserved: []}"""
SETTLED = "ms => window.__vitrine_readiness__.settle(ms)"
# hasten.js is the last: it changes the clocks.
SCRIPTS = ("static/files.js", "static/readiness.js", "static/listening.js", "static/hasten.js")

_WAITING_FOR = {
    "loading": "the page was still loading",
    "root": "the page never showed its content",
    "spinner": "a loading indicator never went away",
    "image": "an image never loaded",
    "font": "a font never loaded",
    "request": "a request of the page was still in flight",
    "expression": "its expression never became true",
    "restless": "the charts never stopped changing",
}


@dataclass(frozen=True, slots=True)
class Ready:
    """What a ready page holds. `failed`: (chart id, reason in the page's own words). Document size in CSS pixels."""

    holders: int
    failed: tuple[tuple[str, str], ...]
    empty: int
    title: str
    width: int = 0
    height: int = 0
    restless: bool = False
    unseen: int = 0  # of the holders, those below the picture of which nothing is known

    @property
    def flaw(self) -> str:
        """What of it failed, in one sentence; "" if nothing did."""
        if not self.failed:
            return ""
        chart, reason = self.failed[0]
        known = self.holders - self.unseen
        count = f"{len(self.failed)} of" if len(self.failed) < known else "All"
        return f"{count} {known} charts failed; the first of them, chart {chart}: {reason}."


@dataclass(frozen=True, slots=True)
class Grow:
    """The page needs a viewport of this height, for what it draws only when it is in view."""

    height: int


@dataclass(frozen=True, slots=True)
class Blocker:
    """What stands in the way: a word of static/readiness.js, and the chart it is about."""

    what: str
    id: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    blockers: tuple[Blocker, ...]


@cache
def init_script() -> str:
    """The script that must run in a page before its own."""
    folder = resources.files("services.renderer")
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in SCRIPTS)


def opening(open_in_app: str) -> str:
    """A JavaScript function that has the open page show another URL, of which nothing is proved yet."""
    return f"url => {{ window.__vitrine_readiness__.reset(); return ({open_in_app})(url); }}"


def question(rule: Readiness, *, full: bool, may_grow: bool, slice_ms: int = SLICE_MS) -> dict[str, Any]:
    """The argument of EXPRESSION. `full`: the whole page is wanted, not only its first window."""
    words = asdict(rule)
    for name in ("passing", "expression"):
        words.pop(name)  # for judge(); the script only looks
    renamed = {"failedRoot": words.pop("failed_root"), "reasonAttribute": words.pop("reason_attribute")}
    renamed["signedOut"] = bool(words.pop("signed_out"))
    options = {
        "full": full,
        "mayGrow": may_grow,
        "sliceMs": slice_ms,
        "quietMs": words.pop("quiet_ms"),
        "emptyQuietMs": EMPTY_QUIET_MS,
        "requestPatienceMs": REQUEST_PATIENCE_MS,
        "decorPatienceMs": DECOR_PATIENCE_MS,
        "restlessMs": RESTLESS_MS,
    }
    return {"rule": words | renamed, "options": options}


def asking(rule: Readiness) -> str:
    """The script that asks; the catalog's own expression is part of it, as pages may forbid eval()."""
    return EXPRESSION % (rule.expression or "true")


def judge(answer: Mapping[str, Any], rule: Readiness | None = None) -> Ready | Grow | Waiting:
    """What the page's answer means.

    Raises LoginPage or PageRefused, with the page's own reason; CatalogUnavailable when that reason passes, or a
    script, style or font of the page was not served just now, whatever the page says of itself: it may lack the script
    that would tell.
    """
    state = answer["state"]
    if (unserved := answer.get("unserved")) and state != "login":
        raise CatalogUnavailable(_unserved(unserved))
    match state:
        case "ready":
            failed = tuple((str(chart), _sentence(reason, title)) for chart, reason, title in answer["failed"])
            return Ready(
                holders=int(answer["holders"]),
                failed=failed,
                empty=int(answer["empty"]),
                title=str(answer["title"]),
                width=int(answer["width"]),
                height=int(answer["height"]),
                restless=bool(answer["restless"]),
                unseen=int(answer.get("unseen", 0)),
            )
        case "grow":
            return Grow(int(answer["height"]))
        case "login":
            raise LoginPage("The page shown is a log-in page: the executor is not signed in, or may not see this page.")
        case "refused":
            if rule is not None:
                _raise_if_told(str(answer["reason"]), rule)
            raise PageRefused(f"The page shows an error: {_short(answer['reason']) or 'it gives no reason'}.")
        case _:
            return Waiting(tuple(Blocker(str(b["what"]), str(b["id"]), _short(b["title"])) for b in answer["blockers"]))


def not_ready(waiting: Waiting | None, seconds: float) -> NotReady:
    """The error of a page that ran out of time; `waiting` is what it said last, None when its script held it up."""
    if waiting is None:
        return NotReady(f"The page was not complete after {seconds:.0f} s: its own script never paused.")
    charts = _charts(waiting.blockers, "chart")
    blanks = _charts(waiting.blockers, "blank")
    if any(blocker.what == "root" for blocker in waiting.blockers):
        why = _WAITING_FOR["root"]
    elif charts:
        why = f"{charts} never finished drawing"
    elif blanks:
        why = f"{blanks} stayed blank"
    else:
        why = "; ".join(dict.fromkeys(_WAITING_FOR.get(blocker.what, blocker.what) for blocker in waiting.blockers))
    return NotReady(f"The page was not complete after {seconds:.0f} s: {why}.")


def check_charts(ready: Ready, kind: TargetKind, rule: Readiness | None = None) -> None:
    """Raises ChartFailed when nothing of the picture would be true: the one chart, or every chart, failed.

    Raises CatalogUnavailable when a chart failed for a cause that passes: such a picture would show an outage as if it
    were the dashboard, and be kept for as long as a good one. Likewise LoginPage.
    """
    if rule is not None:
        for _, reason in ready.failed:
            _raise_if_told(reason, rule)
    known = ready.holders - ready.unseen
    if ready.failed and len(ready.failed) >= known:
        _, reason = ready.failed[0]
        if kind is TargetKind.CHART or known == 1:
            raise ChartFailed(f"The chart failed: {reason}.")
        raise ChartFailed(ready.flaw)


def _raise_if_told(reason: str, rule: Readiness) -> None:
    if any(words in reason for words in rule.signed_out):
        raise LoginPage(f"The page says that the executor is not signed in: {_short(reason)}.")
    if reason.startswith(rule.passing):
        raise CatalogUnavailable(f"The page could not reach what it shows: {_short(reason)}.")


def _unserved(files: Sequence[tuple[str, int]]) -> str:
    url, status = files[0]
    more = f", nor {len(files) - 1} more" if len(files) > 1 else ""
    why = f"status {status}" if status else "no answer"
    return f"The page's server did not serve {_short(urlsplit(url).path)} ({why}){more}."


def _charts(blockers: Sequence[Blocker], what: str) -> str:
    names = [f"chart {b.id} ({b.title})" if b.title else f"chart {b.id}" for b in blockers if b.what == what]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _sentence(reason: object, title: object) -> str:
    return _short(reason) or f"{_short(title) or 'it'} gives no reason"


def _short(text: object) -> str:
    """Words of a page, for people: one line, bounded, without a full stop of its own."""
    return " ".join(str(text or "").split())[:300].rstrip(". ")
