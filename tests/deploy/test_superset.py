"""The profile `superset`: a Superset whose thumbnails Vitrine makes, all of it in containers."""

from __future__ import annotations

import io
from typing import Any

import httpx
from PIL import Image

from tests.deploy.engine import ROOT
from tests.deploy.project import OURS, UP_S, Project
from tests.harness import HarnessError, wait_until
from tests.harness.superset import ADMIN, installed

PORT = 18090  # in the engine
PROFILE = ("-f", "tests/deploy/superset.yml", "--profile", "superset")
FILL = """
cp -r {here}/home/. $SUPERSET_HOME
python3 -m venv --without-pip $SUPERSET_HOME/venv
packages=$SUPERSET_HOME/venv/lib/python3.11/site-packages
echo {here}/venv/lib/python3.11/site-packages >$packages/its.pth
echo 'from asyncio import timeout' >$packages/async_timeout.py # redis wants it before Python 3.11.3
for program in superset gunicorn; do
    sed "1s|.*|#!$SUPERSET_HOME/venv/bin/python|" {here}/venv/bin/$program >$SUPERSET_HOME/venv/bin/$program
    chmod +x $SUPERSET_HOME/venv/bin/$program
done
"""


def test_a_superset_shows_pictures_that_vitrine_made(project: Project) -> None:
    here = installed()
    variables = {"SUPERSET_OF_THE_TESTS": str(here), "DEPLOY_SUPERSET": f"127.0.0.1:{PORT}"}
    once = ("run", "--rm", "--no-deps", "superset", "sh", "-euc", FILL.format(here=here))
    project.compose(*PROFILE, *once, timeout_s=UP_S, **variables)
    try:
        project.compose(*PROFILE, "up", "-d", timeout_s=UP_S, **variables)
    except HarnessError as error:
        log = project.compose(*PROFILE, "logs", "--tail", "40", "superset", **variables, timeout_s=UP_S)
        raise HarnessError(f"{error}\n{log}") from None
    for service, count in {"superset": 1, "superset-nginx": 1, **dict.fromkeys(OURS, 2)}.items():
        project.wait_healthy(service, count, UP_S)
    url = f"http://127.0.0.1:{project.engine.publish(PORT)}"
    with httpx.Client(base_url=url, timeout=60, follow_redirects=True) as admin:
        log_in = {"username": ADMIN, "password": project.secret("superset_admin_password"), "provider": "db"}
        token = admin.post("/api/v1/security/login", json=log_in).raise_for_status().json()["access_token"]
        admin.headers["Authorization"] = f"Bearer {token}"
        _check_reader(admin)
        dashboards = admin.get("/api/v1/dashboard/").raise_for_status().json()["result"]
        title = "FCC New Coder Survey 2018"
        (place,) = [one["thumbnail_url"] for one in dashboards if one["dashboard_title"] == title]
        picture = wait_until(lambda: _picture(admin, place), 240, f"the thumbnail of {title}", interval_s=1)
    assert picture.size == (800, 600)
    assert len(picture.convert("L").getcolors() or []) > 20, "it is blank"


def _check_reader(admin: httpx.Client) -> None:
    """The account that start.sh made reads, and no more: section 1 of docs/superset.md."""
    roles = admin.get("/api/v1/security/roles/").raise_for_status().json()["result"]
    (role,) = [one["id"] for one in roles if one["name"] == "Vitrine"]
    held = admin.get(f"/api/v1/security/roles/{role}/permissions/").raise_for_status().json()["result"]
    rights = {f"{one['permission_name'].replace('_', ' ')} on {one['view_menu_name']}" for one in held}
    section = (ROOT / "docs/superset.md").read_text().split("## 2.")[0]
    assert len(rights) == 8
    assert [right for right in rights if f"`{right}`" not in section] == []
    people: list[dict[str, Any]] = admin.get("/api/v1/security/users/").raise_for_status().json()["result"]
    assert [[one["name"] for one in man["roles"]] for man in people if man["username"] == "vitrine"] == [["Vitrine"]]


def _picture(admin: httpx.Client, place: str) -> Image.Image | None:
    answer = admin.get(place)
    assert answer.status_code in (200, 202), answer.text
    return Image.open(io.BytesIO(answer.content)) if answer.status_code == 200 else None
