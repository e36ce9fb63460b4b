"""What a page is made of: a script over a small library that draws charts by Vitrine's own page contract."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Answer:
    body: str | bytes
    status: int = 200
    content_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=lambda: {"Cache-Control": "no-store"})


STYLE = """<style>
  body { margin: 0; padding: 16px; font: 16px sans-serif; } h1 { margin: 0 0 16px } canvas { display: block }
  .chart-holder { border: 1px solid #888; padding: 8px; margin-bottom: 16px; min-height: 100px; width: 320px }
  .shimmer { height: 40px; background: #ddd }
</style>"""
LIBRARY = """<script>
  const root = document.documentElement;
  const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  function hold(id, title = "Chart " + id) {
    const holder = document.createElement("section");
    holder.className = "chart-holder";
    Object.assign(holder.dataset, { chartId: id, state: "pending" });
    holder.innerHTML = "<h2>" + title + "</h2>";
    document.body.append(holder);
    return holder;
  }
  function end(holder, state, reason = "") { holder.dataset.state = state; if (reason) holder.dataset.reason = reason; }
  function paint(holder, colour = "steelblue", height = 100) {
    const canvas = document.createElement("canvas");
    canvas.width = 300; canvas.height = height;
    holder.append(canvas);
    const pen = canvas.getContext("2d");
    pen.fillStyle = colour;
    for (let bar = 0; bar < 10; bar++) pen.fillRect(bar * 30, height - 10 * bar, 20, 10 * bar);
    return canvas;
  }
  function draw(holder, colour) { const canvas = paint(holder, colour); end(holder, "drawn"); return canvas; }
  function laidOut() { root.dataset.vitrine = "laid-out"; }
</script>"""


def html(script: str, body: str = "<h1>A dashboard</h1>", head: str = "") -> Answer:
    return Answer(
        f'<!doctype html><html data-vitrine="loading"><head><title>A page</title>{STYLE}{head}{LIBRARY}</head>'
        f"<body>{body}<script>{script}</script></body></html>"
    )
