"""Targets by the ids that people name, and what is said of those that are not there."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from shared.catalog.port import TargetInfo
from shared.errors import InvalidInput, NotFound
from shared.identity import OPERATOR
from shared.targets import Target, TargetKind
from shared.warmup.choices import Sources

ONE_BY_ONE = 100  # ids up to which each is asked for; more are looked up in the list of all
MAX_NAMED = 20  # of what is missing, in a message


def by_id(
    sources: Sources, kind: TargetKind, ids: Iterable[str], field: str, *, missing_ok: bool = False
) -> list[TargetInfo]:
    """Raises InvalidInput that names the ids which no catalog has; none, while one of them cannot be asked.

    `missing_ok`: nobody named them, so those that are not there, or not to be seen, are left out.
    """
    wanted = list(dict.fromkeys(str(int(one)) if one.isascii() and one.isdecimal() else one for one in ids))
    if len(wanted) > ONE_BY_ONE:
        mine = set(wanted)
        infos = [info for info in sources.all(kind) if info.target.id in mine]
    else:
        infos = [info for one in wanted for info in _with_id(sources, kind, one)]
    missing = [one for one in wanted if one not in {info.target.id for info in infos}]
    if missing and not missing_ok and not sources.troubles:
        more = f" and {len(missing) - MAX_NAMED} more" * (len(missing) > MAX_NAMED)
        told = f"There is no {kind} with id {', '.join(missing[:MAX_NAMED])}{more}."
        raise InvalidInput(told, field=f"parameters.{field}")
    return infos


def _with_id(sources: Sources, kind: TargetKind, identifier: str) -> Iterable[TargetInfo]:
    for catalog in sources.catalogs.values():
        with suppress(NotFound), sources.asking(catalog.name):
            yield catalog.info(OPERATOR, Target(catalog.name, kind, identifier))
