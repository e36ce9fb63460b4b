"""The gateway's application: every route, its policy, and every middleware, on one screen."""

from __future__ import annotations

from typing import Any

from falcon.asgi import App, Request, Response

from services.api import errors
from services.api.authentication import Authentication
from services.api.endings import ENDINGS
from services.api.middleware import Correlation, SecurityHeaders
from services.api.policy import Policy
from services.api.repeats import RepeatingApp
from services.api.resources.chart_data import ChartData, ChartDataLater
from services.api.resources.data import ChartRows, DashboardFilters, Permalinks
from services.api.resources.databases import ConnectionTest, Databases, Schemas, TableMetadata, Tables
from services.api.resources.events import DataChanged
from services.api.resources.health import Healthz, Metrics, Readyz
from services.api.resources.lists import OneTarget, Targets
from services.api.resources.openapi import Docs, OpenApi
from services.api.resources.operations import (
    Curves,
    DeadLetters,
    OneRender,
    Operations,
    OperationsPage,
    Renders,
    RenderScreenshot,
)
from services.api.resources.ops_actions import (
    CancelRender,
    PurgeDeadLetters,
    QueueMessages,
    ReplayDeadLetters,
    RetryRender,
    RunSchedule,
    SchedulePause,
    StopRun,
)
from services.api.resources.ops_queries import OpsQueries, OpsQuery, OpsStopQuery
from services.api.resources.pages import Gallery, Permalink, SqlPage, TargetPage
from services.api.resources.queries import History, OneQuery, QueryEvents, StopQuery, UpdatedSince
from services.api.resources.schedules import OneSchedule, Schedules
from services.api.resources.screenshots import CacheChartScreenshot, CacheDashboardScreenshot, Screenshot
from services.api.resources.security import ApiLogin, CsrfToken, LoginPage, Logout, Me
from services.api.resources.sqllab import Execute, Export, Results
from services.api.resources.static import Static
from services.api.resources.thumbnails import Thumbnail, ThumbnailStatus
from services.api.resources.warm_up_cache import WarmUpChart, WarmUpDataset
from services.api.resources.warmup import Backoffs, DatabasePause, Pauses, Strategies, WarmupRun, WarmupRuns
from services.api.services import Services
from shared.targets import TargetKind

Route = tuple[str, Any, Policy]
API = "/api/v1"
DASHBOARD_SCREENSHOT = "cache_dashboard_screenshot"


def routes(services: Services) -> list[Route]:
    """Path template (a trailing slash is accepted everywhere), resource, who may use it."""
    chart, dashboard = TargetKind.CHART, TargetKind.DASHBOARD
    return [
        *_pages(services),
        ("/healthz", Healthz(), Policy.ANYONE),
        ("/readyz", Readyz(services), Policy.ANYONE),
        ("/metrics", Metrics(services), Policy.NEAR),
        (f"{API}/_openapi", OpenApi(), Policy.ANYONE),
        (f"{API}/me", Me(services), Policy.PEOPLE),
        (f"{API}/security/login", ApiLogin(services), Policy.ANYONE),
        (f"{API}/security/csrf_token", CsrfToken(services), Policy.PEOPLE),
        (f"{API}/chart", Targets(services, chart), Policy.PEOPLE),
        (f"{API}/chart/{{target_id}}", OneTarget(services, chart), Policy.PEOPLE),
        (f"{API}/chart/{{target_id}}/data", ChartRows(services), Policy.PAGES),
        (f"{API}/chart/{{target_id}}/thumbnail", ThumbnailStatus(services, chart), Policy.PEOPLE),
        (f"{API}/chart/{{target_id}}/thumbnail/{{digest}}", Thumbnail(services, chart), Policy.PEOPLE),
        (f"{API}/chart/{{target_id}}/cache_screenshot", CacheChartScreenshot(services), Policy.PEOPLE),
        (f"{API}/chart/{{target_id}}/screenshot/{{cache_key}}", Screenshot(services, chart), Policy.PEOPLE),
        (f"{API}/dashboard", Targets(services, dashboard), Policy.PEOPLE),
        (f"{API}/dashboard/{{target_id}}", OneTarget(services, dashboard), Policy.PEOPLE),
        (f"{API}/dashboard/{{target_id}}/filters", DashboardFilters(services), Policy.PAGES),
        (f"{API}/dashboard/{{target_id}}/permalink", Permalinks(services), Policy.PEOPLE),
        (f"{API}/dashboard/{{target_id}}/thumbnail", ThumbnailStatus(services, dashboard), Policy.PEOPLE),
        (f"{API}/dashboard/{{target_id}}/thumbnail/{{digest}}", Thumbnail(services, dashboard), Policy.PEOPLE),
        (f"{API}/dashboard/{{target_id}}/{DASHBOARD_SCREENSHOT}", CacheDashboardScreenshot(services), Policy.PEOPLE),
        (f"{API}/dashboard/{{target_id}}/screenshot/{{cache_key}}", Screenshot(services, dashboard), Policy.PEOPLE),
        (f"{API}/chart/data", ChartData(services), Policy.PEOPLE),
        (f"{API}/chart/data/{{cache_key}}", ChartDataLater(services), Policy.PEOPLE),
        *_warming(services),
        *_queries(services),
        *_operations(services),
    ]


def _pages(services: Services) -> list[Route]:
    """For people's browsers."""
    return [
        ("/", Gallery(services), Policy.PEOPLE),
        ("/chart/{target_id}", TargetPage(services, TargetKind.CHART), Policy.PAGES),
        ("/dashboard/{target_id}", TargetPage(services, TargetKind.DASHBOARD), Policy.PAGES),
        ("/dashboard/p/{key}", Permalink(services), Policy.PEOPLE),
        ("/sql", SqlPage(services), Policy.PEOPLE),
        ("/login", LoginPage(services), Policy.ANYONE),
        ("/logout", Logout(services), Policy.ANYONE),
        ("/docs", Docs(services), Policy.ANYONE),
        ("/static/{path:path}", Static(services), Policy.ANYONE),
    ]


def _warming(services: Services) -> list[Route]:
    """For admins, and for programs whose token has the scope."""
    return [
        (f"{API}/events/data-changed", DataChanged(services), Policy.EVENTS),
        (f"{API}/chart/warm_up_cache", WarmUpChart(services), Policy.WARM_UP),
        (f"{API}/dataset/warm_up_cache", WarmUpDataset(services), Policy.WARM_UP),
        (f"{API}/warmup/strategies", Strategies(services), Policy.WARM_UP),
        (f"{API}/warmup/runs", WarmupRuns(services), Policy.WARM_UP),
        (f"{API}/warmup/runs/{{run_id}}", WarmupRun(services), Policy.WARM_UP),
        (f"{API}/warmup/runs/{{run_id}}/stop", StopRun(services), Policy.WARM_UP),
        (f"{API}/warmup/pauses", Pauses(services), Policy.WARM_UP),
        (f"{API}/warmup/pauses/{{database}}", DatabasePause(services), Policy.WARM_UP),
        (f"{API}/warmup/backoffs", Backoffs(services), Policy.WARM_UP),
        (f"{API}/schedules", Schedules(services), Policy.SCHEDULES),
        (f"{API}/schedules/{{name}}", OneSchedule(services), Policy.SCHEDULES),
        (f"{API}/schedules/{{name}}/run", RunSchedule(services), Policy.SCHEDULES),
        (f"{API}/schedules/{{name}}/pause", SchedulePause(services), Policy.SCHEDULES),
    ]


def _operations(services: Services) -> list[Route]:
    """For admins, and for programs whose token has the scope; to others they do not exist."""
    return [
        ("/ops", OperationsPage(services), Policy.OPS),
        (f"{API}/ops", Operations(services), Policy.OPS),
        (f"{API}/ops/curves", Curves(services), Policy.OPS),
        (f"{API}/ops/renders", Renders(services), Policy.OPS),
        (f"{API}/ops/renders/{{render_id}}", OneRender(services), Policy.OPS),
        (f"{API}/ops/renders/{{render_id}}/screenshot", RenderScreenshot(services), Policy.OPS),
        (f"{API}/ops/renders/{{render_id}}/retry", RetryRender(services), Policy.OPS),
        (f"{API}/ops/renders/{{render_id}}/cancel", CancelRender(services), Policy.OPS),
        (f"{API}/ops/queries", OpsQueries(services), Policy.OPS),
        (f"{API}/ops/queries/{{query_id}}", OpsQuery(services), Policy.OPS),
        (f"{API}/ops/queries/{{query_id}}/stop", OpsStopQuery(services), Policy.OPS),
        (f"{API}/ops/queues/{{queue}}/messages", QueueMessages(services), Policy.OPS),
        (f"{API}/ops/queues/{{queue}}/dead_letters", DeadLetters(services), Policy.OPS),
        (f"{API}/ops/queues/{{queue}}/dead_letters/replay", ReplayDeadLetters(services), Policy.OPS),
        (f"{API}/ops/queues/{{queue}}/dead_letters/{{letter_id}}", PurgeDeadLetters(services), Policy.OPS),
    ]


def _queries(services: Services) -> list[Route]:
    """SQL Lab: everybody sees their own queries, in databases that they may query."""
    return [
        (f"{API}/sqllab/execute", Execute(services), Policy.PEOPLE),
        (f"{API}/sqllab/results", Results(services), Policy.PEOPLE),
        (f"{API}/sqllab/export/{{client_id}}", Export(services), Policy.PEOPLE),
        (f"{API}/database", Databases(services), Policy.PEOPLE),
        (f"{API}/database/test_connection", ConnectionTest(services), Policy.OPS),
        (f"{API}/database/{{database_id}}/schemas", Schemas(services), Policy.PEOPLE),
        (f"{API}/database/{{database_id}}/tables", Tables(services), Policy.PEOPLE),
        (f"{API}/database/{{database_id}}/table_metadata", TableMetadata(services), Policy.PEOPLE),
        (f"{API}/query", History(services), Policy.PEOPLE),
        (f"{API}/query/updated_since", UpdatedSince(services), Policy.PEOPLE),
        (f"{API}/query/events", QueryEvents(services), Policy.PEOPLE),
        (f"{API}/query/stop", StopQuery(services), Policy.PEOPLE),
        (f"{API}/query/{{query_id}}", OneQuery(services), Policy.PEOPLE),
    ]


class Lifespan:
    """Opens the services with the application and closes them with it."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def process_startup(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        scope.get("state", {}).setdefault(ENDINGS, []).append(self._services.querying.watch.hang_up)
        await self._services.open()

    async def process_shutdown(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        await self._services.close()


def create_app(services: Services) -> App[Request, Response]:
    """The ASGI application. Middleware runs top down on the request, bottom up on the answer."""
    table = routes(services)
    middleware: list[Any] = [
        Lifespan(services),
        Correlation(),  # outermost: it times and logs everything below
        SecurityHeaders(https=services.settings.base_url.startswith("https://")),
        Authentication(services, {template: policy for template, _, policy in table}),
    ]
    app = RepeatingApp(services.pictures, middleware=middleware)
    app.req_options.strip_url_path_trailing_slash = True
    app.resp_options.secure_cookies_by_default = False  # the cookie itself says when: base_url may be plain http
    for template, resource, _ in table:
        app.add_route(template, resource)
    errors.install(app, services.pages.templates.error_page)
    return app
