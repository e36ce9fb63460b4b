from urllib.parse import quote

import pytest

from shared.errors import ExecutorNotFound, InvalidInput, NotFound
from shared.identity import Audience, Tokens
from shared.targets import Target, TargetKind, ViewState
from tests.samples.catalog import CATALOG, SALES_CSV, SECRET, make_world


def test_info_is_what_cards_show(world):
    info = world.catalog.info(world.principal("arun"), world.target("by-region"))
    assert (info.title, info.url, info.tags) == ("Sales by region", f"/chart/{world.id('by-region')}/", ("sales",))
    assert (info.ownership.owners, info.ownership.created_by, info.ownership.changed_by) == (
        ("ada", "emma"),
        "ada",
        "emma",
    )
    assert info.changed_on.utcoffset().total_seconds() == 0


def test_a_list_is_paged_with_the_newest_change_first(world):
    world.load(CATALOG.replace("title: Draft", "title: Draft two"))
    count, first = world.catalog.list(world.principal("ada"), TargetKind.DASHBOARD, limit=1)
    assert (count, first[0].title) == (4, "Draft two")
    _, rest = world.catalog.list(world.principal("ada"), TargetKind.DASHBOARD, offset=1)
    assert len(rest) == 3


@pytest.mark.parametrize(
    "identifier", ["", "0", "-1", "01", "1.0", " 1", "1 ", "abc", "9" * 30, "2147483648", "²", "١", "1;--"]
)
def test_an_id_that_is_none_is_not_found(world, identifier):
    for kind in TargetKind:
        with pytest.raises(NotFound):
            world.catalog.info(world.principal("ada"), Target("native", kind, identifier))
        assert world.catalog.viewers(Target("native", kind, identifier)) == []


def test_a_target_of_another_catalog_is_not_found(world):
    with pytest.raises(NotFound):
        world.catalog.facts(Target("superset", TargetKind.CHART, world.id("by-region")), "ada")


def test_rules_name_their_executors_apart(world):
    facts = {name: world.catalog.facts(world.target("overview"), name) for name in ("ada", "emma", "arun")}
    assert facts["ada"].access == ""
    assert "Europe" in facts["emma"].access
    assert "Asia" in facts["arun"].access
    assert len({fact.digest for fact in facts.values()}) == 1


def test_rules_of_other_datasets_are_not_in_the_access(world):
    assert world.catalog.facts(world.target("empty"), "emma").access == ""
    assert world.catalog.facts(world.target("pay"), "olga").access == ""


def test_two_people_under_different_rules_get_different_rows(world):
    assert world.rows("emma", "by-region") == [{"region": "Europe", "n": 2}]
    assert world.rows("arun", "by-region") == [{"region": "Asia", "n": 2}]
    assert [row["region"] for row in world.rows("ada", "by-region")] == ["Africa", "Asia", "Europe"]


def test_several_rules_must_all_hold(tmp_path):
    world = make_world(tmp_path, text=CATALOG.replace("roles: [Analyst, EMEA]", "roles: [Analyst, EMEA, APAC]"))
    assert world.rows("emma", "all-sales") == []


def test_no_rule_applies_to_who_has_none_of_its_roles(tmp_path):
    world = make_world(tmp_path, text=CATALOG.replace("roles: [Analyst, EMEA]", "roles: [Analyst]"))
    assert len(world.rows("emma", "all-sales")) == 5


def test_filters_narrow_the_rows(world):
    def products(**values):
        mask = {name: {"filterState": {"value": value}} for name, value in values.items()}
        return [row["product"] for row in world.rows("ada", "all-sales", "overview", mask)]

    assert products(region=["Africa"]) == ["it's"]
    assert products(region=[]) == products(region=None) == ["tea", "coffee", "tea", "coffee", "it's"]
    assert products(amount=[20, 30]) == ["coffee", "tea"]
    assert products(amount=[None, 15]) == ["tea"]
    assert products(days=["2024-01-02", "2024-01-03"]) == ["coffee", "tea"]
    assert products(region=["Asia"], amount=[1, None]) == ["tea"]


def test_a_filter_that_is_not_set_has_its_default_and_one_that_is_cleared_has_none(tmp_path):
    text = CATALOG.replace('default: ["2024-01-01", "2024-01-05"]', 'default: ["2024-01-05", null]')
    world = make_world(tmp_path, text=text)
    assert len(world.rows("ada", "all-sales", "overview")) == 1
    assert len(world.rows("ada", "all-sales", "overview", {"days": {"filterState": {"value": None}}})) == 5
    assert len(world.rows("ada", "all-sales")) == 5


def test_a_filter_never_opens_what_a_rule_hides(world):
    mask = {"region": {"filterState": {"value": ["Asia", "Africa"]}}}
    assert world.rows("emma", "all-sales", "overview", mask) == []


def test_a_mask_without_a_dashboard_is_refused(world):
    with pytest.raises(InvalidInput, match="dashboard_id"):
        world.rows("ada", "all-sales", None, {"region": {}})


def test_filter_options_follow_the_rules(world):
    ada, emma = (world.offers(name, "overview") for name in ("ada", "emma"))
    assert ada[0] == {"options": ["Africa", "Asia", "Europe"], "truncated": False}
    assert ada[1] == {"min": "2024-01-01", "max": "2024-01-05"}
    assert ada[2] == {"min": 10.0, "max": 50.0}
    assert emma[0]["options"] == ["Europe"]


def test_filter_options_of_a_dataset_that_is_not_granted_are_empty(tmp_path):
    board = "owners: [olga]\n    filters: [{id: p, title: P, type: select, dataset: sales, column: product}]\n"
    world = make_world(tmp_path, text=CATALOG.replace("owners: [olga]\n    layout", board + "    layout"))
    assert world.offers("olga", "mixed")[0]["options"] == []


def test_the_page_of_a_dashboard_has_the_agreed_shape(world):
    page = world.catalog.dashboard_page(world.principal("emma"), world.id("overview"))
    chart = int(world.id("by-region"))
    assert (page["kind"], page["id"], page["title"]) == ("dashboard", int(world.id("overview")), "Overview")
    assert page["tabs"][0]["id"] == page["tabs"][0]["title"] == ""
    assert page["tabs"][0]["rows"][0] == [
        {"chart": chart, "width": 6, "height": 4},
        {"markdown": "# Hi", "width": 6, "height": 1},
    ]
    assert set(page["filters"][0]) == {"id", "title", "type", "column", "multiple", "default"}
    assert set(page["charts"][str(chart)]) == {"id", "title", "description", "kind", "spec"}
    assert "sql" not in str(page)


def test_the_page_of_a_chart_has_the_agreed_shape(world):
    page = world.catalog.chart_page(world.principal("emma"), world.id("all-sales"))
    assert set(page) == {"kind", "id", "title", "description", "chart"}
    assert page["chart"]["spec"]["columns"][1] == {
        "field": "amount",
        "title": "Amount",
        "format": ",.2f",
        "align": "right",
    }


def test_tabs_stay_tabs(world):
    page = world.catalog.dashboard_page(world.principal("ada"), world.id("mixed"))
    assert [(tab["id"], tab["title"]) for tab in page["tabs"]] == [("one", "One"), ("two", "Two")]


def test_the_page_to_render_signs_the_executor_in_for_the_gateway_only(world):
    state = ViewState.of({"region": {"filterState": {"value": ["Asia"]}}})
    page = world.catalog.page(world.target("overview"), "emma", state, nonce="a b")
    base, fragment = page.url.split("#")
    assert base == f"http://127.0.0.1:8088/dashboard/{world.id('overview')}/?standalone=1&render=a%20b"
    assert fragment.startswith("state=" + quote('{"activeTabs":[]', safe=""))
    assert Tokens(SECRET).check(page.cookies["vitrine_session"], Audience.PAGE)[0] == "emma"
    assert page.hosts == {"127.0.0.1:8088"}


def test_the_empty_view_state_leaves_no_fragment(world):
    page = world.catalog.page(world.target("by-region"), "emma", ViewState(), nonce="1")
    assert page.url == f"http://127.0.0.1:8088/chart/{world.id('by-region')}/?standalone=1&render=1"


def test_a_page_may_reach_the_renderers_url_and_what_the_settings_list(tmp_path):
    world = make_world(tmp_path, internal_url="https://vitrine.internal", egress_hosts=("tiles.example:443",))
    page = world.catalog.page(world.target("by-region"), "ada", ViewState(), nonce="1")
    assert page.hosts == {"vitrine.internal:443", "tiles.example:443"}


def test_a_permalink_keeps_a_state_for_those_who_may_see_the_dashboard(world):
    state = ViewState.of({"region": {"filterState": {"value": ["Asia"]}}}, ["one"], "chart-1", [["a", "b"]])
    key = world.catalog.save_permalink(world.principal("emma"), world.id("overview"), state)
    saved = world.catalog.permalink(key)
    assert (saved.dashboard_id, saved.state) == (world.id("overview"), state)
    assert world.catalog.save_permalink(world.principal("arun"), world.id("overview"), state) == key
    with pytest.raises(NotFound):
        world.catalog.save_permalink(world.principal("olga"), world.id("overview"), state)
    with pytest.raises(NotFound):
        world.catalog.permalink("unknown")


def test_new_data_are_served_at_once(world):
    (world.folder / "sales.csv").write_text(SALES_CSV + "2024-01-06,Europe,tea,1\n")
    world.load()
    assert world.rows("emma", "by-region") == [{"region": "Europe", "n": 3}]


def test_the_facts_of_many_are_those_of_each_in_their_order(world):
    slugs = ("overview", "by-region", "mixed", "pay", "draft", "overview")
    asked = [(world.target(slug), name) for slug in slugs for name in ("ada", "emma", "arun", "olga", "nobody")]
    for found, (target, executor) in zip(world.catalog.facts_of(asked), asked, strict=True):
        if isinstance(found, NotFound | ExecutorNotFound):
            with pytest.raises(type(found), match=found.message):
                world.catalog.facts(target, executor)
        else:
            assert found == world.catalog.facts(target, executor)
    assert world.catalog.facts_of([]) == []
