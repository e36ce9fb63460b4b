"""Where charts and dashboards come from: one port, several catalogs."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session, sessionmaker

from shared.catalog.native import NativeCatalog
from shared.catalog.pages.catalog import PagesCatalog
from shared.catalog.port import Catalog
from shared.catalog.superset.catalog import SupersetCatalog
from shared.identity import Tokens
from shared.settings import Settings
from shared.store.port import KeyValue


def open_catalogs(settings: Settings, sessions: sessionmaker[Session], store: KeyValue) -> dict[str, Catalog]:
    """Every configured catalog by its name; rows are kept in the store. Connects nothing.

    Raises InvalidInput for a pages file that is wrong.
    """
    tokens = Tokens(settings.secret_key.get_secret_value())
    catalogs: list[Catalog] = [NativeCatalog(sessions, settings, tokens, store)]
    if settings.superset_url is not None:
        catalogs.append(SupersetCatalog(settings))
    if settings.pages_file is not None:
        catalogs.append(PagesCatalog(settings))
    return {catalog.name: catalog for catalog in catalogs}


def hosts_of(settings: Settings, catalogs: Mapping[str, Catalog]) -> frozenset[str]:
    """HOST:PORT pairs that the renderer's browser may reach: those of the catalogs, and those of the settings."""
    return frozenset(settings.egress_hosts).union(*(catalog.hosts for catalog in catalogs.values()))
