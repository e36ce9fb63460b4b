"""The pages. Each is made by a function of (query, site)."""

# ruff: noqa: E501 (scripts of pages, one line each)

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.sites.making import Answer, html

Query = dict[str, str]


PAGES: dict[str, Callable[[Query, Any], Answer]] = {}


def page(name: str) -> Callable[[Callable[[Query, Any], Answer]], Callable[[Query, Any], Answer]]:
    def register(make: Callable[[Query, Any], Answer]) -> Callable[[Query, Any], Answer]:
        PAGES[name] = make
        return make

    return register


def script(name: str, text: str, **options: str) -> None:
    PAGES[name] = lambda query, site: html(text, **options)


# --- pages that come to an end ----------------------------------------------------------------------------------------

script("charts", "laidOut(); draw(hold(1)); draw(hold(2), 'tomato');")
script("one-chart", "laidOut(); draw(hold(1));")
script("slow-chart", "laidOut(); draw(hold(1)); const slow = hold(2, 'Slow'); later(700).then(() => draw(slow));")
script("late-holder", "laidOut(); draw(hold(1)); fetch('/slow-data?ms=500').then(() => draw(hold(2)));")
script("late-root", "later(400).then(() => { laidOut(); draw(hold(1)); });")
script(
    "fetching", "laidOut(); const h = hold(1); fetch('/slow-data?ms=400').then((r) => r.text()).then(() => draw(h));"
)
script(
    "late-style",  # charts are drawn and the page is still: only the document itself knows that a style is on its way
    """laidOut(); draw(hold(1)); const link = document.createElement('link'); link.rel = 'stylesheet'; link.href = '/imports-a-style';
    document.head.append(link);""",
)
script(
    "spinner-gap",
    """laidOut(); const h = hold(1); h.innerHTML += '<div class=shimmer></div>';
    later(200).then(() => { h.querySelector('.shimmer').remove(); return later(300); }).then(() => draw(h));""",
)
script(
    "drawn-in-steps",
    "laidOut(); const h = hold(1); draw(h); for (const n of [1, 2, 3, 4, 5]) later(60 * n).then(() => paint(h, 'gold'));",
)
script("zero-charts", "laidOut();")
script("empty-chart", "laidOut(); const h = hold(1); h.append('No data'); end(h, 'empty');")
script(
    "hidden-tab",
    "laidOut(); draw(hold(1)); const tab = document.createElement('div'); tab.hidden = true; document.body.append(tab); tab.append(hold(2));",
)
script(
    "scroll-lazy",
    """laidOut(); const seen = new IntersectionObserver((entries) => { for (const entry of entries) if (entry.isIntersecting) {
      seen.unobserve(entry.target); later(50).then(() => draw(entry.target, 'seagreen')); } });
    for (let n = 1; n <= 8; n++) { const h = hold(n); h.style.height = '400px'; seen.observe(h); }""",
)
FOLD = (
    "const tall = (n) => { const h = hold(n); h.style.height = '700px'; return h; }; laidOut();"  # one fills a window
)
script(
    "below-never",  # everything below the window that could be waited for
    FOLD
    + """const h = tall(1); tall(2); const p = draw(tall(3)).getContext('2d'); setInterval(() => p.fillRect(Math.random() * 300, 5, 3, 3), 20);
    addEventListener('load', () => document.body.insertAdjacentHTML('beforeend', '<div class=shimmer></div><img src=/never width=10 height=10>'));
    fetch('/never'); later(300).then(() => draw(h));""",
)
script(
    "fetches-late",  # a chart that says it is drawn, and then fetches what it draws
    FOLD
    + """const h = tall(1); tall(2); fetch('/never');
    later(300).then(() => { draw(h); return fetch('/slow-data?ms=700'); }).then(() => paint(h, 'gold'));""",
)
script(
    "ahead",  # what is one window away from the view is drawn, unless a robot looks: then all of it
    FOLD
    + """const all = [1, 2, 3, 4].map(tall), ahead = { rootMargin: '100% 0px' };
    const watch = (h) => new IntersectionObserver(([e]) => { if (e.isIntersecting && h.dataset.state === 'pending') draw(h); }, ahead).observe(h);
    later(300).then(() => all.forEach((h) => (navigator.webdriver ? draw(h) : watch(h))));""",
)
script("below-failed", FOLD + "draw(tall(1)); end(tall(2), 'failed', 'division by zero');")
script("shown-failed", FOLD + "end(tall(1), 'failed', 'division by zero'); tall(2);")
script("above-failed", FOLD + "end(tall(1), 'failed', 'division by zero'); draw(tall(2));")
script(
    "fold-moves",  # what is at first below the window comes up when a banner goes
    FOLD
    + """document.body.insertAdjacentHTML('afterbegin', '<div style="height:900px">a banner</div>'); const h = tall(1);
    later(700).then(() => { document.querySelector('div').remove(); return later(300); }).then(() => draw(h));""",
)
script(
    "tall",
    "laidOut(); for (let n = 1; n <= 100; n++) { const h = hold(n); h.style.cssText = 'height:181px;margin:0 0 3px 0;box-sizing:border-box'; draw(h, 'hsl(' + n * 3 + ',70%,50%)'); } document.body.style.padding = 0; document.querySelector('h1').style.cssText = 'height:100px;margin:0'; document.body.insertAdjacentHTML('beforeend', '<div style=\"height:1500px;background:#def\">the end</div>');",
)
script(
    "scrolled",
    "laidOut(); for (let n = 1; n <= 10; n++) draw(hold(n), 'hsl(' + n * 30 + ',70%,50%)'); scrollTo(0, 500);",
)
script(
    "full-of-windows",
    "laidOut(); draw(hold(1)); document.body.insertAdjacentHTML('beforeend', '<div style=\"height:150vh;background:#eef\"></div>');",
)

# --- pages that never rest --------------------------------------------------------------------------------------------

script(
    "clock",
    "laidOut(); draw(hold(1)); const c = document.createElement('p'); document.body.append(c); setInterval(() => c.textContent = Date.now(), 10);",
)
script("long-poll", "laidOut(); draw(hold(1)); fetch('/never');")
script(
    "decoration",
    "laidOut(); draw(hold(1));",
    body="<h1>Moving</h1><div class=ball></div><canvas id=stars></canvas><img src=/never width=10 height=10>",
    head="""<style>.ball { width: 20px; height: 20px; background: red; animation: go 1s infinite linear }
      @keyframes go { to { transform: translateX(200px) } }</style>
      <script>addEventListener('DOMContentLoaded', () => { const pen = document.querySelector('#stars').getContext('2d');
      const go = () => { pen.fillRect(Math.random() * 300, 0, 5, 5); requestAnimationFrame(go); }; go(); });</script>""",
)
script(
    "restless-chart",
    "laidOut(); const c = draw(hold(1)); const p = c.getContext('2d'); setInterval(() => p.fillRect(Math.random() * 300, 5, 3, 3), 20);",
)

# --- pages that interrupt ---------------------------------------------------------------------------------------------

script(
    "dialogs",
    "laidOut(); alert('a'); confirm('b'); prompt('c'); addEventListener('beforeunload', (e) => e.preventDefault()); draw(hold(1));",
)
script(
    "pop-ups",
    "laidOut(); window.open('/charts'); const a = document.createElement('a'); a.target = '_blank'; a.href = '/charts'; document.body.append(a); a.click(); draw(hold(1));",
)
script(
    "download-inside",
    "laidOut(); const a = document.createElement('a'); a.href = '/file'; a.download = 'x'; document.body.append(a); a.click(); draw(hold(1));",
)
script("spin", "while (true) {}")
script("spin-later", "laidOut(); const h = hold(1); later(100).then(() => { while (true) {} });")

# --- pages that fail --------------------------------------------------------------------------------------------------

script("never-drawn", "laidOut(); draw(hold(1)); hold(7, 'Sales by region');")
script("never-laid-out", "hold(1);")
script(
    "endless-spinner",
    "laidOut(); draw(hold(1)); document.body.insertAdjacentHTML('beforeend', '<div class=shimmer></div>');",
)
script(
    "blank-canvas",
    "laidOut(); const h = hold(1); const c = document.createElement('canvas'); c.getContext('2d'); h.append(c); end(h, 'drawn');",
)
script("failed-chart", "laidOut(); const h = hold(3); end(h, 'failed', 'no such column: price');")
script("some-failed", "laidOut(); draw(hold(1)); end(hold(2), 'failed', 'division by zero');")
script("all-failed", "laidOut(); end(hold(1), 'failed', 'no such table'); end(hold(2), 'failed', 'timeout');")
script("failed-page", "root.dataset.vitrine = 'failed'; root.dataset.vitrineReason = 'the layout cannot be read';")
script("login", "laidOut();", body="<form action='/login/'><input name=password></form>")
script(
    "signed-out",  # its session ended: the page tells of what it could not read, before it goes to its log-in page
    "laidOut(); hold(1); fetch('/file-of?status=401').then(() => document.body.insertAdjacentHTML('beforeend', '<p class=error>It could not be read</p>'));",
)
script("leaves-for-login", "later(100).then(() => location = '/login');")
for name, head in {
    "style": "<link rel=stylesheet href=/file-of?status=503>",
    "script": "<script src=/file-of?status=503></script>",
    "import": "<script type=module>import '/file-of?status=503'</script>",
    "font": "<style>@font-face { font-family: Own; src: url(/file-of?status=503) } body { font-family: Own }</style>",
    "answer": "<link rel=stylesheet href=/file-of?status=0>",
}.items():
    script(f"without-its-{name}", "laidOut(); draw(hold(1));", head=head)
script("without-its-boot", "", head="<script src=/file-of?status=500></script>")
script("never-had-it", "laidOut(); draw(hold(1));", head="<link rel=stylesheet href=/file-of?status=404>")
script(
    "asks-again",
    """laidOut(); draw(hold(1)); const ask = (again) => { const s = document.createElement('script'); s.src = '/second-time';
    if (again) s.onerror = () => ask(false); document.head.append(s); }; ask(true);""",
)
script("uniform", "laidOut();", body="")


@page("status")
def _status(query: Query, site: Any) -> Answer:
    return Answer("<h1>An error page</h1>", int(query["code"]))


@page("file-of")
def _file_of(query: Query, site: Any) -> Answer:
    """A script, style or font that is not served; status 0: no answer."""
    return Answer("out of order", int(query["status"]), content_type="text/plain")


@page("second-time")
def _second_time(query: Query, site: Any) -> Answer:
    return Answer("", 500 if site.paths().count("/second-time") % 2 else 200, content_type="text/javascript")


@page("breaks-off")
def _breaks_off(query: Query, site: Any) -> Answer:
    whole = html("laidOut(); draw(hold(1));")
    return Answer(str(whole.body)[:-100], headers={"Content-Length": str(len(whole.body))})


@page("redirect")
def _redirect(query: Query, site: Any) -> Answer:
    return Answer("", 302, headers={"Location": query["to"]})


script(
    "redirected-image",
    """const to = encodeURIComponent(new URLSearchParams(location.search).get("to"));
    const image = Object.assign(new Image(), {src: `/redirect?to=${to}`});
    image.onload = image.onerror = () => { laidOut(); draw(hold(1)); };
    document.body.append(image);""",
)
script("leaves", "const to = new URLSearchParams(location.search).get('to'); later(100).then(() => location = to);")


@page("file")
def _file(query: Query, site: Any) -> Answer:
    return Answer(b"\0" * 100, content_type="application/octet-stream", headers={"Content-Disposition": "attachment"})


@page("never")
def _never(query: Query, site: Any) -> Answer:
    site.closing.wait(60)
    return Answer("")


@page("slow-data")
def _slow_data(query: Query, site: Any) -> Answer:
    time.sleep(int(query.get("ms", "300")) / 1000)
    return Answer("[]", content_type="application/json")


@page("imports-a-style")
def _imports_a_style(query: Query, site: Any) -> Answer:
    return Answer("@import '/slow-style';", content_type="text/css")


@page("slow-style")
def _slow_style(query: Query, site: Any) -> Answer:
    """Far longer than any quiet that proves a page without it."""
    time.sleep(2)
    return Answer("h1 { background: gold; color: gold }", content_type="text/css")


@page("cached")
def _cached(query: Query, site: Any) -> Answer:
    return Answer("/* */", content_type="text/javascript", headers={"Cache-Control": "max-age=3600"})


@page("renews")
def _renews(query: Query, site: Any) -> Answer:
    """Gives whoever comes a session of its own making."""
    drawn = html("laidOut(); draw(hold(1));")
    return replace(drawn, headers={**drawn.headers, "Set-Cookie": "session=renewed; Path=/; HttpOnly"})


@page("forgets")
def _forgets(query: Query, site: Any) -> Answer:
    """Takes the session away from whoever comes, and draws all the same."""
    drawn = html("laidOut(); draw(hold(1));")
    return replace(drawn, headers={**drawn.headers, "Set-Cookie": "session=; Path=/; Max-Age=0"})


@page("remembers")
def _remembers(query: Query, site: Any) -> Answer:
    """Shows, as its title, what the page finds in its storage, and puts `who` there."""
    return html(
        f"""const found = [document.cookie, localStorage.who, sessionStorage.who].join("|"); document.title = found;
        document.cookie = "who={query["who"]}"; localStorage.who = sessionStorage.who = "{query["who"]}"; laidOut(); draw(hold(1));""",
        head="<script src=/cached></script>",
    )


@page("escape")
def _escape(query: Query, site: Any) -> Answer:
    """Tries every way out to another port of this machine; see `escapes.py`."""
    from tests.sites.escapes import script_to

    return html(
        script_to(int(query["port"])),
        head=f"<link rel=dns-prefetch href=//localhost:{query['port']}><link rel=preconnect href=//127.0.0.1:{query['port']}><link rel=prefetch href=http://127.0.0.1:{query['port']}/prefetch>",
    )
