"""The settings of the Superset that the tests run, which imports this file as superset_config. No part of Vitrine."""

import os
from pathlib import Path

HOME = Path(os.environ["SUPERSET_HOME"])
SECRET_KEY = os.environ["SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = f"sqlite:///{HOME}/superset.db?timeout=30"
SQLALCHEMY_EXAMPLES_URI = f"sqlite:///{HOME}/examples.db"
PREVENT_UNSAFE_DB_CONNECTIONS = False  # the examples lie in SQLite
TALISMAN_ENABLED = False  # plain http on loopback
RATELIMIT_ENABLED = False  # the tests sign in often
WTF_CSRF_ENABLED = True
LOG_LEVEL = "WARNING"

_cache = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(HOME / "cache"), "CACHE_THRESHOLD": 10_000}
CACHE_CONFIG = {**_cache, "CACHE_DEFAULT_TIMEOUT": 3600, "CACHE_KEY_PREFIX": "metadata_"}
DATA_CACHE_CONFIG = {**_cache, "CACHE_DEFAULT_TIMEOUT": 3600, "CACHE_KEY_PREFIX": "data_"}
FILTER_STATE_CACHE_CONFIG = {**_cache, "CACHE_DEFAULT_TIMEOUT": 3600, "CACHE_KEY_PREFIX": "filter_"}
EXPLORE_FORM_DATA_CACHE_CONFIG = {**_cache, "CACHE_DEFAULT_TIMEOUT": 3600, "CACHE_KEY_PREFIX": "explore_"}

FEATURE_FLAGS = {
    "THUMBNAILS": True,
    "THUMBNAILS_SQLA_LISTENERS": False,  # Superset's own Celery is off
    "ENABLE_DASHBOARD_SCREENSHOT_ENDPOINTS": True,
    "ENABLE_DASHBOARD_DOWNLOAD_WEBDRIVER_SCREENSHOT": True,
    "LISTVIEWS_DEFAULT_CARD_VIEW": True,
    "TAGGING_SYSTEM": True,
    "DASHBOARD_RBAC": True,
    "ENABLE_TEMPLATE_PROCESSING": True,  # url_param()
}

if broker := os.environ.get("SUPERSET_CELERY_BROKER"):  # bench/superset.py: Superset's own thumbnails, to compare with
    from superset.tasks.types import FixedExecutor

    class CeleryConfig:
        broker_url = broker
        imports = ("superset.tasks.thumbnails",)
        result_backend = f"file://{HOME}/results"
        worker_prefetch_multiplier = 1

    (HOME / "results").mkdir(exist_ok=True)
    CELERY_CONFIG = CeleryConfig
    THUMBNAIL_CACHE_CONFIG = {**_cache, "CACHE_DEFAULT_TIMEOUT": 3600, "CACHE_KEY_PREFIX": "thumbnail_"}
    THUMBNAIL_EXECUTORS = [FixedExecutor("admin")]
    WEBDRIVER_BASEURL = os.environ["SUPERSET_URL"]
    FEATURE_FLAGS["PLAYWRIGHT_REPORTS_AND_THUMBNAILS"] = True
    if os.environ.get("SUPERSET_WAITS") == "0":
        SCREENSHOT_SELENIUM_HEADSTART = SCREENSHOT_SELENIUM_ANIMATION_WAIT = 0
