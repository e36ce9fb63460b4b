"""The catalog over a real Superset: what it lists, for whom, and what makes another picture."""

from __future__ import annotations

import base64
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from shared.catalog.superset.client import Credential
from shared.errors import CatalogSignIn, CatalogUnavailable, ExecutorNotFound, NotFound, Unauthenticated
from shared.identity import OPERATOR, Principal
from shared.settings import Settings
from shared.targets import TargetKind, ViewState
from tests.harness.superset import ADMIN
from tests.superset.conftest import chart, dashboard

DASHBOARDS, CHARTS = TargetKind.DASHBOARD, TargetKind.CHART


def test_lists_hold_what_each_user_may_see_page_by_page(catalog, admin):
    # Other tests may have added to the examples.
    charts, dashboards = (admin.get(f"/api/v1/{kind}/").json()["count"] for kind in ("chart", "dashboard"))
    assert charts >= 103
    assert dashboards >= 9
    count, found = catalog.list(catalog.principal("ann"), CHARTS, offset=100)
    assert (count, len(found)) == (charts, charts - 100)
    count, first = catalog.list(catalog.principal("ann"), CHARTS, offset=95, limit=10)
    assert {info.target for info in first} >= {info.target for info in found}
    assert catalog.list(catalog.principal("ann"), DASHBOARDS)[0] == dashboards
    assert catalog.list(catalog.principal("eve"), DASHBOARDS) == (0, [])
    assert catalog.list(OPERATOR, CHARTS)[0] == charts
    assert catalog.list(Principal("ann", frozenset({"Admin"})), CHARTS) == (0, []), "ann of another catalog is nobody"


def test_what_one_may_not_see_is_as_unknown_as_what_does_not_exist(catalog, ids):
    births = dashboard(ids["USA Births Names"])
    assert catalog.info(catalog.principal("ann"), births).title == "USA Births Names"
    for username, target in (("eve", births), ("ann", dashboard("4711")), ("ann", chart("4711"))):
        with pytest.raises(NotFound, match="There is no such"):
            catalog.info(catalog.principal(username), target)
        with pytest.raises(NotFound):
            catalog.page(target, username, ViewState(), nonce="n")
    with pytest.raises(NotFound):
        catalog.principal("nobody")


def test_a_row_level_rule_makes_another_picture_of_what_it_concerns(catalog, ids):
    births, sales = dashboard(ids["USA Births Names"]), dashboard(ids["Sales Dashboard"])
    assert catalog.facts(births, "ann").access == ""
    assert catalog.facts(births, "ben").access != ""
    assert catalog.facts(sales, "ben").access == ""


def test_a_change_of_a_chart_changes_the_digest_of_its_dashboard(make_catalog, admin, ids):
    sales, number = dashboard(ids["Sales Dashboard"]), ids["Total Revenue"]
    before = make_catalog().facts(sales, "admin")
    assert make_catalog().facts(sales, "admin") == before
    params = admin.get(f"/api/v1/chart/{number}").json()["result"]["params"]
    assert admin.put(f"/api/v1/chart/{number}", json={"params": params.replace("}", " }")}).status_code == 200
    after = make_catalog().facts(sales, "admin")
    assert (after.access, after.digest != before.digest) == (before.access, True)


def test_tags_and_owners_are_read(make_catalog, admin, ids):
    number = ids["Misc Charts"]
    tagged = {"objects_to_tag": [["dashboard", int(number)]], "name": "morning"}
    assert admin.post("/api/v1/tag/bulk_create", json={"tags": [tagged]}).status_code == 200
    assert admin.put(f"/api/v1/dashboard/{number}", json={"owners": [1]}).status_code == 200
    info = make_catalog().info(OPERATOR, dashboard(number))
    assert (info.tags, info.ownership.owners) == (("morning",), ("admin",))


def test_viewers_are_those_who_may_see_it(catalog, ids):
    viewers = catalog.viewers(dashboard(ids["Sales Dashboard"]))
    assert {"admin", "ann", "ben"} <= set(viewers)
    assert "eve" not in viewers


def test_somebody_is_known_by_the_session_or_token_that_superset_gave(catalog, superset):
    with closing(superset.person("ann")) as ann:
        token = ann.headers["Authorization"].removeprefix("Bearer ")
    who = catalog.identify(Credential(bearer=token))
    assert (who.username, who.catalog, who.roles) == ("ann", "superset", {"Gamma", "Examples"})
    assert token not in repr(who)
    for forged in (Credential(cookie="x.y.z"), Credential(bearer=f"{token[:-4]}AAAA"), Credential()):
        with pytest.raises(Unauthenticated):
            catalog.identify(forged)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"superset_secret_key": ""}, ExecutorNotFound, "VITRINE_SUPERSET_SECRET_KEY"),
        ({"superset_secret_key": "another-key-altogether"}, CatalogSignIn, "is not its SECRET_KEY"),
        ({"superset_passwords": {"vitrine": "wrong"}}, CatalogSignIn, "does not accept the password of 'vitrine'"),
        ({"superset_url": "http://127.0.0.1:9"}, CatalogUnavailable, "cannot be reached"),
    ],
)
def test_what_keeps_us_from_signing_in_is_named(make_catalog, ids, settings, error, words):
    with pytest.raises(error, match=words):
        make_catalog(**settings).facts(dashboard(ids["Sales Dashboard"]), "ann")


def test_a_users_own_password_signs_in_without_the_secret_key(make_catalog, ids):
    passwords = {"vitrine": "an-apple-a-day", "ann": "an-apple-a-day"}
    catalog = make_catalog(superset_secret_key="", superset_passwords=passwords)
    assert catalog.info(catalog.principal("ann"), dashboard(ids["Sales Dashboard"])).title == "Sales Dashboard"


def test_a_session_that_ended_is_renewed(make_catalog, ids):
    catalog = make_catalog()
    catalog.info(catalog.principal("ann"), dashboard(ids["Sales Dashboard"]))
    catalog._sessions.forget("ann")
    catalog._sessions._kept.get("ann", lambda: Credential(cookie="ended"))
    assert catalog.info(catalog.principal("ann"), chart(ids["Total Revenue"])).title == "Total Revenue"


def test_popularity_counts_people_and_no_renders(make_catalog, superset, catalog, ids):
    births, misc = ids["USA Births Names"], ids["Misc Charts"]
    with httpx.Client(base_url=superset.url, cookies={"session": catalog._sessions.of("ann").cookie}) as ann:
        for path in [f"/superset/dashboard/{births}/"] * 2 + [f"/superset/dashboard/{misc}/?vitrine_render=1"] * 3:
            assert ann.get(path, timeout=30).status_code == 200
    with httpx.Client(base_url=superset.url, cookies={"session": catalog._sessions.of(ADMIN).cookie}) as admin:
        assert admin.get(f"/superset/dashboard/{births}/", timeout=30).status_code == 200
    day = datetime.now(UTC) - timedelta(days=1)
    views = dict(make_catalog().popular(day))
    assert (views[dashboard(births)], dashboard(misc) in views) == (3, False)
    by_admin = make_catalog(superset_username=ADMIN, superset_passwords={ADMIN: ADMIN})
    assert dict(by_admin.popular(day))[dashboard(births)] == 2, "the account that reads for us is nobody who views"


def test_secrets_are_not_shown(settings_of, superset):
    settings: Settings = settings_of(superset)
    shown = str(settings.masked()) + repr(settings)
    assert "of-the-tests" not in shown
    assert "an-apple" not in shown


def test_a_signed_session_needs_no_log_in_and_holds_no_secret(catalog):
    cookie = catalog._sessions.of("ben").cookie
    payload = base64.urlsafe_b64decode(cookie.split(".")[0] + "==").decode()
    assert '"_user_id"' in payload
    assert "secret" not in payload
