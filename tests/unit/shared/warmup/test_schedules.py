import pytest

from shared.errors import InvalidInput, NotFound
from shared.warmup.inputs import fill
from shared.warmup.schedules import ScheduleForm, Schedules

GOOD = {"name": "mornings", "strategy": "top_n_dashboards", "parameters": {"top_n": 3}, "cron": "30 7 * * 1-5"}
FILE = """
schedules:
  - name: mornings
    strategy: top_n_dashboards
    parameters: {top_n: 3, since: 14d}
    cron: "30 7 * * 1-5"
    timezone: Europe/Berlin
  - name: often
    strategy: stale
    interval: 15m
    overlap: replace
    jitter: 60s
"""


@pytest.fixture
def schedules(workshop):
    return Schedules(workshop.world.sessions, workshop.world.settings)


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "schedules.yaml"
    made.write_text(FILE)
    return made


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"cron": "99 * * * *"}, "cron", "bad minute; a cron expression is"),
        ({"cron": "* *"}, "cron", "number of fields"),
        ({"cron": None}, "body", "either cron or interval"),
        ({"interval": "5m"}, "body", "either cron or interval"),
        ({"cron": None, "interval": "0s"}, "interval", "1 s or more"),
        ({"timezone": "Berlin"}, "timezone", "Europe/Berlin"),
        ({"cron": None, "interval": "90m", "timezone": "Europe/Berlin"}, "timezone", "an interval of whole days"),
        ({"overlap": "maybe"}, "overlap", "'skip', 'queue' or 'replace'"),
        ({"misfire_grace": "late"}, "misfire_grace", "such as"),
        ({"misfire_grace": "1s"}, "misfire_grace", "10 s or more"),
        ({"cron": None, "interval": "2m", "jitter": "120s"}, "jitter", "less than 120 s"),
        ({"cron": "0,5 9 * * *", "jitter": "10m"}, "jitter", "less than 300 s"),
        ({"name": "a b"}, "name", "pattern"),
        ({"warms": ["tea"]}, "warms", "data, pictures"),
        ({"crn": "x"}, "crn", "known: name, strategy"),
    ],
)
def test_a_wrong_schedule_names_its_field(change, field, words):
    with pytest.raises(InvalidInput, match=words) as refused:
        fill(ScheduleForm, {**GOOD, **change})
    assert refused.value.field == field


def test_a_wrong_strategy_is_refused_when_it_is_put(schedules):
    for change, field in (({"strategy": "nope"}, "strategy"), ({"parameters": {"x": 1}}, "parameters.x")):
        with pytest.raises(InvalidInput) as refused:
            schedules.put(fill(ScheduleForm, {**GOOD, **change}), username="ada")
        assert refused.value.field == field


def test_a_file_is_what_there_is_and_loading_it_again_changes_nothing(schedules, path):
    assert schedules.load(path) == 2
    before = [(row.name, row.considered_until, row.changed_on) for row in schedules.all()]
    schedules.load(path)
    assert [(row.name, row.considered_until, row.changed_on) for row in schedules.all()] == before
    path.write_text(FILE.partition("  - name: often")[0])
    schedules.load(path)
    assert [row.name for row in schedules.all()] == ["mornings"]


def test_a_new_timing_starts_from_now(schedules):
    schedules.put(fill(ScheduleForm, GOOD), username="ada")
    (before,) = schedules.all()
    schedules.put(fill(ScheduleForm, {**GOOD, "cron": "0 8 * * *"}), username="ada")
    assert schedules.all()[0].considered_until > before.considered_until


def test_a_schedule_of_the_file_is_changed_in_the_file_and_the_other_way_round(schedules, path):
    schedules.load(path)
    for act in (lambda: schedules.put(fill(ScheduleForm, GOOD), username="ada"), lambda: schedules.delete("mornings")):
        with pytest.raises(InvalidInput, match="change it there"):
            act()
    schedules.put(fill(ScheduleForm, {**GOOD, "name": "mine"}), username="ada")
    path.write_text(FILE.replace("name: often", "name: mine"))
    with pytest.raises(InvalidInput, match="of the API already"):
        schedules.load(path)
    with pytest.raises(NotFound):
        schedules.delete("nope")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("schedules: {}", "one list named schedules"),
        ("a: [", "cannot be read"),
        ("schedules: [{name: x}]", "schedule x: strategy is missing"),
        (FILE.replace("name: often", "name: mornings"), "two schedules named"),
        (FILE.replace("top_n: 3", "top_m: 3"), "schedule mornings: 'top_m' is no parameter here"),
    ],
)
def test_a_bad_file_is_one_line_that_says_where(schedules, path, text, words):
    path.write_text(text)
    with pytest.raises(InvalidInput, match=words) as refused:
        schedules.load(path)
    assert "\n" not in refused.value.message
    assert schedules.all() == []
