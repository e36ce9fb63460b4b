"""What a person can do about each error, by its code: in docs/reference/errors.md and in `vitrine why`.

A code that is missing here, or that no error has, stops `make docs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

REMEDIES: Final[Mapping[str, str]] = {
    "invalid_input": "Correct the field that the message names.",
    "not_found": "Check the id and as whom you ask; ask an owner or the administrator for the role that opens it.",
    "unauthenticated": "Log in again.",
    "forbidden": "Send the request from our own pages, or with a Bearer token of somebody who may do this.",
    "too_many_requests": "Wait for the seconds in `Retry-After`.",
    "unknown_version": "Upgrade the services that are older, then ask again.",
    "executor_not_found": "Give the target an owner, or add `FIXED:<user name>` to `VITRINE_THUMBNAIL_EXECUTORS`.",
    "query_refused": "Change the SQL: tables that you may read, and functions that are listed.",
    "query_failed": "Run the query as the message says; mend it, or make it cheaper (see `VITRINE_QUERY_TIMEOUT_S`).",
    "query_timed_out": "Make the query cheaper, run it in the background, or raise `query_timeout_s` of its database.",
    "query_cancelled": "Run it again; if you did not stop it, ask the operator of the database.",
    "query_too_costly": "Read less (a narrower filter, an index), or raise `max_cost` of its database.",
    "worker_lost": "Run it again; if that worker dies again, look at its log and its memory.",
    "secret_unreadable": "Put the key that it was written with last in `VITRINE_DATABASE_KEYS`.",
    "chart_failed": "Open the page as the executor; the chart shows the same reason there.",
    "navigation_failed": "See that the renderer reaches the gateway at `VITRINE_INTERNAL_URL` or `VITRINE_BASE_URL`.",
    "page_refused": "Open the address as the executor; it does not exist, or they may not see it.",
    "login_page": "See that gateway and renderer have the same `VITRINE_SECRET_KEY`, and that the executor is active.",
    "egress_denied": "Add the HOST:PORT that the message names to `VITRINE_EGRESS_HOSTS`, if pages should reach it.",
    "not_ready": "Mend what the message names, or give it more time (`VITRINE_RENDER_DEADLINE_S`).",
    "deadline_exceeded": "Add renderers, or ask for less at once.",
    "not_kept": "Is Memcached full (evictions), or was it restarted meanwhile? Give it more memory (`-m`).",
    "cancelled": "Ask again, if it is wanted after all.",
    "blank_picture": "Force a new render; if it comes again, run `vitrine doctor` on the renderer.",
    "browser_crashed": "Look at the renderer's memory, and at `VITRINE_BROWSER_MEMORY_MIB`.",
    "browser_unavailable": "Run `vitrine doctor` on the renderer; if it is well, add renderers or threads.",
    "results_gone": "Run the query again; if it comes often, give the results backend more memory or time.",
    "result_too_large": "Ask for fewer rows or columns, or raise `VITRINE_RESULTS_MAX_MIB`.",
    "processes_disagree": "Finish the upgrade; give gateways and query processes the same `VITRINE_DATA_TTL_S`.",
    "broker_unavailable": "See that RabbitMQ runs, has disk space, and is what `VITRINE_BROKER_URL` names.",
    "store_unavailable": "See that Memcached runs and `VITRINE_STORE_URL` names it; on `disk://`, that there is space.",
    "results_unavailable": "See that what `VITRINE_RESULTS_URL` names runs, and has space for the rows.",
    "database_unavailable": "See that the database runs; for our own, run `vitrine db upgrade` after each upgrade.",
    "catalog_unavailable": "See that the catalog's origin answers.",
    "catalog_sign_in": "Correct the password or key that the message names; for Superset see docs/superset.md.",
    "internal": "Look for the correlation id in the log, and report the fault with it.",
}
