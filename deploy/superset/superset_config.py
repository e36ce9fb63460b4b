"""Settings of the Superset of the Compose profile `superset`; a model for those of your own (docs/superset.md)."""

import os
from pathlib import Path

HOME = Path(os.environ["SUPERSET_HOME"])
SECRETS = Path(os.environ.get("SUPERSET_SECRETS", "/run/secrets"))

SECRET_KEY = (SECRETS / "superset_secret_key").read_text().strip()  # Vitrine has the same file
SQLALCHEMY_DATABASE_URI = f"sqlite:///{HOME}/superset.db?timeout=30"
SQLALCHEMY_EXAMPLES_URI = f"sqlite:///{HOME}/examples.db"
PREVENT_UNSAFE_DB_CONNECTIONS = False  # the examples lie in SQLite
ENABLE_PROXY_FIX = True  # nginx stands in front

_cache = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(HOME / "cache"), "CACHE_DEFAULT_TIMEOUT": 86_400}
CACHE_CONFIG = {**_cache, "CACHE_KEY_PREFIX": "metadata_"}
DATA_CACHE_CONFIG = {**_cache, "CACHE_KEY_PREFIX": "data_"}
FILTER_STATE_CACHE_CONFIG = {**_cache, "CACHE_KEY_PREFIX": "filter_"}
EXPLORE_FORM_DATA_CACHE_CONFIG = {**_cache, "CACHE_KEY_PREFIX": "explore_"}

FEATURE_FLAGS = {
    "THUMBNAILS": True,  # its pages ask for pictures; nginx sends the question to Vitrine
    "THUMBNAILS_SQLA_LISTENERS": False,  # no Celery task for each save: nobody takes them
    "ENABLE_DASHBOARD_SCREENSHOT_ENDPOINTS": True,
    "ENABLE_DASHBOARD_DOWNLOAD_WEBDRIVER_SCREENSHOT": True,
    "LISTVIEWS_DEFAULT_CARD_VIEW": True,
}
