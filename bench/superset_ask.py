"""Run by Superset's own Python: asks Superset's worker for thumbnails, and tells when they are there. Not imported.

in   one JSON list of dashboard ids a line
out  {"wall_s": 12.3, "statuses": ["Updated", …], "pictures": ["base64 of a PNG, "" where there is none", …]} for each
"""

from __future__ import annotations

import base64
import json
import sys
import time

from superset.app import create_app

GIVE_UP_S = 900


def main() -> None:
    app = create_app()
    with app.app_context():
        from superset import security_manager
        from superset.models.dashboard import Dashboard
        from superset.tasks.thumbnails import cache_dashboard_thumbnail
        from superset.utils.core import override_user
        from superset.utils.screenshots import DashboardScreenshot
        from superset.utils.urls import get_url_path

        print("ready", flush=True)
        for line in sys.stdin:
            ids, began = json.loads(line), time.monotonic()
            asked = [cache_dashboard_thumbnail.delay(current_user=None, dashboard_id=i, force=True) for i in ids]
            for one in asked:
                one.get(timeout=GIVE_UP_S, propagate=False)
            wall_s = time.monotonic() - began
            statuses, pictures = [], []
            with override_user(security_manager.find_user("admin")):
                for number in ids:
                    dashboard = Dashboard.get(str(number))
                    url = get_url_path("Superset.dashboard", dashboard_id_or_slug=dashboard.id)
                    screenshot = DashboardScreenshot(url, dashboard.digest)
                    payload = screenshot.get_from_cache_key(screenshot.get_cache_key())
                    statuses.append(payload.get_status() if payload else "none")
                    image = payload.get_image() if payload and statuses[-1] == "Updated" else None
                    pictures.append(base64.b64encode(image.read()).decode() if image else "")
            print(json.dumps({"wall_s": wall_s, "statuses": statuses, "pictures": pictures}), flush=True)


if __name__ == "__main__":
    main()
