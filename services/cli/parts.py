"""What most commands open: settings, logs, the metadata database, catalogs and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session, sessionmaker

from shared import logs
from shared.catalog import open_catalogs
from shared.catalog.port import Catalog
from shared.metadata.engine import open_metadata, sessions
from shared.settings import Settings, load
from shared.store import open_store, pictures_in
from shared.store.pictures import Pictures
from shared.store.port import KeyValue


@dataclass(frozen=True, slots=True)
class Parts:
    settings: Settings
    sessions: sessionmaker[Session]
    catalogs: Mapping[str, Catalog]
    store: KeyValue
    pictures: Pictures


def command_settings() -> Settings:
    """Settings for a command a person types: logs are warnings only, unless VITRINE_LOG_LEVEL says otherwise."""
    settings = load()
    if "log_level" not in settings.model_fields_set:
        settings = settings.model_copy(update={"log_level": "warning"})
    logs.configure(settings, "cli")
    return settings


def open_parts(settings: Settings) -> Parts:
    """Raises DatabaseUnavailable, or StoreUnavailable at the first use."""
    factory = sessions(open_metadata(settings))
    store = open_store(settings, side="renderer")
    return Parts(settings, factory, open_catalogs(settings, factory, store), store, pictures_in(store, settings))
