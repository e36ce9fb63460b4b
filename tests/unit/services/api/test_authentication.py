import pytest
from pydantic import SecretStr

from services.api.app import create_app, routes
from services.api.policy import Policy
from shared.identity import Audience
from shared.metadata.models import User

THUMBNAIL = "/api/v1/chart/1/thumbnail/"
OWN = {"Origin": "http://falconframework.org"}
AJAX = {"X-Requested-With": "vitrine"}
NAMES = {
    "target_id": 1,
    "digest": "d",
    "cache_key": "k",
    "key": "k",
    "run_id": "r",
    "database": "d",
    "database_id": 1,
    "name": "n",
    "client_id": "c",
    "query_id": "1",
}
PROTECTED = (Policy.PEOPLE, Policy.PAGES, Policy.EVENTS, Policy.WARM_UP, Policy.SCHEDULES)


def _paths(services, *policies):
    for template, _, policy in routes(services):
        if policy in policies:
            yield (template.format_map(NAMES) if ":" not in template else "/static/x")


async def test_every_route_that_is_not_open_asks_for_a_log_in(gateway):
    for path in _paths(gateway.services, *PROTECTED):
        answer = await gateway.get(path, "", headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated"), path
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer  ", "Bearer x.y.z", f"Bearer {'x' * 5000}", "\xff"])
async def test_a_bad_authorization_header_is_401_even_with_a_good_cookie(gateway, header):
    headers = {**gateway.cookie("ben"), "Authorization": header}
    assert (await gateway.get("/api/v1/me/", "", headers=headers)).status_code == 401


async def test_an_expired_token_is_401(gateway):
    token = gateway.services.tokens.issue("ben", Audience.API, -1)
    assert (await gateway.get("/api/v1/me/", "", headers={"Authorization": f"Bearer {token}"})).status_code == 401


@pytest.mark.parametrize("gateway", [{"access_cache_s": 0}], indirect=True)
async def test_a_user_who_was_switched_off_is_401(gateway):
    headers = gateway.bearer("ben")
    assert (await gateway.get("/api/v1/me/", "", headers=headers)).status_code == 200
    with gateway.services.sessions.begin() as session:
        session.query(User).filter_by(username="ben").update({"active": False})
    assert (await gateway.get("/api/v1/me/", "", headers=headers)).status_code == 401


async def test_a_page_token_reads_pages_and_their_data(gateway):
    headers = gateway.cookie("ben", Audience.PAGE)
    for path in ("/chart/1/", "/dashboard/1/", "/api/v1/chart/1/data/", "/api/v1/dashboard/1/filters/"):
        assert (await gateway.get(path, "", headers=headers)).status_code == 200, path


async def test_a_page_token_opens_nothing_else(gateway):
    headers = gateway.cookie("ben", Audience.PAGE)
    for path in _paths(gateway.services, Policy.PEOPLE):
        assert (await gateway.get(path, "", headers=headers)).status_code == 403, path
    assert (await gateway.post("/chart/1/", "", headers={**headers, **OWN, **AJAX})).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        AJAX,
        OWN,
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site", **AJAX},
        {"Sec-Fetch-Site": "same-site", **AJAX},
        {"Origin": "https://evil.example", **AJAX},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin", **AJAX},
        {"Origin": "null", **AJAX},
        {"Origin": "http://falconframework.org.evil.example", **AJAX},
    ],
)
async def test_a_cookie_alone_does_not_carry_an_unsafe_request(gateway, headers):
    answer = await gateway.post(THUMBNAIL, "", headers={**gateway.cookie("ben"), **headers})
    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
    assert gateway.publisher.published == []


@pytest.mark.parametrize(
    "headers",
    [{**OWN, **AJAX}, {"Sec-Fetch-Site": "same-origin", **AJAX}, {**OWN, "Sec-Fetch-Site": "same-origin", **AJAX}],
)
async def test_our_own_pages_may_send_unsafe_requests_with_the_cookie(gateway, headers):
    answer = await gateway.post(THUMBNAIL, "", headers={**gateway.cookie("ben"), **headers})
    assert answer.status_code == 202


async def test_a_route_without_a_policy_is_closed(make_services, publisher):
    from falcon import testing

    services = make_services()
    app = create_app(services)

    class Forgotten:
        async def on_get(self, req, resp):
            resp.text = "open"

    app.add_route("/forgotten", Forgotten())
    headers = {"Authorization": f"Bearer {services.tokens.issue('ada', Audience.API, 60)}"}
    async with testing.ASGIConductor(app) as conductor:
        assert (await conductor.simulate_get("/forgotten", headers=headers)).status_code == 403


WITH_SUPERSET = {
    "superset_url": "http://127.0.0.1:1",  # it answers nobody
    "superset_username": "vitrine",
    "superset_passwords": {"vitrine": SecretStr("x")},
    "default_catalog": "superset",
}


@pytest.mark.parametrize("gateway", [WITH_SUPERSET], indirect=True)
async def test_of_two_cookies_ours_opens_what_only_our_people_may(gateway):
    ours = gateway.cookie("ada")["Cookie"]
    both = {"Cookie": f"session=somebody-of-superset; {ours}"}
    assert (await gateway.get("/api/v1/ops", "", headers=both)).status_code == 200
    assert (await gateway.get("/api/v1/dashboard/", "", headers=both)).status_code == 503  # Superset is asked who it is


@pytest.mark.parametrize("accept", ["text/html,*/*;q=0.8", "*/*"])
async def test_a_browser_without_a_log_in_is_led_to_the_form_and_back(gateway, accept):
    assert (await gateway.get("/", "", headers={"Accept": accept})).headers["Location"] == "/login/?next=%2F"
    answer = await gateway.get("/dashboard/1/?standalone=1", "", headers={"Accept": accept})
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/login/?next=%2Fdashboard%2F1%2F%3Fstandalone%3D1"
    api = await gateway.get("/api/v1/me/", "", headers={"Accept": "text/html"})
    assert api.status_code == 401


async def test_metrics_are_for_this_machine_only(gateway):
    assert (await gateway.get("/metrics", "", remote_addr="127.0.0.1")).status_code == 200
    assert (await gateway.get("/metrics", "", remote_addr="10.0.0.5")).status_code == 404
    proxied = {"X-Forwarded-For": "10.0.0.5"}
    assert (await gateway.get("/metrics", "", remote_addr="127.0.0.1", headers=proxied)).status_code == 404


async def test_a_path_with_nul_names_nothing(gateway):
    """PostgreSQL refuses it even as something to look for: that would be a 500."""
    answer = await gateway.get("/api/v1/schedules/a\0b", "ada")
    assert (answer.status_code, answer.json["detail"]) == (404, "No such page.")
