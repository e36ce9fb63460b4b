import gzip

import pytest


async def test_a_file_under_the_version_is_cached_for_ever(gateway):
    version = gateway.services.pages.static.version
    answer = await gateway.get(f"/static/{version}/css/base.css", "")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/css; charset=utf-8")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


async def test_a_file_without_the_version_is_asked_for_again(gateway):
    answer = await gateway.get("/static/css/base.css", "")
    assert answer.headers["Cache-Control"] == "no-cache"
    again = await gateway.get("/static/css/base.css", "", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_file_comes_compressed_to_whom_can_read_that(gateway):
    plain = await gateway.get("/static/css/base.css", "")
    packed = await gateway.get("/static/css/base.css", "", headers={"Accept-Encoding": "br, gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content


@pytest.mark.parametrize(
    "path",
    [
        "../templates/base.html",
        "..%2ftemplates%2fbase.html",
        "css/../../templates/base.html",
        "/etc/passwd",
        "css",
        "css/",
        "",
        "css/base.css%00.png",
        "0000/css/base.css",
    ],
)
async def test_nothing_but_the_files_is_served(gateway, path):
    assert (await gateway.get(f"/static/{path}", "")).status_code == 404


def test_the_version_changes_with_a_file(tmp_path):
    from services.api.static import StaticFiles

    (tmp_path / "a.js").write_text("1")
    before = StaticFiles(tmp_path).version
    (tmp_path / "a.js").write_text("2")
    assert StaticFiles(tmp_path).version != before
