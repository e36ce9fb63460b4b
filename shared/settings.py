"""All settings, in one place: typed, frozen, documented. The only reader of the environment.

Each field is the environment variable `VITRINE_<FIELD NAME>`, or the text of the file `VITRINE_<FIELD NAME>_FILE`, or
a line of the TOML file `VITRINE_SETTINGS_FILE`, in that order. Durations say their unit in the name.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from shared.errors import InvalidInput
from shared.identity import parse_executors
from shared.network_settings import NetworkSettings
from shared.operations_settings import OperationsSettings
from shared.query_settings import QuerySettings
from shared.results_settings import ResultsSettings, mask
from shared.setting_files import FileSource, file_names
from shared.setting_types import (
    EMBEDDED_BROKER,
    BrokerUrl,
    DatabaseUrl,
    Executors,
    Hosts,
    Passwords,
    Place,
    SizeSetting,
    StoreUrl,
    StrongSecret,
    Url,
)
from shared.superset_settings import SupersetSettings
from shared.targets import Size

PREFIX = "VITRINE_"


class Settings(QuerySettings, ResultsSettings, OperationsSettings, NetworkSettings, SupersetSettings, BaseSettings):
    """Frozen; build it once per process with `load()` and hand it on."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", arbitrary_types_allowed=True)

    # Secrets and places
    secret_key: StrongSecret = Field(
        description="Signs log-ins and the renderer's sign-in; 32 characters or more, the same for every service."
    )
    state_dir: Path = Field(Path("var"), description="Folder for SQLite files and the disk store.")
    base_url: Url = Field("http://127.0.0.1:8088", description="Where people reach the gateway.")
    internal_url: Url | None = Field(None, description="Where the renderer reaches the gateway, if not at base_url.")
    bind: Place = Field("127.0.0.1:8088", description="HOST:PORT on which the gateway listens.")
    metadata_url: DatabaseUrl = Field(
        "", description="SQLAlchemy URL of the metadata database; empty: SQLite in state_dir."
    )
    broker_url: BrokerUrl = Field(
        EMBEDDED_BROKER, description="amqp://… of RabbitMQ, or embedded:// for one process tree without a broker."
    )
    store_url: StoreUrl = Field(
        "disk://", description="memcached://HOST:PORT[,HOST:PORT…], disk:// (in state_dir) or memory://."
    )

    # Pictures
    store_prefix: str = Field(
        "vitrine_thumbnails_", max_length=100, pattern=r"^[!-~]*$", description="Prefix of every key in the store."
    )
    picture_ttl_s: int = Field(30 * 86_400, ge=60, description="How long the last good picture is kept.")
    picture_fresh_s: int = Field(
        7 * 86_400,
        ge=1,
        description="How long a picture counts as fresh; after that it is served marked stale and refreshed.",
    )
    failed_fresh_s: int = Field(
        900, ge=1, description="The same for a picture that shows a failed chart: its query may have timed out."
    )
    error_retry_s: int = Field(60, ge=1, description="How soon after an Error a request may start a new render.")
    dashboard_window: SizeSetting = Field(Size(1600, 1200), description="Browser window for dashboards.")
    chart_window: SizeSetting = Field(Size(800, 600), description="Browser window for charts.")
    dashboard_thumbnail: SizeSetting = Field(Size(800, 600), description="Size of a dashboard's thumbnail.")
    chart_thumbnail: SizeSetting = Field(Size(800, 600), description="Size of a chart's thumbnail.")
    thumbnail_format: Literal["png", "webp"] = Field(
        "png", description="Format of thumbnails; Superset's front end takes either."
    )
    thumbnail_executors: Executors = Field(
        parse_executors("CURRENT_USER"),
        description="As whom thumbnails are rendered; the first that resolves wins. FIXED:name for a fixed user.",
    )

    # Rendering
    render_time_limit_s: float = Field(
        300, gt=1, description="Dramatiq's time limit of one render; the deadline is shorter, see render_deadline_s."
    )
    render_deadline_s: float = Field(285, gt=0, description="From publishing to the stored picture, queueing included.")
    render_threads: int = Field(
        2,
        ge=1,
        le=64,
        description="Renders at once in a worker process for somebody who waits; as many others besides.",
    )
    browser_renders: int = Field(500, ge=1, description="Renders after which a browser is recycled.")
    browser_memory_mib: int | None = Field(
        None,
        ge=200,
        description="Memory after which a browser, with its children, is recycled; a renderer process has two. Unset: "
        "a third of what the machine or its container has, from 1500 to 4000.",
    )
    browser_contexts: int = Field(8, ge=1, description="Warm contexts (one per executor) kept by a browser.")
    chromium: Path | None = Field(
        None, description="The browser to use; empty: an installed one, then Playwright's own."
    )
    chromium_sandbox: Literal["auto", "on", "off"] = Field(
        "auto", description="auto: on wherever it can run, else off with a warning."
    )
    webgl_driver: Literal["auto", "chromium"] | Path = Field(
        "auto",
        description="What draws WebGL (maps): auto: Mesa's software driver where it is installed, else Chromium's own; "
        "chromium: its own; or the manifest of a Vulkan driver.",
    )
    egress_hosts: Hosts = Field((), description="HOST:PORT pairs that pages may reach besides the gateway.")

    # Pages of other applications
    pages_file: Path | None = Field(
        None, description="YAML file, or a folder of them, that lists pages of any web application; see docs/pages.md."
    )
    pages_secrets: Passwords = Field(
        {}, description='What `${NAME}` stands for in the sign-ins of that file: `{"NAME": "…"}`.'
    )

    # Data
    query_timeout_s: float = Field(30, gt=0, le=3600, description="How long the query of one chart may take.")
    data_ttl_s: int = Field(
        86_400,
        ge=0,
        description="How long the rows of a chart count as fresh, unless its database, dataset or itself says "
        "otherwise; 0: never kept.",
    )
    data_stale_s: int = Field(
        3600, ge=0, description="How long after that they are still served, at once, while they are read anew."
    )

    # Warm-up
    warm_threads: int = Field(
        4, ge=0, le=64, description="Warm-ups in hand in one renderer's warming process; 0: it has none."
    )
    warm_concurrency: int = Field(
        2, ge=1, le=64, description="Queries of warm-up at once in one database, in the whole fleet, unless it says."
    )
    warm_budget_s: int = Field(900, ge=1, le=86_400, description="How long a warm-up run may take, unless it says.")

    # Gateway
    workers: int = Field(2, ge=1, le=64, description="gunicorn worker processes of the gateway.")
    token_ttl_s: int = Field(8 * 3600, ge=60, description="How long a log-in holds.")
    login_attempts_per_minute: int = Field(
        10, ge=1, description="Log-in attempts per minute, per user name and per address."
    )
    access_cache_s: float = Field(
        5, ge=0, le=300, description="How long the gateway may remember who may see what, and digests."
    )
    retry_after_s: int = Field(2, ge=1, description="Retry-After while a picture is being made.")

    # Scheduler
    refresh_interval_s: float = Field(60, gt=0, description="How often the scheduler looks for pictures to refresh.")
    refresh_ahead_s: int = Field(3600, ge=0, description="How long before it goes stale a picture is refreshed.")
    schedules_file: Path | None = Field(
        None, description="YAML file with warm-up schedules; it is followed while the scheduler runs."
    )
    lease_s: float = Field(6, gt=1, description="How long the scheduler's lead lasts without renewal.")

    # Retention
    retention_interval_s: float = Field(86_400, gt=0, description="How often old rows are removed.")
    keep_views_days: int = Field(180, ge=1, description="How long the view log is kept; usual_visitors learns from it.")
    keep_warmups_days: int = Field(
        30, ge=1, description="How long warm-up runs with their outcomes, fires and data-changed events are kept."
    )
    keep_render_records_days: int = Field(
        90, ge=1, description="How long render records are kept; never shorter than picture_ttl_s."
    )

    # Observability
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line that is written."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: console on a terminal, else JSON."
    )
    metrics_bind: str = Field("127.0.0.1", description="Address on which renderer and scheduler serve /metrics.")
    renderer_metrics_port: int = Field(9808, ge=0, le=65_535, description="Port of the renderer's /metrics; 0: none.")
    warming_metrics_port: int = Field(
        9810, ge=0, le=65_535, description="Port of the warming process's /metrics; 0: none."
    )
    scheduler_metrics_port: int = Field(9809, ge=0, le=65_535, description="Port of the scheduler's /metrics; 0: none.")

    @model_validator(mode="after")
    def _budget(self) -> Settings:
        if self.render_deadline_s >= self.render_time_limit_s:
            raise ValueError(
                "render_deadline_s: must be shorter than render_time_limit_s, which cuts a render without saying why"
            )
        return self

    @model_validator(mode="after")
    def _connections(self) -> Settings:
        threads = self.query_short_threads + self.query_long_threads
        if threads > self.query_connections:
            raise ValueError(
                f"query_connections: must be {threads} at least, one for each of query_short_threads and "
                "query_long_threads: a query that finds none fails"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = os.environ.get(f"{PREFIX}SETTINGS_FILE")
        sources = (init_settings, env_settings, FileSource(settings_cls, os.environ, PREFIX))
        return (*sources, TomlConfigSettingsSource(settings_cls, Path(file))) if file else sources

    @property
    def metadata(self) -> str:
        """The effective SQLAlchemy URL of the metadata database."""
        return self.metadata_url or f"sqlite:///{self.state_dir.resolve() / 'metadata.sqlite'}"

    @property
    def renderer_url(self) -> str:
        """Where the renderer's browser finds the gateway."""
        return self.internal_url or self.base_url

    @property
    def embedded(self) -> bool:
        return self.broker_url == EMBEDDED_BROKER

    def masked(self) -> dict[str, str]:
        """Effective settings for the log: secrets and passwords inside URLs are hidden."""
        from sqlalchemy.engine import make_url

        shown = {
            name: ",".join(map(str, value)) if isinstance(value, tuple | frozenset) else str(value)
            for name, value in self
        }
        for name in ("metadata_url", "broker_url"):
            if shown[name]:
                shown[name] = make_url(shown[name]).render_as_string(hide_password=True)
        return shown | {"results_url": mask(shown["results_url"])}


def load(**overrides: Any) -> Settings:
    """Settings from overrides, environment and file.

    Raises InvalidInput with one line that names the variable at fault, and never its value when it is a secret.
    """
    file = os.environ.get(f"{PREFIX}SETTINGS_FILE")
    if file and not Path(file).is_file():
        raise InvalidInput(f"{PREFIX}SETTINGS_FILE names {file}, which is no file.", field="settings_file")
    unknown = sorted(
        name for name in os.environ if name.startswith(PREFIX) and name.removeprefix(PREFIX).lower() not in _KNOWN
    )
    if unknown:
        raise InvalidInput(
            f"{unknown[0]} is no setting of Vitrine; see docs/reference/settings.md for their names.", field=unknown[0]
        )
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else first["msg"].removeprefix("Value error, ").split(":")[0]
        why = first["msg"].removeprefix("Value error, ").removeprefix(f"{name}: ")
        if first["type"] == "missing":
            why = "is not set" + ("; make one with: openssl rand -hex 32" if name == "secret_key" else "")
        raise InvalidInput(f"{PREFIX}{name.upper()}: {why}", field=name) from None


def environment() -> dict[str, str]:
    """A copy of the environment, for child processes that are given settings of their own."""
    return dict(os.environ)


_KNOWN = {*Settings.model_fields, *file_names(Settings.model_fields), "settings_file"}
