"""The JSON shapes of queries, spelled as Superset's SQL Lab spells them. Times are milliseconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.api.documents import stamp
from shared.identity import Principal
from shared.metadata.models import Query

# Superset's words for kinds of errors, by our codes; what is not here is an error of the database.
_ERROR_TYPES = {
    "query_timed_out": "SQLLAB_TIMEOUT_ERROR",
    "invalid_input": "INVALID_PAYLOAD_SCHEMA_ERROR",
    "query_refused": "QUERY_SECURITY_ACCESS_ERROR",
    "too_many_requests": "TOO_MANY_REQUESTS_ERROR",
    "worker_lost": "ASYNC_WORKERS_ERROR",
    "broker_unavailable": "ASYNC_WORKERS_ERROR",
    "result_too_large": "RESULT_TOO_LARGE_ERROR",
    "results_gone": "RESULTS_BACKEND_ERROR",
    "results_unavailable": "RESULTS_BACKEND_ERROR",
}


def errors_of(code: str, reason: str, extra: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """An error as Superset's front end reads it; none without a reason."""
    if not reason:
        return []
    kind = _ERROR_TYPES.get(code, "GENERIC_DB_ENGINE_ERROR")
    return [{"message": reason, "error_type": kind, "level": "error", "extra": {"code": code, **(extra or {})}}]


def query_document(query: Query, principal: Principal) -> dict[str, Any]:
    """A query as Superset's front end keeps it: its `id` is the client's, `queryId` ours."""
    position = query.extra.get("position")
    return {
        "id": query.client_id,
        "queryId": query.id,
        "serverId": query.id,
        "dbId": query.database_id,
        "db": query.database_name,
        "catalog": query.catalog,
        "schema": query.schema,
        "sql": query.sql,
        "executedSql": _executed(query, principal),
        "limit": query.row_limit,
        "limitingFactor": query.limiting_factor,
        "state": query.status,
        "progress": query.progress,
        "rows": query.rows,
        "resultsKey": query.results_key,
        "errorMessage": query.reason or None,
        "startDttm": _ms(query.created_at),
        "endDttm": _ms(query.ended_at),
        "changed_on": _iso(query.changed_at),
        "tab": query.tab,
        "sqlEditorId": query.sql_editor_id,
        "user": query.username,
        "userId": query.username,
        "ctas": False,
        "tempSchema": None,
        "tempTable": None,
        "trackingUrl": None,
        "chartId": chart_of(query),
        "extra": {
            **query.extra,
            "progress": f"{query.statements_done} of {query.statements} statements" if query.statements else None,
            "run_async": query.run_async,
            "errors": errors_of(query.code, query.reason, {"position": position} if position else None),
        },
    }


def query_record(query: Query, principal: Principal) -> dict[str, Any]:
    """A query as Superset's `/query/{id}` and `/query/` show it."""
    return {
        "id": query.id,
        "client_id": query.client_id,
        "user": {"username": query.username},
        "database": {"id": query.database_id, "database_name": query.database_name},
        "catalog": query.catalog,
        "schema": query.schema,
        "sql": query.sql,
        "executed_sql": _executed(query, principal),
        "select_sql": None,
        "limit": query.row_limit,
        "status": query.status,
        "progress": query.progress,
        "rows": query.rows,
        "results_key": query.results_key,
        "error_message": query.reason or None,
        "code": query.code or None,
        "tab_name": query.tab,
        "sql_editor_id": query.sql_editor_id,
        "start_time": _ms(query.created_at),
        "start_running_time": _ms(query.started_at),
        "end_time": _ms(query.ended_at),
        "end_result_backend_time": _ms(query.ended_at) if query.results_key else None,
        "changed_on": _iso(query.changed_at),
        "select_as_cta": False,
        "select_as_cta_used": False,
        "tmp_schema_name": None,
        "tmp_table_name": None,
        "tracking_url": None,
        "chart_id": chart_of(query),
        "correlation_id": query.correlation_id,
        "extra": query.extra,
    }


def _executed(query: Query, principal: Principal) -> str | None:
    """What ran, unless the text of row-level rules is, or may be, part of it: that is for administrators."""
    return query.executed_sql if principal.is_admin or query.ruled is False else None


def chart_of(query: Query) -> int | None:
    """The chart whose rows it reads; None for a query that somebody wrote."""
    return int(query.chart["chart_id"]) if query.chart else None


def _ms(seconds: float | None) -> float | None:
    return round(seconds * 1000, 3) if seconds else None


def _iso(seconds: float) -> str | None:
    return stamp(datetime.fromtimestamp(seconds, UTC))
