"""Superset's standalone pages: their addresses, how they show that they are complete, and what they may ask for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from urllib.parse import quote, urlencode

from shared.catalog.port import InApp, Page, Readiness, host_port
from shared.catalog.superset.client import Client, Credential
from shared.targets import Target, TargetKind, ViewState

RENDER_PARAMETER = "vitrine_render"  # in the address of a page that a render opens; Superset's log keeps it
STANDALONE = "3"  # of a dashboard: no header, no title, no filter bar
IDLE = "/vitrine-idle/?standalone=3"  # no route of Superset's front end: it shows nothing there, nor its menu
AHEAD = "100% 0px"  # rows of a dashboard are drawn when they are one window away from the view
PERMALINK = "vitrine"  # the key of a permalink that the browser answers by itself
# Superset's front end reads with POST too; whatever else it sends would write.
READS = frozenset({"/api/v1/chart/data", "/superset/explore_json/"})

# A chart is complete when it holds something that is no spinner: the drawing, "no results", or its error.
SPINNER = ".loading, [data-test=loading-indicator]"
FAILED = ":has(.ant-alert-error)"
EMPTY = ":has(.ant-empty)"
DRAWN = ":has([data-test=slice-container] [id^=chart-id-] > *)"
DASHBOARD = Readiness(
    root=".dashboard [data-test=grid-container]",
    holder="[data-test-chart-id]",
    terminal=f":is({DRAWN}, {EMPTY}, {FAILED}):not(:has({SPINNER}))",
    failed=FAILED,
    empty=EMPTY,
    spinner=SPINNER,
    login="[data-test=login-form], #loginbox, form[action^='/login']",
    error=".ant-layout-content > .ant-alert-error",
    reason=".ant-alert-content",
    passing=tuple(f"Data error {words}" for words in ("Network error", "Server error", "Bad request", "Timeout error")),
    signed_out=("401 UNAUTHORIZED",),
)
CHART = replace(
    DASHBOARD,
    root="[data-test=standalone-app]",
    holder="[data-test=standalone-app]",
    error=f"{DASHBOARD.error}, [data-test=toast-container].toast--danger",
)

# As the application's own links do: nothing is fetched or run twice. Then it waits where nothing is shown.
MOVE = 'history.pushState({}, "", url); dispatchEvent(new PopStateEvent("popstate", {state: {}}));'
# A feature of Superset's own, read whenever a chart might ask: rows that are not drawn are not queried either.
DEFER = "window.featureFlags = {...window.featureFlags, DASHBOARD_VIRTUALIZATION_DEFER_DATA: true};"
# Each chart that was shown stays in react-loadable's list of what to preload, with all that it drew. Preloading empties
# the list, and loads nothing, as all of it is there; of what could not be loaded the chart itself has told. The page
# has several copies of webpack's runtime, and only one of them has this list (docs/adr/0041).
FORGET = """window.webpackChunksuperset?.push([[Symbol()], {}, (require) => {
        for (const { exports } of Object.values(require.c ?? {}))
          if (exports?.preloadAll && exports.preloadReady) exports.preloadAll().catch(() => null);
      }]);"""
IN_APP = InApp(
    "superset",
    open=f"url => {{ {DEFER} {MOVE} return 200; }}",
    clear=f"""() => new Promise((gone) => {{
      const url = {IDLE!r}; {MOVE}
      const look = () => (document.querySelector({DASHBOARD.root!r}) ? setTimeout(look, 20) : gone());
      look();
    }}).then(() => {{
      {FORGET}
    }})""",
)


def page(
    client: Client, credential: Credential, target: Target, view_state: ViewState, *, nonce: str, hosts: Collection[str]
) -> Page:
    """`nonce` makes the address new; `hosts`: HOST:PORT pairs that the page may reach besides Superset."""
    state = {} if view_state.is_empty else view_state.as_json()
    query = dict(view_state.url_params)  # first: what the render itself needs to say wins
    query |= {RENDER_PARAMETER: nonce}
    if target.kind is TargetKind.DASHBOARD:
        path, readiness = f"/superset/dashboard/{target.id}/", DASHBOARD
        query |= {"standalone": STANDALONE, **({"permalink_key": PERMALINK} if state else {})}
    else:
        path, readiness = "/explore/", CHART
        query |= {"slice_id": target.id, "standalone": "true"}
    saved = {"dashboardId": target.id, "state": state}
    anchor = f"#{quote(view_state.anchor)}" if view_state.anchor else ""  # opens its tab, and scrolls to it
    return Page(
        url=f"{client.origin}{path}?{urlencode(query)}{anchor}",
        readiness=readiness,
        cookies={client.cookie_name: credential.cookie},
        hosts=frozenset({host_port(client.origin), *hosts}),
        reads=READS,
        answers={f"/api/v1/dashboard/permalink/{PERMALINK}": saved} if state else {},
        # Inside the application, tabs and filters of one render would be found by the next: those are loaded anew.
        in_app=IN_APP if target.kind is TargetKind.DASHBOARD and not state else None,
        is_hasty=True,
        draws_ahead="" if anchor else AHEAD,  # it scrolls to a place that must stay where it is
    )
