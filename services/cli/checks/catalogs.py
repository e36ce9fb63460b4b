"""Where charts and dashboards come from, the databases behind them, and the hosts that their pages need."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from sqlalchemy import select

from services.cli.checks.database import opened
from services.cli.checks.finding import Finding, fail, ok, warn
from shared.catalog import hosts_of, open_catalogs
from shared.catalog.port import Catalog, host_port
from shared.engines import open_engine
from shared.errors import VitrineError
from shared.identity import OPERATOR
from shared.metadata.engine import sessions
from shared.metadata.models import Database
from shared.remedies import REMEDIES
from shared.settings import Settings
from shared.store.memory import Memory
from shared.targets import TargetKind

CONNECT_S = 5


def catalogs(settings: Settings) -> Iterator[Finding]:
    """Each is asked what it holds; a Superset with the reading account, which signs in for it."""
    with opened(settings) as engine:
        for catalog in open_catalogs(settings, sessions(engine), Memory()).values():
            yield _asked(catalog)


def _asked(catalog: Catalog) -> Finding:
    name = f"catalog:{catalog.name}"
    try:
        counts = [f"{catalog.list(OPERATOR, kind, limit=1)[0]} {kind}s" for kind in TargetKind]
    except VitrineError as error:
        return fail(name, error.message, REMEDIES[error.code])
    finally:
        catalog.close()
    return ok(name, ", ".join(counts))


def databases(settings: Settings) -> Iterator[Finding]:
    """Those that charts and people query; a key that does not open their URLs is told by the first of them."""
    with opened(settings) as engine, sessions(engine)() as session:
        found = session.scalars(select(Database).order_by(Database.name)).all()
    for database in found:
        name = f"database:{database.name}"
        try:
            tested = open_engine(database, settings).test()
        except VitrineError as error:
            yield fail(name, error.message, REMEDIES[error.code])
        else:
            answered = f"{tested.server} in {tested.seconds * 1000:.0f} ms"
            mend = "Let the catalog's URL name a user who may only read what charts and people query."
            yield warn(name, f"{answered}, but {tested.warning}", mend) if tested.warning else ok(name, answered)


def hosts(settings: Settings) -> Iterator[Finding]:
    """Whatever the renderer's browser may reach should be there; the gateway has a check of its own."""
    with opened(settings) as engine:
        catalogs = open_catalogs(settings, sessions(engine), Memory())
        wanted = hosts_of(settings, catalogs) - {host_port(settings.renderer_url)}
        for catalog in catalogs.values():
            catalog.close()
    for place in sorted(wanted):
        host, _, port = place.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
        except OSError as error:
            mend = "Start it, open the way from this machine to it, or take it out of the pages file or the settings."
            yield warn(f"host:{place}", f"cannot be reached: {error.strerror or error}", mend)
        else:
            yield ok(f"host:{place}", "can be reached")
