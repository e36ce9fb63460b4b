"""All tables of the metadata database."""

from shared.metadata.models.base import Base, UtcDateTime, now
from shared.metadata.models.catalog import (
    Chart,
    ChartTag,
    Dashboard,
    DashboardTag,
    Database,
    DatabaseGrant,
    Dataset,
    Permalink,
    RowLevelRule,
    Seed,
    chart_datasets,
    chart_owners,
    dashboard_charts,
    dashboard_owners,
    dataset_roles,
    rule_roles,
)
from shared.metadata.models.operations import Fire, OpenRender, RenderRecord, SchedulerLease, ViewLog
from shared.metadata.models.people import Role, User, user_roles
from shared.metadata.models.queries import Query
from shared.metadata.models.warmup import Backoff, DataEvent, Pause, WarmupOutcome, WarmupRun, WarmupSchedule
from shared.metadata.models.watch import Cancellation, Evidence, Heartbeat, Sample

__all__ = [
    "Backoff",
    "Base",
    "Cancellation",
    "Chart",
    "ChartTag",
    "Dashboard",
    "DashboardTag",
    "DataEvent",
    "Database",
    "DatabaseGrant",
    "Dataset",
    "Evidence",
    "Fire",
    "Heartbeat",
    "OpenRender",
    "Pause",
    "Permalink",
    "Query",
    "RenderRecord",
    "Role",
    "RowLevelRule",
    "Sample",
    "SchedulerLease",
    "Seed",
    "User",
    "UtcDateTime",
    "ViewLog",
    "WarmupOutcome",
    "WarmupRun",
    "WarmupSchedule",
    "chart_datasets",
    "chart_owners",
    "dashboard_charts",
    "dashboard_owners",
    "dataset_roles",
    "now",
    "rule_roles",
    "user_roles",
]
