"""Data-changed events: new versions of the data, and a run that warms exactly what depends on them.

Version, event and run are written in one transaction: an event counts once, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from shared.catalog.lineage import Affected, Name, data_changed
from shared.errors import InvalidInput
from shared.metadata.engine import writing
from shared.metadata.models import DataEvent, WarmupRun
from shared.targets import canonical_json
from shared.warmup.inputs import Form
from shared.warmup.runs import DATA, PICTURES, From, Order
from shared.warmup.strategies import NATIVE, Changed, IdsForm

Depends = Callable[[Session], Affected]  # in the transaction of the event
MAX_TABLES = 1000


class EventForm(Form):
    """The body of an event."""

    catalog: str = Field(NATIVE, max_length=50)
    database: str = Field(min_length=1, max_length=250)
    tables: list[str] = Field(min_length=1, max_length=MAX_TABLES)
    db_schema: str | None = Field(None, alias="schema", min_length=1, max_length=100)
    id: str | None = Field(None, min_length=1, max_length=200)
    ignore_unknown: bool = False
    warm: bool = True

    @property
    def names(self) -> list[str]:
        """The tables, each with the schema, unless it brings one."""
        schema = self.db_schema
        return [f"{schema}.{table}" if schema and "." not in table else table for table in self.tables]


@dataclass(frozen=True, slots=True)
class Taken:
    """What an event came to. `run` is what is to be published: None when it came before, or nothing depends on it."""

    answer: dict[str, Any]
    run: WarmupRun | None = None


def before(sessions: sessionmaker[Session], event_id: str, form: EventForm) -> Taken | None:
    """What an event came to that was taken already: nothing has to be asked anew. Raises as `take`."""
    with sessions() as session:
        found = session.get(DataEvent, event_id)
    return _again(found, _request(form)) if found is not None else None


def of_ours(form: EventForm, definitions: Mapping[Name, str]) -> Depends:
    """What depends on tables of the native catalog, new versions included. `definitions`: SQL of the database's views.

    It raises NotFound (database), InvalidInput (tables).
    """
    return lambda session: data_changed(
        session, form.database, form.names, definitions, ignore_unknown=form.ignore_unknown
    )


def take(
    sessions: sessionmaker[Session],
    event_id: str,
    form: EventForm,
    depends: Depends,
    *,
    username: str,
    correlation_id: str,
    budget_s: int,
) -> Taken:
    """Raises what `depends` raises, InvalidInput for an id that was used for another event, DatabaseUnavailable."""
    request = _request(form)
    try:
        with writing(sessions) as session:
            taken = session.get(DataEvent, event_id)
            if taken is not None:
                return _again(taken, request)
            affected = depends(session)
            run = _run(form, affected, username, correlation_id, budget_s) if form.warm else None
            answer = _answer(event_id, affected, run)
            session.add(DataEvent(id=event_id, username=username, request=request, answer=answer))
            if run is not None:
                session.add(run)
    except IntegrityError:  # the same event, in the same instant: it was first
        again = before(sessions, event_id, form)
        if again is None:
            raise
        return again
    return Taken(answer, run)


def _request(form: EventForm) -> dict[str, Any]:
    return form.model_dump(mode="json", by_alias=True, exclude={"id"})


def _again(taken: DataEvent, request: dict[str, Any]) -> Taken:
    if canonical_json(taken.request) != canonical_json(request):
        raise InvalidInput("This id was used for another event; give each event an id of its own.", field="id")
    return Taken({**taken.answer, "repeated": True})


def _run(form: EventForm, affected: Affected, username: str, correlation_id: str, budget_s: int) -> WarmupRun | None:
    if not affected.charts:
        return None
    ids = IdsForm(dashboards=list(affected.dashboards), charts=list(affected.charts), catalog=form.catalog)
    # Our own keys hold the data's version: what is warm under them is warm. Elsewhere it has to be read anew.
    forced = form.catalog != NATIVE
    order = Order(Changed(ids), (DATA, PICTURES), From.EVENT, correlation_id, budget_s, username, force=forced)
    return order.row()


def _answer(event_id: str, affected: Affected, run: WarmupRun | None) -> dict[str, Any]:
    return {
        "id": event_id,
        "repeated": False,
        "datasets": list(affected.datasets),
        "charts": [int(number) for number in affected.charts],
        "dashboards": [int(number) for number in affected.dashboards],
        "unknown": list(affected.unknown),
        "run_id": run.id if run is not None else None,
    }
