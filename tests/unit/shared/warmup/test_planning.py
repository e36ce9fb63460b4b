from shared.warmup import planning, report
from tests.samples.catalog import CATALOG
from tests.samples.warm import open_workshop

SHARED = CATALOG.replace("table: payroll}", "table: payroll, roles: [Analyst]}").replace(
    "[{chart: all-sales}]", "[{chart: all-sales}], [{chart: pay}]"
)


async def test_an_entry_that_several_groups_share_counts_the_viewers_of_all_of_them_once(tmp_path):
    workshop = open_workshop(tmp_path, text=SHARED)
    world = workshop.world
    made = workshop.runs.make(workshop.order("ids", dashboards=[world.id("overview")], charts=[world.id("pay")]))
    await workshop.warmer.decide(made.id)
    # Under the rules of "All sales" ada, arun and emma see three different things; "Pay" is the same for all, and
    # olga, who may not see the dashboard, owns it.
    viewers = [(one.title, one.viewers) for one in workshop.outcomes(made.id)]
    assert viewers.count(("All sales", 1)) == 3
    assert [count for title, count in viewers if title == "Pay"] == [4]
    world.close()


async def test_that_there_is_more_than_a_run_can_hold_or_a_report_shows_is_told(workshop, monkeypatch):
    monkeypatch.setattr(planning, "MAX_OUTCOMES", 3)
    monkeypatch.setattr(report, "MAX_OUTCOMES", 2)
    outcomes = await workshop.run(workshop.order("dummy"))
    assert [one.code for one in outcomes] == ["", "", "", "left_out"]
    assert "more than the 3 things" in outcomes[-1].reason
    found = report.report(workshop.world.sessions, "latest")
    assert (len(found["outcomes"]), found["outcomes_left_out"]) == (2, 2)
    only = report.report(workshop.world.sessions, "latest", only="skipped")
    assert (len(only["outcomes"]), only["outcomes_left_out"]) == (1, 0)
