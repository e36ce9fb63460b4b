"""Reports of warm-up on a terminal: plain lines, so that they can be read by programs too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.warmup.kindness import Kindness, Subject
from shared.warmup.report import WORDS


def name(one: Mapping[str, Any]) -> str:
    what = "" if one["what"] == "data" else f" ({one['what']})"
    return f"{one['kind']} {one['target_id']} {one['title']!r}{what} as {one['executor'] or 'nobody'}"


def show_all(runs: Sequence[Mapping[str, Any]]) -> None:
    """A line for each run: id, when, strategy, status, outcomes, useful share."""
    if not runs:
        print("Nothing was warmed yet; begin with: vitrine warmup run dummy")
    for run in runs:
        print(
            f"{run['id']}  {run['created_at'][:19]}Z  {run['strategy']:<22} {run['origin']:<8} {run['status']:<8} "
            f"{words(run)}; {usefulness(run)}"
        )


def show(run: Mapping[str, Any]) -> None:
    print(f"{run['id']}: {run['strategy']} {run['parameters']}, {', '.join(run['warms'])}, {run['origin']}")
    print(f"{run['status']} {run['reason']}".rstrip())
    print(f"{words(run)}; {run['seconds']:.1f} s of work; {usefulness(run)}")
    for one in run["outcomes"]:
        used = " used" if one["used_at"] else ""
        reason = f": {one['code']}: {one['reason']}" if one["reason"] else ""
        print(f"  {one['outcome']:<12} {one['seconds']:>7.2f} s{used:<5} {name(one)}{reason}")
    if run["outcomes_left_out"]:
        print(f"  … and {run['outcomes_left_out']} more")


def summarise(run: Mapping[str, Any], took_s: float) -> None:
    print(f"{words(run)} in {took_s:.1f} s; see: vitrine warmup report {run['id']}")


def show_kindness(kindness: Kindness) -> None:
    for pause in kindness.pauses():
        since = f"paused since {pause.paused_at:%Y-%m-%d %H:%M} UTC"
        print(f"{since}: {pause.catalog}/{pause.database} {pause.reason}".rstrip())
    for one in kindness.backoffs():
        about = Subject.told(one)
        place = f"{about.kind} {about.target_id} ({about.what}) as {about.executor}"
        within = f" in dashboard {about.dashboard_id}" if about.dashboard_id else ""
        print(
            f"until {one.retry_at:%Y-%m-%d %H:%M} UTC: {place}{within}, "
            f"after {one.failures} failures: {one.code}: {one.reason}"
        )


def words(run: Mapping[str, Any]) -> str:
    counts = run["outcomes_by_word"]
    return ", ".join(f"{counts[word]} {word}" for word in WORDS if counts[word]) or "nothing to warm"


def usefulness(run: Mapping[str, Any]) -> str:
    unknown = f"of {run['use_unknown']} kept by Superset it is not known" if run["use_unknown"] else ""
    if run["useful_share"] is None:
        return unknown or "nothing warmed, nothing to use"
    waiting = f", {run['not_used_yet']} still may be" if run["not_used_yet"] else ""
    told = f"{run['used']} used ({run['useful_share']:.0%}), {run['unused']} never{waiting}"
    return f"{told}; {unknown}" if unknown else told
