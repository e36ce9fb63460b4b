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
