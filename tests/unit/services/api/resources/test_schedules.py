import pytest

from shared.identity import Audience, Scope

SCHEDULES = "/api/v1/schedules"
GOOD = {"name": "mornings", "strategy": "dummy", "cron": "30 7 * * 1-5", "timezone": "Europe/Berlin"}


async def test_a_schedule_is_made_read_changed_and_removed(gateway):
    made = await gateway.post(SCHEDULES, "ada", json=GOOD)
    assert (made.status_code, made.json["result"]["overlap"]) == (201, "skip")
    assert len(made.json["result"]["next_fires"]) == 3
    assert made.json["result"]["last_fire"] is None
    assert (await gateway.post(SCHEDULES, "ada", json=GOOD)).status_code == 400
    changed = await gateway.ask("PUT", f"{SCHEDULES}/mornings", "ada", json={**GOOD, "enabled": False})
    assert (changed.status_code, changed.json["result"]["next_fires"]) == (200, [])
    assert (await gateway.get(SCHEDULES, "ada")).json["count"] == 1
    assert (await gateway.ask("DELETE", f"{SCHEDULES}/mornings", "ada")).status_code == 204
    assert (await gateway.get(f"{SCHEDULES}/mornings", "ada")).status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [({"cron": "61 * * * *"}, "cron"), ({"strategy": "nope"}, "strategy"), ({"parameters": {"x": 1}}, "parameters.x")],
)
async def test_a_bad_schedule_is_400_and_names_the_field(gateway, change, field):
    answer = await gateway.post(SCHEDULES, "ada", json={**GOOD, **change})
    assert (answer.status_code, answer.json["field"]) == (400, field)
    other = await gateway.ask("PUT", f"{SCHEDULES}/evenings", "ada", json=GOOD)
    assert (other.status_code, other.json["field"]) == (400, "name")


async def test_schedules_are_for_admins_and_programs_with_the_scope(gateway):
    token = gateway.services.tokens.issue("guy", Audience.SERVICE, 60, [Scope.SCHEDULES])
    assert (await gateway.get(SCHEDULES, "ben")).status_code == 403
    assert (await gateway.get(SCHEDULES, "", headers={"Authorization": f"Bearer {token}"})).status_code == 200
