"""What pipelines tell us."""

from __future__ import annotations

import uuid

import structlog
from falcon.asgi import Request, Response

from services.api.authentication import principal_of
from services.api.inputs import read_object
from services.api.services import Services
from shared.errors import BrokerUnavailable, InvalidInput
from shared.warmup.events import Depends, EventForm, before, of_ours, take
from shared.warmup.inputs import fill

log = structlog.get_logger(__name__)
MAX_ID_CHARACTERS = 200


class DataChanged:
    """POST /api/v1/events/data-changed `{catalog?, database, schema?, tables, id?, ignore_unknown?, warm?}` → 202.

    The id (else the header `Idempotency-Key`, else a new one) makes it count once, however often it is sent.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_post(self, req: Request, resp: Response) -> None:
        services, form = self._services, fill(EventForm, await read_object(req))
        event_id = form.id or req.get_header("Idempotency-Key") or uuid.uuid4().hex
        if len(event_id) > MAX_ID_CHARACTERS:
            raise InvalidInput(f"The id of an event has at most {MAX_ID_CHARACTERS} characters.", field="id")
        # A repeated event asks nothing of the database that changed: it may be down by now.
        taken = await services.blocking(before, services.sessions, event_id, form)
        if taken is None:
            taken = await services.blocking(
                take,
                services.sessions,
                event_id,
                form,
                await services.blocking(self._depends, form),
                username=principal_of(req).username,
                correlation_id=req.context.correlation_id,
                budget_s=services.settings.warm_budget_s,
            )
        if taken.run is not None:
            try:
                await services.warming.warm_ups.publish(taken.run)
            except BrokerUnavailable as error:  # the event counts all the same; the scheduler sends its run later
                log.warning("warm_up_not_published", run_id=taken.run.id, reason=error.message)
        resp.status = 202
        resp.media = taken.answer
        resp.set_header("Cache-Control", "no-store")

    def _depends(self, form: EventForm) -> Depends:
        native, superset = self._services.catalog, self._services.superset
        if form.catalog == native.name:
            return of_ours(form, native.views(form.database))
        if superset is None or form.catalog != superset.name:
            known = ", ".join(one.name for one in (native, superset) if one is not None)
            raise InvalidInput(f"There is no catalog {form.catalog!r} with data; known: {known}.", field="catalog")
        affected = superset.data_changed(form.database, form.names, ignore_unknown=form.ignore_unknown)
        return lambda _: affected
