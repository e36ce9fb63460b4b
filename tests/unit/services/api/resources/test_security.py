import time
from datetime import UTC, datetime
from statistics import median
from urllib.parse import urlencode

import pytest

PASSWORD = "correct horse"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
OWN = {"Origin": "http://falconframework.org"}
FOREIGN = {"Origin": "https://evil.example"}


async def _login(gateway, username="ben", password=PASSWORD, **options):
    body = {"username": username, "password": password, "provider": "db", "refresh": True}
    return await gateway.post("/api/v1/security/login", "", json=body, **options)


async def test_a_log_in_gives_a_token_that_works_and_sets_no_cookie(gateway):
    answer = await _login(gateway)
    assert (answer.status_code, set(answer.json), answer.headers.get("Set-Cookie")) == (200, {"access_token"}, None)
    me = await gateway.get("/api/v1/me/", "", headers={"Authorization": f"Bearer {answer.json['access_token']}"})
    assert (me.json["result"]["username"], me.json["result"]["name"]) == ("ben", "Ben Analyst")


async def test_an_unknown_user_and_a_wrong_password_look_alike(gateway):
    answers = [await _login(gateway, *pair) for pair in (("ben", "wrong"), ("nobody", PASSWORD), ("x" * 180, "wrong"))]
    for answer in answers:
        told = {**answer.json, "correlation_id": ""}
        assert (answer.status_code, told) == (401, {**answers[0].json, "correlation_id": ""})


@pytest.mark.parametrize("gateway", [{"login_attempts_per_minute": 100}], indirect=True)
async def test_an_unknown_user_and_a_wrong_password_take_the_same_time(gateway):
    seconds: dict[str, list[float]] = {"ben": [], "nobody": []}
    for username in ["ben", "nobody"] * 3:
        started = time.perf_counter()
        await _login(gateway, username, "wrong")
        seconds[username].append(time.perf_counter() - started)
    assert 1 / 3 < median(seconds["ben"]) / median(seconds["nobody"]) < 3


@pytest.mark.parametrize("gateway", [{"login_attempts_per_minute": 3}], indirect=True)
async def test_too_many_failures_of_one_user_are_429_also_with_the_right_password(gateway):
    for _ in range(3):
        assert (await _login(gateway, password="wrong")).status_code == 401
    answer = await _login(gateway)
    assert (answer.status_code, answer.json["code"]) == (429, "too_many_requests")
    assert 0 < int(answer.headers["Retry-After"]) <= 60


@pytest.mark.parametrize("gateway", [{"login_attempts_per_minute": 3}], indirect=True)
async def test_too_many_failures_from_one_address_are_429_for_any_user(gateway):
    for number in range(3):
        await _login(gateway, f"user{number}", "wrong")
    assert (await _login(gateway)).status_code == 429
    through_proxy = await _login(gateway, headers={"X-Forwarded-For": "203.0.113.9"})
    assert through_proxy.status_code == 200


@pytest.mark.parametrize("gateway", [{"login_attempts_per_minute": 2}], indirect=True)
async def test_log_ins_that_succeed_are_not_counted(gateway):
    for _ in range(5):
        assert (await _login(gateway)).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": "x"}, "username"),
        ({"username": "ben"}, "password"),
        ({"username": 7, "password": "x"}, "username"),
        ({"username": "ben", "password": ["x"]}, "password"),
        ({"username": "ben", "password": "x", "provider": "ldap"}, "provider"),
    ],
)
async def test_a_bad_log_in_request_names_the_field(gateway, body, field):
    answer = await gateway.post("/api/v1/security/login", "", json=body)
    assert (answer.status_code, answer.json["field"]) == (400, field)


async def test_another_sites_page_cannot_log_anybody_in_or_out(gateway):
    assert (await _login(gateway, headers=FOREIGN)).status_code == 403
    assert (await gateway.post("/logout/", "", headers=FOREIGN)).status_code == 403


async def _submit(gateway, headers=OWN, **fields):
    return await gateway.post("/login/", "", body=urlencode(fields), headers={**FORM, **headers})


async def test_the_form_sets_a_session_cookie_and_goes_on(gateway):
    answer = await _submit(gateway, username="ben", password=PASSWORD, next="/dashboard/1/?x=1#state=%7B%7D")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/dashboard/1/?x=1#state=%7B%7D")
    cookie = answer.cookies["vitrine_session"]
    assert (cookie.http_only, cookie.same_site, cookie.path, cookie.secure) == (True, "Lax", "/", False)
    page = await gateway.get("/", "", headers={"Cookie": f"vitrine_session={cookie.value}"})
    assert "Ben Analyst" in page.text


@pytest.mark.parametrize("gateway", [{"base_url": "https://falconframework.org"}], indirect=True)
async def test_under_https_the_cookie_is_secure(gateway):
    answer = await _submit(gateway, {"Origin": "https://falconframework.org"}, username="ben", password=PASSWORD)
    assert answer.cookies["vitrine_session"].secure
    assert "max-age" in answer.headers["Strict-Transport-Security"]


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil", "javascript:alert(1)", "", "/a\nb", "é"],
)
async def test_an_unsafe_next_leads_to_the_gallery(gateway, target):
    answer = await _submit(gateway, username="ben", password=PASSWORD, next=target)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


async def test_a_wrong_password_shows_the_form_again(gateway):
    answer = await _submit(gateway, username="ben", password="<wrong>", next="/chart/1/")
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert 'value="/chart/1/"' in answer.text
    assert "wrong&gt;" not in answer.text
    assert "vitrine_session" not in answer.cookies


async def test_logging_out_forgets_the_cookie(gateway):
    answer = await gateway.post("/logout/", "", headers={**gateway.cookie("ben"), **OWN})
    assert answer.status_code == 303
    assert answer.cookies["vitrine_session"].value == ""
    assert answer.cookies["vitrine_session"].expires <= datetime.now(UTC)


async def test_the_csrf_token_stands_in_for_the_header(gateway):
    cookie = gateway.cookie("ben")
    token = (await gateway.get("/api/v1/security/csrf_token/", "", headers=cookie)).json["result"]
    headers = {**cookie, **OWN, "X-CSRFToken": token}
    assert (await gateway.post("/api/v1/chart/1/thumbnail/", "", headers=headers)).status_code == 202
    headers["X-CSRFToken"] = "guess"
    assert (await gateway.post("/api/v1/chart/1/thumbnail/", "", headers=headers)).status_code == 403
