"""The port behind which every catalog stands: our own tables, a Superset, a list of pages.

Calls are synchronous and may touch a database or the network: the gateway runs them in its small executor, the
renderer in a thread. What a principal may not see raises the same NotFound as what does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import urlsplit

from shared.errors import ExecutorNotFound, NotFound
from shared.identity import ExecutorRule, Ownership, Principal
from shared.targets import Size, Target, TargetKind, ViewState


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """What lists and cards show of a target. `changed_on` is aware, UTC."""

    target: Target
    title: str
    url: str  # path of its own page for people, such as /dashboard/1/
    ownership: Ownership
    description: str = ""
    published: bool = True
    tags: tuple[str, ...] = ()
    changed_on: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a picture of a target, seen by one executor, depends on.

    `digest` names its content (definition and data version): another digest makes a picture stale. `access` names who
    may be shown it (the row-level rules that apply to the executor): it is part of the key, so another access is
    another picture.
    """

    digest: str
    access: str
    window: Size | None = None  # of a target that has one of its own


@dataclass(frozen=True, slots=True)
class Readiness:
    """How a page of this catalog shows that it is complete. Selectors are CSS; evaluated by
    services/renderer/readiness.py.

    `root` must exist; `failed_root` present means that the page itself failed, its `data-vitrine-reason` says why.
    Every `holder` must match
    `terminal`; those that match `failed` failed. No visible `spinner` may remain. A visible `login` or `error` is an
    Error.
    """

    root: str
    holder: str
    terminal: str
    failed: str
    failed_root: str = ""
    spinner: str = ""
    login: str = ""
    error: str = ""
    empty: str = ""  # of the terminal holders, those that have nothing to show, rightly
    reason_attribute: str = "data-reason"
    expression: str = ""  # JavaScript that must be true besides
    quiet_ms: int = 100  # no change, no drawing in a chart for so long; less only where `terminal` means: painted
    reason: str = ""  # inside a failed holder, what tells why, where the holder has no such attribute
    signed_out: tuple[str, ...] = ()  # a reason that holds one of these says the same as a log-in page; where there are
    # any, so does an error after an answer of 401
    passing: tuple[str, ...] = ()  # a reason that begins so has a cause that passes: the render is tried again


@dataclass(frozen=True, slots=True)
class InApp:
    """How a page that is open already shows another target in its place, which costs a fraction of loading it.

    Only for an application whose pictures are the same either way. Both members are JavaScript functions, evaluated in
    the page. `open(url)` promises the HTTP status of what it shows, or 0: it must be loaded. `clear()` lets go of what
    is shown; it is called after each render, and no trace of that one may be in the next.
    """

    name: str  # pages of one name can show each other's targets
    open: str
    clear: str


@dataclass(frozen=True, slots=True)
class Page:
    """What the renderer opens: a URL, and what signs the executor in, for the origin of that URL only."""

    url: str
    readiness: Readiness
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    hosts: frozenset[str] = frozenset()  # HOST:PORT pairs that the page may reach, its own included
    in_app: InApp | None = None  # None: each render loads the page
    reads: frozenset[str] | None = None  # paths that a POST may reach, because there it reads; None: requests pass
    answers: Mapping[str, Any] = field(default_factory=dict)  # path → JSON that the browser answers by itself
    is_hasty: bool = False  # its charts' animations may run faster: what they end in is the same
    draws_ahead: str = ""  # of a hasty page: rootMargin of the IntersectionObservers that draw what nobody sees yet
    identity: str = ""  # who is signed in, where that is not the executor: identities never share a browser context


def host_port(url: str) -> str:
    """The HOST:PORT pair of an http(s) address."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


class Warms(StrEnum):
    """What a part is."""

    DATA = "data"  # the rows of one chart
    OPTIONS = "options"  # what one filter of a dashboard offers


@dataclass(frozen=True, slots=True)
class Group:
    """People who see the same of a target, so that one warming serves them all: as `executor`, who is one of them."""

    executor: str
    access: str  # as in Facts
    usernames: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing of a target that can be warm or not, as one group sees it. `database` names the origin to be kind to.

    `target` is the chart, or the dashboard whose filter `filter_id` is; `key` names the entry, as far as is known now.
    """

    warms: Warms
    target: Target
    title: str
    executor: str
    database: str
    key: str
    dashboard_id: str | None = None
    view_state: ViewState = ViewState()
    filter_id: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How warm is warm: fresh for at least `ahead_s` more. `force`: anew in any case. `only_kept`: if it is there."""

    ahead_s: float = 0
    force: bool = False
    only_kept: bool = False


@dataclass(frozen=True, slots=True)
class Warmth:
    """What warming a part came to, read back from where viewers will find it. `skipped` says why nothing was done."""

    key: str
    already: bool = False
    expires_at: datetime | None = None  # until when somebody may be served it; None: its origin does not tell
    skipped: str = ""


class Catalog(Protocol):
    """Raises NotFound for unknown targets, DatabaseUnavailable or CatalogUnavailable when its origin does not
    answer, Unauthenticated when the log-in there that a principal brought has ended meanwhile.
    """

    name: str
    executors: tuple[ExecutorRule, ...]  # as whom its targets are rendered; empty: as the settings say

    @property
    def hosts(self) -> frozenset[str]:
        """HOST:PORT pairs that its pages need."""
        ...

    def close(self) -> None: ...

    def principal(self, username: str) -> Principal:
        """Raises NotFound for unknown or inactive users."""
        ...

    def info(self, principal: Principal, target: Target) -> TargetInfo:
        """Raises NotFound when the principal may not see it."""
        ...

    def list(
        self, principal: Principal, kind: TargetKind, *, offset: int = 0, limit: int = 100
    ) -> tuple[int, Sequence[TargetInfo]]:
        """How many the principal may see, and one page of them, newest change first."""
        ...

    def facts(self, target: Target, executor: str) -> Facts:
        """Raises ExecutorNotFound for an unknown or inactive executor, NotFound when they may not see the target."""
        ...

    def facts_of(self, asked: Sequence[tuple[Target, str]]) -> Sequence[Facts | ExecutorNotFound | NotFound]:
        """`facts` of each (target, executor): for a page of a list, at a cost that does not grow with its length.

        This one asks for one after the other; a catalog that can do better has its own.
        """
        found: list[Facts | ExecutorNotFound | NotFound] = []
        for target, executor in asked:
            try:
                found.append(self.facts(target, executor))
            except (ExecutorNotFound, NotFound) as error:
                found.append(error)
        return found

    def controls(self, principal: Principal, target: Target) -> Mapping[str, Any] | None:
        """`tabs` and `filters` of a dashboard, which a view state is checked against; None: its page does that."""
        ...

    def saved_state(self, principal: Principal, target: Target, key: str) -> Mapping[str, Any]:
        """The view state of a permalink, as JSON. Raises NotFound for an unknown key, and for another target's."""
        ...

    def renew(self, executor: str) -> bool:
        """After a log-in page: forget how the executor was signed in. False: signing in anew would change nothing."""
        ...

    def viewers(self, target: Target) -> Sequence[str]:
        """User names of all active users who may see the target."""
        ...

    def databases(self) -> Sequence[str]:
        """The databases from which its parts are warmed, by name; () when it can warm nothing."""
        return ()

    def popular(self, since: datetime) -> Sequence[tuple[Target, int]]:
        """Dashboards and how often people opened them since then, by the origin's own log; () where it keeps none."""
        return ()

    def groups(self, target: Target) -> Sequence[Group]:
        """All active users who may see the target, by what they see of it; () when it does not exist."""
        found: dict[str, list[str]] = {}
        try:
            for username in self.viewers(target):
                found.setdefault(self.facts(target, username).access, []).append(username)
        except NotFound:
            return ()
        return [Group(names[0], access, tuple(names)) for access, names in found.items()]

    def parts(self, target: Target, executor: str, view_state: ViewState) -> Sequence[Part]:
        """What there is to warm of a target as an executor sees it; () when this catalog can warm nothing.

        Raises as `info`, and InvalidInput for a view state that does not fit.
        """
        return ()

    async def warm(self, part: Part, wanted: Wanted, *, run_id: str) -> Warmth:
        """Warms one part and reads it back. What could not be warmed, or cannot be read back, is raised.

        On the event loop of whoever opened the catalog. `run_id` is kept with what is warmed.
        """
        raise NotFound(f"Nothing of the catalog {part.target.catalog!r} can be warmed.")

    def page(self, target: Target, executor: str, view_state: ViewState, *, nonce: str, vector: bool = False) -> Page:
        """The standalone page for a render.

        `nonce` makes the URL new, so that a warm page loads it afresh; `vector`: it will be printed, draw no rasters.
        """
        ...
