"""The settings of queries that people write themselves: a part of `shared.settings.Settings`."""

from __future__ import annotations

from pydantic import BaseModel, Field

from shared.setting_types import Secrets


class QuerySettings(BaseModel):
    """Limits hold for databases that do not say otherwise."""

    # Databases
    database_keys: Secrets = Field(
        (),
        description="Encrypt the URLs of databases at rest, comma-separated: the first writes, the others (and "
        "secret_key) still read. Empty: secret_key.",
    )

    # SQL Lab
    sqllab_timeout_s: float = Field(
        30, gt=0, le=600, description="How long a query may take that its web request waits for."
    )
    sqllab_async_timeout_s: float = Field(
        6 * 3600,
        gt=0,
        le=7 * 86_400,
        description="How long a query in the background may take, a chart's too, unless its database says.",
    )
    sqllab_max_rows: int = Field(100_000, ge=1, description="The most rows that a query may ask for.")
    sqllab_default_limit: int = Field(1000, ge=1, description="Rows of a query that does not say how many.")
    query_connections: int = Field(
        16,
        ge=1,
        le=1000,
        description="Connections of one process to one database for such queries: query_short_threads and "
        "query_long_threads together at least; twice that where a database has a max_cost.",
    )
    sqllab_display_rows: int = Field(
        10_000, ge=1, description="Rows of one JSON answer; the results and exports hold all of them."
    )
    sqllab_listeners: int = Field(
        200, ge=1, description="Connections of one gateway process that listen to changes of queries."
    )

    # Query workers
    query_short_threads: int = Field(
        2, ge=1, le=64, description="Queries in hand of one query process for which web requests wait."
    )
    query_long_threads: int = Field(
        4,
        ge=0,
        le=64,
        description="Queries in the background in hand of one query process; 0: a renderer starts no query process, "
        "which would run short queries and read charts' rows too.",
    )
    query_chart_threads: int = Field(
        4,
        ge=1,
        le=6,
        description="Charts whose rows one query process reads in the background; each has a connection of its own. "
        "For more at once start more query processes.",
    )
    query_rate: int = Field(
        100,
        ge=1,
        description="Queries in a second, in the whole fleet: that one person asks for, that one actor begins.",
    )
    query_lease_s: float = Field(
        15, gt=1, le=600, description="How long after its worker died a query still counts as running."
    )
    query_handoff_s: float = Field(
        60,
        gt=0,
        le=1200,
        description="How long a query holds its message; after that it goes on under its lease alone. Well below "
        "RabbitMQ's consumer_timeout.",
    )
    query_metrics_port: int = Field(9811, ge=0, le=65_535, description="Port of the query process's /metrics; 0: none.")
    keep_queries_days: int = Field(90, ge=1, description="How long the history of queries is kept.")
