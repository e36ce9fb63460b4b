"""Whatever is sent, the answer is never a fault of ours."""

import contextlib
import json
import random
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.app import routes
from services.api.inputs import parse_object, target_of
from services.api.view_states import FIELDS, view_state
from shared.errors import InvalidInput, NotFound
from shared.targets import TargetKind

PAGE = {
    "tabs": [{"id": "main", "title": "", "rows": [[{"chart": 1}]]}],
    "filters": [{"id": "region", "type": "select", "column": "r", "multiple": True, "default": ["x"]}],
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("filterState") | st.just("value"), inner),
    max_leaves=8,
)
NASTY = [
    "", "null", "0", "-1", "1e999", "NaN", "\x00", "%00", "\ud7ff", "💥" * 50, "'", '"', "../..", "(", "!(", "(a:",
    "(page:'')", "(force:!t,window_size:!(1,!n))", "{" * 3000, "[" * 3000, '{"a":' * 2000, "9" * 5000, "<script>",
    "a" * 9000, "(a:(b:(c:!(!(!())))))", '{"dataMask":{"region":{"filterState":{"value":[1e400]}}}}', "(page:-0)",
    "!!", "%ff%fe", "q=1&q=2",
]  # fmt: skip

FUZZED = ("dataMask", "force", "username", "strategy", "parameters", "warms", "tables", "database", "cron", "reason")


def _canonical(body):
    """Checks that a state is canonical; the field of a refused one."""
    try:
        state = view_state(body, PAGE)
    except InvalidInput as error:
        return error.field
    assert view_state(state.as_json(), PAGE) == state
    return None


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_a_view_state_is_canonical_or_refused_with_its_field(body):
    field = _canonical(body)
    assert field is None or field.startswith(FIELDS)


@given(VALUES)
def test_any_value_of_a_filter_is_canonical_or_refused(value):
    field = _canonical({"dataMask": {"region": {"filterState": {"value": value}}}})
    assert field in (None, "dataMask.region")


@given(st.binary() | st.text().map(lambda text: text.encode(errors="replace")))
def test_any_bytes_are_an_object_or_refused(body):
    with contextlib.suppress(InvalidInput):
        assert isinstance(parse_object(body, "body"), dict)


@given(st.text())
def test_any_text_is_an_id_or_not_found(text):
    with contextlib.suppress(NotFound):
        assert target_of(TargetKind.CHART, text).id == str(int(text.removeprefix("native:")))


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_that_is_sent_to_any_route_makes_a_500(gateway, seed):
    pick = random.Random(seed)
    for template, _, _ in routes(gateway.services):
        for method in ("GET", "POST", "PUT", "DELETE"):
            path = template
            for name in ("target_id", "digest", "cache_key", "key", "path:path", "run_id", "database", "name"):
                path = path.replace(f"{{{name}}}", pick.choice(["1", quote(pick.choice(NASTY), safe="") or "x"]))
            names = ("q", "page", "page_size", "dashboard_id", "data_mask", "next", "download_format", "standalone")
            query = "&".join(f"{name}={quote(pick.choice(NASTY), safe='()!,:')}" for name in pick.sample(names, 4))
            body = pick.choice([*NASTY, json.dumps({pick.choice(FUZZED): pick.choice(NASTY)})])
            answer = await gateway.ask(method, f"{path}?{query}", pick.choice(["ada", "ben"]), body=body.encode())
            assert answer.status_code < 500, (method, path, query, body, answer.text)
