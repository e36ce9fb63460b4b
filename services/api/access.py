"""Who may see what, remembered for `access_cache_s` seconds, so that the serving hit path touches no database.

Every read of a target goes through here: what a principal may not see raises the same NotFound as what does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.api.blocking import Blocking
from services.api.cache import ExpiringCache
from shared.catalog.port import TargetInfo
from shared.errors import ExecutorNotFound, NotFound
from shared.identity import Principal
from shared.requests import Plan, Requests
from shared.targets import Target, TargetKind


@dataclass(frozen=True, slots=True)
class Seen:
    """A target as one principal may see it, and the plan of its thumbnail, if an executor resolves."""

    info: TargetInfo
    plan: Plan | None
    problem: str = ""  # why there is no plan

    @property
    def thumbnail(self) -> Plan:
        """Raises ExecutorNotFound."""
        if self.plan is None:
            raise ExecutorNotFound(self.problem)
        return self.plan


class Access:
    """Looks through the catalog, in the blocking pool; many who ask the same at once share one look."""

    def __init__(self, requests: Requests, blocking: Blocking, ttl_s: float) -> None:
        self._requests = requests
        self._blocking = blocking
        self._seen: ExpiringCache[tuple[Principal, Target], Seen] = ExpiringCache(ttl_s)

    async def see(self, principal: Principal, target: Target) -> Seen:
        """Raises NotFound, DatabaseUnavailable, CatalogUnavailable."""
        kept = self._seen.get((principal, target))
        if kept is not None:
            return kept
        return await self._seen.load((principal, target), lambda: self._blocking(self._look, principal, target))

    def left_s(self, principal: Principal, target: Target) -> float:
        """How long yet `see` gives what it gave, in seconds."""
        return self._seen.left_s((principal, target))

    async def list(
        self, principal: Principal, kind: TargetKind, *, offset: int, limit: int
    ) -> tuple[int, Sequence[Seen]]:
        """How many there are, and one page of them, newest change first."""
        count, seen = await self._blocking(self._look_all, principal, kind, offset, limit)
        for one in seen:
            self._seen.put((principal, one.info.target), one)
        return count, seen

    def _look(self, principal: Principal, target: Target) -> Seen:
        info = self._requests.catalog(target.catalog).info(principal, target)
        return _seen(info, *self._requests.thumbnails([info], principal))

    def _look_all(self, principal: Principal, kind: TargetKind, offset: int, limit: int) -> tuple[int, Sequence[Seen]]:
        """The catalogs' lists, one after the other."""
        count, found = 0, list[TargetInfo]()
        for catalog in self._requests.catalogs:
            wanted, skipped = limit - len(found), max(0, offset - count)
            number, infos = catalog.list(principal, kind, offset=skipped, limit=max(1, wanted))
            found += infos[:wanted]
            count += number
        plans = self._requests.thumbnails(found, principal)
        return count, [_seen(info, plan) for info, plan in zip(found, plans, strict=True)]


def _seen(info: TargetInfo, plan: Plan | ExecutorNotFound | NotFound) -> Seen:
    """An error: no executor, or one who may not see the target."""
    return Seen(info, plan) if isinstance(plan, Plan) else Seen(info, None, plan.message)
