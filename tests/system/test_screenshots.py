"""Screenshots in full size: with a view state, and as a PDF."""

from __future__ import annotations

from tests.harness.person import image_of
from tests.harness.stack import Stack

TEA = {"dataMask": {"product": {"filterState": {"value": ["tea"]}}}}


def test_a_screenshot_with_a_data_mask_shows_the_filtered_rows(stack: Stack) -> None:
    hugo = stack.login("hugo")
    path = hugo.api("shop", "cache_dashboard_screenshot/")
    whole, filtered = (hugo.post(path, body) for body in ({}, TEA))
    assert (whole.status_code, filtered.status_code) == (202, 202)
    assert whole.json()["cache_key"] != filtered.json()["cache_key"]
    first, second = (image_of(hugo.fetch(answer.json()["image_url"])) for answer in (whole, filtered))
    assert first.width == second.width == 1600
    assert first.tobytes() != second.tobytes()
    assert any("tea" in path and "/data/" in path for path in stack.proxy.paths)
    again = hugo.post(path, TEA)
    assert (again.status_code, again.json()["cache_key"]) == (200, filtered.json()["cache_key"])


def test_a_screenshot_can_be_downloaded_as_a_pdf_with_text(stack: Stack) -> None:
    hugo = stack.login("hugo")
    url = hugo.post(hugo.api("plain", "cache_dashboard_screenshot/"), {}).json()["image_url"]
    picture = hugo.fetch(url)
    assert picture.headers["Content-Disposition"].startswith("attachment")
    pdf = hugo.fetch(f"{url}?download_format=pdf")
    assert pdf.headers["Content-Type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF-")
    assert b"/Type /Font" in pdf.content  # text, not a picture of text
    assert b"/ToUnicode" in pdf.content  # that can be searched and copied


def test_a_chart_s_screenshot_is_asked_for_with_a_get(stack: Stack) -> None:
    hugo = stack.login("hugo")
    answer = hugo.get(hugo.api("by-product", "cache_screenshot/"), params={"q": "(window_size:!(640,480))"})
    assert answer.status_code == 202
    assert answer.json().keys() >= {"cache_key", "chart_url", "image_url", "task_status", "task_updated_at"}
    assert image_of(hugo.fetch(answer.json()["image_url"])).width == 640


def test_a_cache_key_is_good_for_its_owner_alone(stack: Stack) -> None:
    hugo, nora = stack.login("hugo"), stack.login("nora")
    url = hugo.post(hugo.api("plain", "cache_dashboard_screenshot/"), {}).json()["image_url"]
    hugo.fetch(url)
    assert nora.get(url).status_code == 404


def test_a_mask_for_an_unknown_filter_is_refused_by_name(stack: Stack) -> None:
    hugo = stack.login("hugo")
    body = {"dataMask": {"colour": {"filterState": {"value": ["red"]}}}}
    answer = hugo.post(hugo.api("shop", "cache_dashboard_screenshot/"), body)
    assert answer.status_code == 400
    assert "colour" in answer.json()["field"]
    assert answer.headers["Content-Type"].startswith("application/problem+json")
