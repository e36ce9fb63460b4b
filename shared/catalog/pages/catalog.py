"""The catalog of single pages: any web application, listed in a YAML file (settings: pages_file, pages_secrets)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from shared.catalog.pages.forms import log_in
from shared.catalog.pages.schema import PARAMETER, PageEntry, model_values, read_pages, with_secrets
from shared.catalog.port import Catalog, Facts, Page, Readiness, TargetInfo, host_port
from shared.errors import NotFound
from shared.identity import ADMIN_ROLE, ExecutorRule, Ownership, Principal, parse_executors
from shared.kept import Kept
from shared.keys import content_hash
from shared.settings import Settings
from shared.targets import Size, Target, TargetKind, ViewState

NAME = "pages"
EXECUTOR = "reader"  # everybody sees the same: the sign-in is the page's own
SESSION_S = 600.0


class PagesCatalog(Catalog):
    """shared.catalog.port.Catalog. Raises InvalidInput when it is made, for a file that does not hold."""

    name = NAME
    executors: tuple[ExecutorRule, ...] = parse_executors(f"FIXED:{EXECUTOR}")

    def __init__(self, settings: Settings) -> None:
        assert settings.pages_file is not None, "open_catalogs makes one only where there is a file"
        self._secrets = {name: value.get_secret_value() for name, value in settings.pages_secrets.items()}
        self._pages = {page.id: page for page in read_pages(settings.pages_file, self._secrets)}
        self._sessions: Kept[str, dict[str, str]] = Kept(SESSION_S)

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset().union(*(_hosts(page) for page in self._pages.values())) if self._pages else frozenset()

    def close(self) -> None:
        """Nothing is open."""

    def principal(self, username: str) -> Principal:
        """The one that pages are drawn as, who sees all of them; nobody else is a user here."""
        if username != EXECUTOR:
            raise NotFound("A list of pages has no users.")
        return Principal(EXECUTOR, frozenset({ADMIN_ROLE}), NAME)

    def info(self, principal: Principal, target: Target) -> TargetInfo:
        return _info(self._page(target, principal))

    def list(
        self, principal: Principal, kind: TargetKind, *, offset: int = 0, limit: int = 100
    ) -> tuple[int, Sequence[TargetInfo]]:
        seen = [page for page in self._pages.values() if page.kind == kind and _may_see(principal, page)]
        return len(seen), [_info(page) for page in seen[offset : offset + limit]]

    def facts(self, target: Target, executor: str) -> Facts:
        """The digest knows what the file says, not what the page shows: pictures grow old by time."""
        page = self._page(target)
        window = Size(*map(int, page.window.split("x"))) if page.window else None
        return Facts(content_hash(page.model_dump(exclude={"sign_in", "roles"})), "", window)

    def controls(self, principal: Principal, target: Target) -> Mapping[str, Any] | None:
        return None

    def saved_state(self, principal: Principal, target: Target, key: str) -> Mapping[str, Any]:
        raise NotFound("A list of pages has no permalinks.")

    def renew(self, executor: str) -> bool:
        """Sessions by form are made anew; what the settings hold stays what it is."""
        forms = [page.id for page in self._pages.values() if page.sign_in.form]
        for page in forms:
            self._sessions.forget(page)
        return bool(forms)

    def viewers(self, target: Target) -> Sequence[str]:
        self._page(target)
        return []

    def page(self, target: Target, executor: str, view_state: ViewState, *, nonce: str, vector: bool = False) -> Page:
        page = self._page(target)
        values = model_values(page, dict(view_state.url_params))
        url = PARAMETER.sub(lambda match: quote(str(values[match[1]]), safe=""), page.url)
        headers = {name: self._filled(value) for name, value in page.sign_in.headers.items()}
        if page.sign_in.bearer is not None:
            headers["Authorization"] = f"Bearer {self._filled(page.sign_in.bearer)}"
        cookies = {name: self._filled(value) for name, value in page.sign_in.cookies.items()}
        if page.sign_in.form is not None:
            cookies |= self._sessions.get(page.id, lambda: self._log_in(page, url))
        hosts = _hosts(page)
        return Page(url, _readiness(page), cookies=cookies, headers=headers, hosts=hosts, identity=page.id)

    def _log_in(self, page: PageEntry, url: str) -> dict[str, str]:
        form = page.sign_in.form
        assert form is not None, "asked for pages with a form only"
        return log_in(form.url, {name: self._filled(value) for name, value in form.fields.items()}, url)

    def _filled(self, value: str) -> str:
        return with_secrets(value, self._secrets)

    def _page(self, target: Target, principal: Principal | None = None) -> PageEntry:
        page = self._pages.get(target.id) if target.catalog == self.name else None
        if page is None or page.kind != target.kind or (principal is not None and not _may_see(principal, page)):
            raise NotFound(f"There is no such {target.kind}.")
        return page


def _may_see(principal: Principal, page: PageEntry) -> bool:
    """Whoever is signed in; where the page names roles, who has one of them; the operator and admins."""
    if principal.is_admin:
        return True
    return bool(principal.username) and (not page.roles or bool(principal.roles & set(page.roles)))


def _info(page: PageEntry) -> TargetInfo:
    values = model_values(page, {})
    return TargetInfo(
        target=Target(NAME, TargetKind(page.kind), page.id),
        title=page.title,
        url=PARAMETER.sub(lambda match: quote(str(values[match[1]]), safe=""), page.url),
        ownership=Ownership(),
        description=page.description,
        tags=tuple(page.tags),
    )


def _readiness(page: PageEntry) -> Readiness:
    """The element that must be there is the one chart of the page: complete when it is there and moves no more."""
    return Readiness(
        root=page.ready,
        holder=page.ready,
        terminal="*",
        failed=":not(*)",
        spinner=page.spinner,
        login=page.login,
        error=page.error,
        expression=page.expression,
    )


def _hosts(page: PageEntry) -> frozenset[str]:
    return frozenset({host_port(page.url), *page.hosts})
